"""A reader of frames in brief, written from docs/PROTOCOL.md, and a connection that uses it: what the tests hold the encoder to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from forge_widgets.core.bits import key_of
from forge_widgets.core.brief import Ending, Shapes, Wish, brief_of, shape_message
from forge_widgets.core.exponential import likely_perplexity
from forge_widgets.core.steps import Row
from forge_widgets.core.subscription import Frame

Point = tuple[float, float]
Shape = dict[str, Any]


@dataclass
class Read:
    """A frame as it was read."""

    shape: Shape
    first: int
    count: int
    sequence: int
    thinned: int
    timestamps: list[float]
    # By place in the shape's names; None where a row has none.
    columns: list[list[float | None]]
    # Whether it said all by itself.
    alone: bool
    # Whether only the newest row was told, and the extremes by name.
    outlined: bool
    extremes: dict[str, list[Point]] = field(default_factory=dict)

    def rows(self) -> list[tuple[float, dict[str, float]]]:
        """Return the rows that were told."""
        table: list[tuple[float, dict[str, float]]] = []
        for row, timestamp in enumerate(self.timestamps):
            cells = zip(self.shape["names"], self.columns, strict=True)
            table.append((timestamp, {name: cell for name, column in cells if (cell := column[row]) is not None}))
        return table

    def column(self, name: str) -> list[float | None]:
        """Return a metric's column."""
        return self.columns[self.shape["names"].index(name)]


class Reader:
    """Reads the frames of one connection; refuses one that does not go on from the one before."""

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = {shape["id"]: shape for shape in shapes}
        # The shape of the last frame, offset and sequence after it, and the keys of its last two rows.
        self._known: tuple[Shape, int, int, list[int], list[int]] | None = None

    def read(self, data: bytes) -> Read:
        """Read the next frame."""
        bits = _Bits(data)
        brief, outlined, onward, own, many, thin, named, odd = (bits.take(1) for _ in range(8))
        assert (brief, odd) == (1, 0)
        known, self._known = self._known, None
        if onward:
            assert known is not None, "nothing came before"
            shape, first, sequence, last, before = known
            assert bits.take(8) == first % 256, "something else came before"
            shape = self.shapes[bits.number()] if named else shape
        else:
            assert named, "a frame that stands alone and has no shape"
            shape = self.shapes[bits.number()]
            first = bits.number()
            sequence = bits.number()
            last = [_signed(bits.take(64)) for _ in shape["codings"]]
            before = list(last)
        count = bits.number() if many else 1
        thinned = bits.number() if thin else 0
        read = Read(shape, first, count, sequence, thinned, [], [], not onward, outlined == 1)
        table = _Table(bits, shape, 1 if outlined else count, last, before)
        table.read(own=own == 1)
        read.timestamps, *read.columns = table.columns  # type: ignore[assignment]
        if outlined:
            read.extremes = _extremes(bits, table)
        bits.end()
        if not table.patchy:
            self._known = shape, first + count, sequence + count, last, before
        return read


class Connection:
    """What a server keeps of a viewer, and what that viewer reads."""

    def __init__(self, wish: Wish = "rows", shapes: Shapes | None = None) -> None:
        self.shapes = shapes or Shapes()
        self.wish = wish
        self.ending: Ending | None = None
        self.reader = Reader()
        # Bytes of the frames so far.
        self.sizes: list[int] = []

    def send(self, frame: Frame) -> Read | None:
        """Send a frame; None where it travels as text."""
        brief = brief_of(frame, self.shapes, self.wish, self.ending)
        self.ending = None if brief is None else brief.ending
        if brief is None:
            return None
        self.reader.shapes[brief.shape.number] = shape_message(brief.shape)
        self.sizes.append(len(brief.message))
        return self.reader.read(brief.message)


