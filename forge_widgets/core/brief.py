"""Delta frames of step rows in few bytes: what a live view is sent instead of JSON where it asks for it (docs/PROTOCOL.md).

Pure. Rows of one producer become a table that is exact. Where they come so fast that no curve keeps them one by one, they
become an outline: their number, the newest row, exact, and of each metric the least and the greatest value between. A frame
that is anything else is None here, and travels as JSON.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from forge_widgets.core.events import Record
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.core.subscription import Frame

Wish = Literal["rows", "outline"]
"""How a viewer takes rows in brief: every one, or outlined where they come fast."""

WISHES: tuple[Wish, ...] = ("rows", "outline")

OUTLINE_ROWS = 3
"""Fewer rows than this take less as they are."""

OUTLINE_PER_S = 50.0
"""Rows a second beyond which they are outlined: up to here every row costs less than polling would by far."""

OUTLINE_SPAN_S = 2.0
"""Rows of a longer time than this did not come as a stream: a viewer was away, and an outline would leave a gap in its curves."""

MAX_SHAPES = 1_000
"""Shapes that a session's viewers are told of, and remember; frames of any other travel as JSON."""

_ROWS, _OUTLINE = 1, 2
_INTEGERS, _DOUBLES, _MASKED = 1, 2, 0x80
_EXACT_INTEGER = 2.0**50
_LARGEST_SINGLE = 3.4e38


class Shape(Struct, frozen=True):
    """What many frames have in common, and a viewer is told once: whose rows they are, and of which metrics."""

    epoch: str
    attempt: int
    producer: str
    # Sorted.
    names: tuple[str, ...]


class Shapes:
    """The shapes of one session's frames, numbered as they come; a number never means two of them."""

    def __init__(self) -> None:
        self._numbers: dict[Shape, int] = {}

    def number(self, shape: Shape) -> int | None:
        """Return the number of a shape, from 1; None for one beyond MAX_SHAPES."""
        known = self._numbers.get(shape)
        if known is None and len(self._numbers) < MAX_SHAPES:
            known = self._numbers[shape] = len(self._numbers) + 1
        return known


class Brief(Struct, frozen=True):
    """A frame in brief."""

    # The number of its shape, and what a viewer has to know of that before.
    shape_id: int
    shape: Shape
    message: bytes
    # True where rows were left out of it.
    outlined: bool


def shape_message(brief: Brief) -> dict[str, Any]:
    """Build the message that tells a viewer of a shape."""
    shape = brief.shape
    return {
        "type": "shape",
        "id": brief.shape_id,
        "epoch": shape.epoch,
        "attempt": shape.attempt,
        "producer": shape.producer,
        "names": list(shape.names),
    }


def brief_text(brief: Brief) -> dict[str, Any]:
    """Build the frame that carries a message in brief where only text does: by itself, so with its shape."""
    data = base64.b64encode(brief.message).decode("ascii")
    return {"type": "frame", "key": False, "shape": shape_message(brief), "brief": data}


def brief_of(frame: Frame, shapes: Shapes, wish: Wish) -> Brief | None:
    """Encode a delta frame that holds rows of one producer and the same metrics; None for any other."""
    block = None if frame.key else _joined(frame.records)
    if block is None:
        return None
    first = frame.records[0]
    outlined = wish == "outline" and _comes_fast(block) and _has_outline(block)
    if not outlined and any(isinstance(record.body, StepBlock) and record.body.thinned for record in frame.records[1:]):
        # A viewer that has some of the rows already would not count what was dropped between the others.
        return None
    shape = Shape(frame.epoch, first.attempt, first.producer, tuple(sorted(block.columns)))
    number = shapes.number(shape)
    if number is None:
        return None
    columns = [block.columns[name] for name in shape.names]
    message = bytearray([_OUTLINE if outlined else _ROWS])
    for value in (number, frame.first, len(block), _zigzag(first.sequence - frame.first), block.thinned):
        _put_varint(message, value)
    if outlined:
        _put_outline(message, block, shape.names)
    else:
        _put_table(message, block.timestamps, columns)
    return Brief(number, shape, bytes(message), outlined)


