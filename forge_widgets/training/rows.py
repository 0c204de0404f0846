"""From what a loop gave to what a log takes: numbers, names of the wire, columnar blocks.

Runs on the publisher's thread. What can't be used is reported once by name, counted, and the rest recorded.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import mul
from typing import Any, cast

from forge_widgets.core.events import Body, Event
from forge_widgets.core.metrics import DEFAULTS, complete, grok_progress, grok_progresses, perplexities, wire_name
from forge_widgets.core.steps import Column, Row, StepBlock, block_of
from forge_widgets.errors import InvalidInput
from forge_widgets.training.buffer import Dropped, Item, RawEvent, RawRow
from forge_widgets.training.clock import ProducerClock
from forge_widgets.training.packed import LEFT_OUT, Shapes, columns_of, shape_bytes, unpacked
from forge_widgets.training.values import NotANumber, number

logger = logging.getLogger("forge_widgets")

_LEAST_RUN = 4
"""Rows of one shape in a row, on average, from which on columns are cheaper to build than rows."""

_DERIVED = ("perplexity", "grokProgress", "totalSteps")
"""What the contract derives, and from what: where only some rows of a batch have it, each row is completed by itself."""


class Refusals:
    """What could not be recorded: counted, and said once for each metric."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        # Values that were left out so far.
        self.count = 0
        self._said: set[str] = set()
        self._said_late = False

    def add(self, name: str, why: object) -> None:
        """Count a value that is left out; log a warning the first time for its metric."""
        self.count += 1
        if name not in self._said and len(self._said) < 1_000:
            self._said.add(name)
            logger.warning(
                "%s: metric %r is not recorded: %s (the rest is; said once for each metric)",
                self._session_id,
                name,
                why,
            )

    def add_late(self, count: int) -> None:
        """Count what came after its run was closed; log a warning the first time."""
        self.count += count
        if not self._said_late:
            self._said_late = True
            logger.warning(
                "%s: this run is closed: what it is given now is not recorded; start it again or make a new one",
                self._session_id,
            )


class RowBuilder:
    """Builds the bodies of a batch from drained items; keeps the totals in force for what is derived from them."""

    def __init__(self, clock: ProducerClock, refusals: Refusals, shapes: Shapes) -> None:
        self._clock = clock
        self._refusals = refusals
        # How packed rows lie.
        self._shapes = shapes
        # The total in force: the newest that was given, or that of the attempt that is joined.
        self.total_steps = DEFAULTS["totalSteps"]
        # Rows dropped at the ring since the last block.
        self._thinned = 0

    def build(self, items: Iterable[Item]) -> list[Body]:
        """Return bodies in order: runs of rows as blocks, events between them."""
        bodies: list[Body] = []
        blocks: list[StepBlock] = []
        for kind, group in groupby(items, type):
            if kind is bytes:
                blocks += self._packed(cast("Iterable[bytes]", group))
            elif kind is RawRow:
                blocks.append(block_of(map(self._loose, cast("Iterable[RawRow]", group))))
            else:
                self._others(group, bodies, blocks)
        self._close_block(bodies, blocks)
        return bodies

    def _others(self, items: Iterable[Item], bodies: list[Body], blocks: list[StepBlock]) -> None:
        for item in items:
            if isinstance(item, Dropped):
                self._close_block(bodies, blocks)
                self._thinned += item.rows
            elif isinstance(item, RawEvent):
                self._close_block(bodies, blocks)
                bodies.append(self._event(item))

    def _close_block(self, bodies: list[Body], blocks: list[StepBlock]) -> None:
        if blocks:
            bodies.append(joined(blocks, self._thinned))
            blocks.clear()
            self._thinned = 0

    def _packed(self, rows: Iterable[bytes]) -> list[StepBlock]:
        """Build a block of each run of rows of one shape; where shapes take turns, one of all, row by row."""
        runs = [list(alike) for _, alike in groupby(rows, shape_bytes)]
        if len(runs) > 1 and sum(map(len, runs)) < _LEAST_RUN * len(runs):
            return [self._row_by_row(row for run in runs for row in run)]
        return [self._block(run) for run in runs]

    def _row_by_row(self, rows: Iterable[bytes]) -> StepBlock:
        return block_of(self._loose(RawRow(*unpacked(self._shapes.at(row), row))) for row in rows)

    def _block(self, rows: list[bytes]) -> StepBlock:
        """Build a block of rows of one shape, column by column."""
        moments, given = columns_of(self._shapes.at(rows[0]), rows)
        try:
            columns = {wire_name(name): column for name, column in given}
        except InvalidInput:
            columns = {}
        if len(columns) < len(given) or any(name in columns and columns[name].present for name in _DERIVED):
            # A name twice, a name that can't be used, or rows of which only some have what others are derived from.
            return self._row_by_row(rows)
        self._complete(columns)
        return StepBlock(self._clock.stamps(moments), columns)

    def _complete(self, columns: dict[str, Column]) -> None:
        """Add what the contract derives, as core.metrics.complete does for one row."""
        losses, steps, totals = (columns.get(name) for name in ("loss", "currentStep", "totalSteps"))
        if losses is not None and "perplexity" not in columns:
            derived = perplexities(losses.values)
            if losses.present is not None:
                derived = array("d", map(mul, derived, losses.present))
            columns["perplexity"] = Column(derived, losses.present)
        if steps is not None and "grokProgress" not in columns:
            if totals is None:
                derived = grok_progresses(steps.values, self.total_steps)
            else:
                derived = array("d", map(grok_progress, steps.values, totals.values))
            columns["grokProgress"] = Column(derived, steps.present)
        if totals is not None:
            self.total_steps = totals.values[-1]

    def _loose(self, row: RawRow) -> Row:
        """Build one row that is not packed."""
        return self._clock.stamp(row.moment), self._metrics(zip(row.names, row.values, strict=True))

    def _event(self, item: RawEvent) -> Event:
        return Event(
            event_type=item.event_type,
            timestamp=self._clock.stamp(item.moment),
            metrics=self._metrics(item.metrics.items()),
            status=item.status,
            message=item.message,
            name=item.name,
            error=item.error,
        )

    def _metrics(self, given: Iterable[tuple[str, Any]]) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, value in given:
            if value is LEFT_OUT:
                continue
            try:
                metrics[wire_name(name)] = number(value)
            except (NotANumber, InvalidInput) as error:
                self._refusals.add(name, error)
        self.total_steps = metrics.get("totalSteps", self.total_steps)
        return complete(metrics, self.total_steps)


def joined(blocks: Sequence[StepBlock], thinned: int) -> StepBlock:
    """Return one block of the rows of several, in order; ``thinned`` rows were dropped before it."""
    if len(blocks) == 1:
        return StepBlock(blocks[0].timestamps, blocks[0].columns, thinned)
    timestamps = array("d")
    for block in blocks:
        timestamps.extend(block.timestamps)
    names = dict.fromkeys(name for block in blocks for name in block.columns)
    return StepBlock(timestamps, {name: _joined_column(blocks, name) for name in names}, thinned)


def _joined_column(blocks: Sequence[StepBlock], name: str) -> Column:
    values, present = array("d"), bytearray()
    for block in blocks:
        column = block.columns.get(name)
        rows = len(block)
        values.extend(array("d", bytes(8 * rows)) if column is None else column.values)
        present += bytes(rows) if column is None else column.present or b"\x01" * rows
    return Column(values, bytes(present) if 0 in present else None)
