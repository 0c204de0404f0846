"""Delta frames of step rows in few bytes: what a live view is sent instead of JSON where it asks for it (docs/PROTOCOL.md).

Pure. Rows of one producer become a table that is exact. Where they come so fast that no curve keeps them one by one, they
become an outline. A frame that goes on from the one before it on the same connection tells only how it differs from what was
to be expected. A frame that is anything else is None here, and travels as JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from forge_widgets.core.bits import Bits
from forge_widgets.core.coding import Coding, Planner, Taken
from forge_widgets.core.events import Record
from forge_widgets.core.extremes import comes_fast, derives_perplexity, has_outline, may_be_halved, put_lines
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.core.subscription import Frame
from forge_widgets.core.table import Known, Table

Wish = Literal["rows", "outline"]
"""How a viewer takes rows in brief: every one, or outlined where they come fast."""

WISHES: tuple[Wish, ...] = ("rows", "outline")

MAX_SHAPES = 1_000
"""Shapes that a session's viewers are told of, and remember; frames of any other travel as JSON."""

MAX_PLANS = 500
"""Beyond so many shapes those that there are are planned anew no more."""

_EXACT_INTEGER = 2.0**50


class Rows(Struct, frozen=True):
    """Whose rows they are, and of which metrics."""

    epoch: str
    attempt: int
    producer: str
    # Sorted.
    names: tuple[str, ...]


class Shape(Struct, frozen=True):
    """What many frames have in common, and a viewer is told once."""

    number: int
    rows: Rows
    # How timestamps are told, and then each metric.
    codings: tuple[Coding, ...]


class Ending(Struct, frozen=True):
    """The row that a frame ended with: what the next one on the same connection can go on from."""

    offset: int
    shape: Shape
    known: Known
    # The offset of the row before it that was told: the same where none was.
    before: int

    @property
    def token(self) -> tuple[int, int]:
        """What tells it from all other endings at the same offset."""
        return self.shape.number, self.before


class Brief(Struct, frozen=True):
    """A frame in brief."""

    # What a viewer has to know before.
    shape: Shape
    message: bytes
    # True where rows were left out of it, and where they come so fast that every second frame is enough.
    outlined: bool
    halved: bool
    # None where nothing can go on from it.
    ending: Ending | None


class Planned(Struct, frozen=True):
    """A shape, and who plans the next one of the same rows."""

    planner: Planner
    shape: Shape


class Shapes:
    """The shapes of one session's frames, numbered as they come; a number never means two of them."""

    def __init__(self) -> None:
        self._planned: dict[tuple[Rows, bool], Planned] = {}
        self._count = 0

    def planned(self, rows: Rows, columns: Sequence[Taken], *, outlined: bool) -> Planned | None:
        """Return by which plan a frame is told whose columns take so much; None where that is one shape too many."""
        known = self._planned.get((rows, outlined))
        if known is None and self._count >= MAX_SHAPES:
            return None
        planner = Planner() if known is None else known.planner
        if planner.renewed(columns, may_renew=self._count < MAX_PLANS) or known is None:
            self._count += 1
            known = self._planned[rows, outlined] = Planned(planner, Shape(self._count, rows, planner.plan))
        return known


def shape_message(shape: Shape) -> dict[str, Any]:
    """Build the message that tells a viewer of a shape."""
    rows = shape.rows
    return {
        "type": "shape",
        "id": shape.number,
        "epoch": rows.epoch,
        "attempt": rows.attempt,
        "producer": rows.producer,
        "names": list(rows.names),
        "codings": [[coding.expected, coding.shift, coding.width] for coding in shape.codings],
    }


def brief_text(brief: Brief) -> dict[str, Any]:
    """Build the frame that carries a message in brief where only text does: by itself, so with its shape."""
    data = base64.b64encode(brief.message).decode("ascii")
    return {"type": "frame", "key": False, "shape": shape_message(brief.shape), "brief": data}


def brief_of(frame: Frame, shapes: Shapes, wish: Wish, ending: Ending | None = None) -> Brief | None:
    """Encode a delta frame that holds rows of one producer and the same metrics; None for any other.

    ``ending`` is where the viewer's last frame in brief on this connection ended, if that was its last frame.
    """
    block = None if frame.key else _joined(frame.records)
    if block is None:
        return None
    first = frame.records[0]
    # Of rows that a training began with an outline would not say when that was.
    began = frame.state.started_at == block.timestamps[0]
    outlined = wish == "outline" and not began and comes_fast(block) and has_outline(block)
    if not outlined and any(isinstance(record.body, StepBlock) and record.body.thinned for record in frame.records[1:]):
        # A viewer that has some of the rows already would not count what was dropped between the others.
        return None
    rows = Rows(frame.epoch, first.attempt, first.producer, tuple(sorted(block.columns)))
    if ending is not None and (ending.shape.rows != rows or ending.offset + 1 != frame.first):
        ending = None
    table = Table(
        block.slice(len(block) - 1) if outlined else block,
        rows.names,
        None if ending is None else ending.known,
        derives=not outlined or derives_perplexity(block),
    )
    planned = shapes.planned(rows, table.taken, outlined=outlined)
    return None if planned is None else _written(frame, block, table, planned, ending, outlined=outlined)


def _written(
    frame: Frame, block: StepBlock, table: Table, planned: Planned, ending: Ending | None, *, outlined: bool
) -> Brief:
    codings, own = table.choose(planned.shape.codings)
    bits = Bits()
    named = ending is None or ending.shape.number != planned.shape.number
    bits.flags(True, outlined, ending is not None, own, len(block) > 1, block.thinned > 0, named, False)
    if ending is not None:
        bits.put(frame.first % 256, 8)
    if named:
        bits.number(planned.shape.number)
    if ending is None:
        bits.number(frame.first)
        bits.number(frame.records[0].sequence)
        bits.put_all((key % 2**64 for key in table.known.last), 64)
    if len(block) > 1:
        bits.number(len(block))
    if block.thinned:
        bits.number(block.thinned)
    planned.planner.note_waste(table.put(bits, codings, planned.shape.codings, own=own))
    if outlined:
        put_lines(bits, block, planned.shape.rows.names, codings[1:])
    halved = outlined and may_be_halved(block)
    return Brief(planned.shape, bits.message(), outlined, halved, _ending(frame, table, planned.shape, ending))


def _ending(frame: Frame, table: Table, shape: Shape, before: Ending | None) -> Ending | None:
    """Return what is known after a frame: the same for all viewers that have reached it by the same two rows."""
    newest = table.newest
    if newest is None:
        return None
    alone = frame.last if before is None else before.offset
    return Ending(frame.last, shape, newest, frame.last - 1 if len(table) > 1 else alone)


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
    if not blocks or records[0].sequence > _EXACT_INTEGER:
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
