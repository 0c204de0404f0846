"""From what a loop gave to what a log takes: numbers, names of the wire, columnar blocks.

Runs on the publisher's thread. What can't be used is reported once by name, counted, and the rest recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from forge_widgets.core.events import Body, Event
from forge_widgets.core.metrics import DEFAULTS, complete, wire_name
from forge_widgets.core.steps import Row, block_of
from forge_widgets.errors import InvalidInput
from forge_widgets.training.buffer import Barrier, Dropped, Item, RawEvent, RawRow, Successor
from forge_widgets.training.clock import ProducerClock
from forge_widgets.training.values import NotANumber, number

logger = logging.getLogger("forge_widgets")

MAX_BLOCK_ROWS = 8_192


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

    def __init__(self, clock: ProducerClock, refusals: Refusals) -> None:
        self._clock = clock
        self._refusals = refusals
        # The total in force: the newest that was given, or that of the attempt that is joined.
        self.total_steps = DEFAULTS["totalSteps"]
        # Rows dropped at the ring since the last block.
        self._thinned = 0

    def build(self, items: Iterable[Item]) -> list[Body]:
        """Return bodies in order: runs of rows as blocks, events between them."""
        bodies: list[Body] = []
        rows: list[Row] = []
        for item in items:
            if isinstance(item, Dropped):
                self._close_block(bodies, rows)
                self._thinned += item.rows
            elif isinstance(item, RawEvent):
                self._close_block(bodies, rows)
                bodies.append(self._event(item))
            elif not isinstance(item, (Barrier, Successor)):
                rows.append(self._row(item))
                if len(rows) >= MAX_BLOCK_ROWS:
                    self._close_block(bodies, rows)
        self._close_block(bodies, rows)
        return bodies

    def _close_block(self, bodies: list[Body], rows: list[Row]) -> None:
        if rows:
            bodies.append(block_of(rows, self._thinned))
            rows.clear()
            self._thinned = 0

    def _row(self, item: RawRow) -> Row:
        moment, step, loss, model, total_steps, total_models, others = item
        given = {
            "currentStep": step,
            "loss": loss,
            "currentModel": model,
            "totalSteps": total_steps,
            "totalModels": total_models,
            **others,
        }
        return self._clock.stamp(moment), self._metrics(given)

    def _event(self, item: RawEvent) -> Event:
        return Event(
            event_type=item.event_type,
            timestamp=self._clock.stamp(item.moment),
            metrics=self._metrics(item.metrics),
            status=item.status,
            message=item.message,
            name=item.name,
            error=item.error,
        )

    def _metrics(self, given: dict[str, Any]) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, value in given.items():
            if value is None:
                continue
            try:
                metrics[wire_name(name)] = number(value)
            except (NotANumber, InvalidInput) as error:
                self._refusals.add(name, error)
        self.total_steps = metrics.get("totalSteps", self.total_steps)
        return complete(metrics, self.total_steps)
