"""A reader of frames in brief, written from docs/PROTOCOL.md: what the tests hold the encoder to."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

Point = tuple[float, float]


@dataclass
class Read:
    """A frame as it was read."""

    shape: int
    first: int
    count: int
    sequence: int
    thinned: int
    timestamps: list[float]
    # By place in the shape's names; None where a row has none.
    columns: list[list[float | None]]
    # None: every row is there. Else how long before the newest the first was, in seconds, and the extremes by place.
    outlined_s: float | None = None
    extremes: dict[int, list[Point]] = field(default_factory=dict)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count, "the frame ends too soon"
        self.at += count
        return taken

    def number(self, kind: str) -> float:
        value: float = struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]
        return value

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        value = self.varint()
        return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)


def read_brief(data: bytes, names: list[str]) -> Read:
    """Read a frame whose shape has these names."""
    source = _Bytes(data)
    kind = source.take(1)[0]
    assert kind in (1, 2)
    shape, first, count = source.varint(), source.varint(), source.varint()
    sequence, thinned = first + source.signed(), source.varint()
    told = count if kind == 1 else 1
    timestamps = [source.number("d") for _ in range(told)]
    columns = [_column(source, told) for _ in names]
    read = Read(shape, first, count, sequence, thinned, timestamps, columns)
    if kind == 2:
        read.outlined_s = source.varint() / 1e6
        step = columns[names.index("currentStep")][0]
        assert step is not None
        for _ in range(source.varint()):
            place = source.varint()
            read.extremes[place] = [(step - source.signed(), source.number("f")) for _ in range(2)]
    assert source.at == len(data), "bytes are left"
    return read


def _column(source: _Bytes, rows: int) -> list[float | None]:
    kind = source.take(1)[0]
    mask = int.from_bytes(source.take((rows + 7) // 8), "little") if kind & 0x80 else (1 << rows) - 1
    before = 0
    column: list[float | None] = []
    for row in range(rows):
        if not mask >> row & 1:
            column.append(None)
        elif kind & 0x7F == 1:
            before += source.signed()
            column.append(float(before))
        else:
            assert kind & 0x7F == 2
            column.append(source.number("d"))
    return column


def rows_of(read: Read, names: list[str]) -> list[tuple[float, dict[str, float]]]:
    """Return the rows of a frame that has every one."""
    table: list[tuple[float, dict[str, Any]]] = []
    for row, timestamp in enumerate(read.timestamps):
        cells = zip(names, read.columns, strict=True)
        table.append((timestamp, {name: cell for name, column in cells if (cell := column[row]) is not None}))
    return table