def _joined(records: Sequence[Record]) -> StepBlock | None:
    """Join records into one block; None where they are not one producer's rows, without a hole and of the same metrics.

    Folding the block is the same as folding each record, but for the place of ``thinned``.
    """
    blocks: list[StepBlock] = []
    for record in records:
        first = records[0]
        goes_on = record.sequence - record.offset == first.sequence - first.offset
        same = record.attempt == first.attempt and record.producer == first.producer
        if not isinstance(record.body, StepBlock) or not (goes_on and same):
            return None
        if blocks and not _go_on(blocks[-1], record.body):
            return None
        blocks.append(record.body)
    if not blocks or abs(records[0].sequence - records[0].offset) > _EXACT_INTEGER:
        return None
    if len(blocks) == 1:
        return blocks[0]
    columns = {name: _end_to_end([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    timestamps = [timestamp for block in blocks for timestamp in block.timestamps]
    return StepBlock(timestamps, columns, sum(block.thinned for block in blocks))


def _go_on(block: StepBlock, following: StepBlock) -> bool:
    """Say whether two blocks are one that is cut: the same metrics, time that does not fall, and each row with its place."""
    return (
        following.columns.keys() == block.columns.keys()
        and following.timestamps[0] >= block.timestamps[-1]
        and all(
            part.columns[name].present is None
            for part in (block, following)
            for name in COORDINATES & part.columns.keys()
        )
    )


def _end_to_end(columns: Sequence[Column]) -> Column:
    values = [value for column in columns for value in column.values]
    if all(column.present is None for column in columns):
        return Column(values)
    return Column(values, b"".join(column.present or b"\x01" * len(column.values) for column in columns))


# --- outlines ------------------------------------------------------------------------------------


def _comes_fast(block: StepBlock) -> bool:
    took_s = block.timestamps[-1] - block.timestamps[0]
    return len(block) >= OUTLINE_ROWS and took_s <= OUTLINE_SPAN_S and len(block) - 1 > OUTLINE_PER_S * took_s


def _has_outline(block: StepBlock) -> bool:
    """Say whether the newest row and the extremes tell all that a fold asks of the rows, and fit in single precision."""
    steps, models = block.columns.get("currentStep"), block.columns.get("currentModel")
    if steps is None or not _are_integers(steps.values):
        return False
    if models is not None and min(models.values) != max(models.values):
        return False
    # A sum that is no number tells of a NaN among them.
    return all(
        column.present is None
        and abs(sum(column.values)) < _LARGEST_SINGLE
        and max(map(abs, column.values)) < _LARGEST_SINGLE
        for column in block.columns.values()
    )


def _put_outline(message: bytearray, block: StepBlock, names: Sequence[str]) -> None:
    newest = block.slice(len(block) - 1)
    _put_table(message, newest.timestamps, [newest.columns[name] for name in names])
    _put_varint(message, max(0, round(1e6 * (block.timestamps[-1] - block.timestamps[0]))))
    steps = block.columns["currentStep"].values
    lines = bytearray()
    count = 0
    for index, name in enumerate(names):
        values = block.columns[name].values
        least, greatest = min(values), max(values)
        if name in COORDINATES or least == greatest:
            continue  # an axis, or flat: the newest row says it
        count += 1
        _put_varint(lines, index)
        for place in sorted((values.index(least), values.index(greatest))):
            _put_varint(lines, _zigzag(int(steps[-1] - steps[place])))
            lines += struct.pack("<f", values[place])
    _put_varint(message, count)
    message += lines


# --- numbers -------------------------------------------------------------------------------------


def _put_table(message: bytearray, timestamps: Sequence[float], columns: Sequence[Column]) -> None:
    message += struct.pack(f"<{len(timestamps)}d", *timestamps)
    for column in columns:
        _put_column(message, column)


def _put_column(message: bytearray, column: Column) -> None:
    values, present = column.values, column.present
    masked = 0 if present is None else _MASKED
    told = values if present is None else [value for value, there in zip(values, present, strict=True) if there]
    integers = _are_integers(told)
    message.append((_INTEGERS if integers else _DOUBLES) | masked)
    if present is not None:
        bits = sum(there << index for index, there in enumerate(present))
        message += bits.to_bytes((len(present) + 7) // 8, "little")
    if not integers:
        message += struct.pack(f"<{len(told)}d", *told)
        return
    before = 0
    for value in map(int, told):
        _put_varint(message, _zigzag(value - before))
        before = value


def _are_integers(values: Sequence[float]) -> bool:
    """Say whether all are whole, small enough to be exact in a double however they differ, and none is a negative zero."""
    return all(
        value.is_integer() and abs(value) < _EXACT_INTEGER and (value != 0 or math.copysign(1.0, value) > 0)
        for value in values
    )


def _zigzag(value: int) -> int:
    """Fold a signed number into one that is not: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return 2 * value if value >= 0 else -2 * value - 1


def _put_varint(message: bytearray, value: int) -> None:
    """Append a number, seven bits a byte, the lowest first (LEB128)."""
    while value >= 0x80:
        message.append(value & 0x7F | 0x80)
        value >>= 7
    message.append(value)