def bits_of(rows: Sequence[Row]) -> list[tuple[int, list[tuple[str, int]]]]:
    """Return rows as they can be compared: to the last bit, with one NaN."""
    return [(key_of(at), sorted((name, key_of(value)) for name, value in row.items())) for at, row in rows]


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.digits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, width: int) -> int:
        assert self.at + width <= len(self.digits), "the frame ends too soon"
        self.at += width
        return int("0" + self.digits[self.at - width : self.at], 2)

    def number(self) -> int:
        value = shift = 0
        while True:
            more, low = self.take(1), self.take(7)
            value |= low << shift
            shift += 7
            if not more:
                return value

    def golomb(self, low_bits: int) -> int:
        rest = 0
        while rest < 8 and self.take(1):
            rest += 1
        return self.take(64) if rest == 8 else (rest << low_bits) + self.take(low_bits)

    def end(self) -> None:
        assert len(self.digits) - self.at < 8, "bytes are left"
        assert "1" not in self.digits[self.at :], "the last byte is filled with something"


class _Table:
    def __init__(self, bits: _Bits, shape: Shape, rows: int, last: list[int], before: list[int]) -> None:
        self.bits, self.shape, self.rows, self.last, self.before = bits, shape, rows, last, before
        self.columns: list[list[float | None]] = []
        self.expected: list[int] = []
        self.patchy = False

    def read(self, *, own: bool) -> None:
        for at, planned in enumerate(self.shape["codings"]):
            expected, shift, width, present = self._coding(*planned, own=own)
            self.expected.append(expected)
            self.columns.append([])
            for row, there in enumerate(present):
                value = self._value(at, row, expected, shift, width) if there else None
                self.columns[at].append(value)

    def _coding(self, expected: int, shift: int, width: int, *, own: bool) -> tuple[int, int, int, list[bool]]:
        present = [True] * self.rows
        if not own or not self.bits.take(1):
            return expected, shift, width, present
        expected, shift, width = self.bits.take(2), self.bits.take(6), self.bits.take(7)
        if self.bits.take(1):
            self.patchy = True
            present = [self.bits.take(1) == 1 for _ in range(self.rows)]
        return expected, shift, width, present

    def _value(self, at: int, row: int, expected: int, shift: int, width: int) -> float:
        difference = _unfolded(self.bits.golomb(width - 1) if width else 0) << shift
        last, before = self.last[at], self.before[at]
        if expected == 1:
            key = _key(_double(last) + difference)
        elif expected == 0:
            loss = self.columns[1 + self.shape["names"].index("loss")][row]
            assert loss is not None
            key = _key(likely_perplexity(loss)) + difference
        else:
            key = last + difference + (last - before if expected == 3 else 0)
        self.before[at], self.last[at] = last, _signed(key % 2**64)
        return _double(self.last[at])


def _extremes(bits: _Bits, table: _Table) -> dict[str, list[Point]]:
    names = table.shape["names"]
    step = table.columns[1 + names.index("currentStep")][0]
    assert step is not None
    back_bits = bits.take(6)
    lines: dict[str, list[Point]] = {}
    for at, name in enumerate(names, 1):
        if not bits.take(1):
            continue
        if table.expected[at] == 0:
            lines[name] = [(where, likely_perplexity(loss)) for where, loss in lines["loss"]]
            continue
        width = bits.take(5)
        signs = (-1, 1) if bits.take(1) else (1, -1)
        lines[name] = []
        for sign in signs:
            back = distance = 0
            if not bits.take(1):
                back, distance = bits.take(back_bits), bits.take(width)
            lines[name].append((step - back, _double(table.last[at] + sign * (distance << 36))))
    return lines


def _unfolded(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _key(value: float) -> int:
    (key,) = struct.unpack("<q", struct.pack("<d", value))
    return int(key) if key >= 0 else int(key) ^ (2**63 - 1)


def _double(key: int) -> float:
    (value,) = struct.unpack("<d", struct.pack("<q", key if key >= 0 else key ^ (2**63 - 1)))
    return float(value)
