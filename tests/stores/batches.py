"""Batches as producers make them, in a line each."""

from __future__ import annotations

from collections.abc import Iterable

from forge_widgets.core.events import Batch, Body, Event, EventType, Producer, Record, Status
from forge_widgets.core.steps import StepBlock, block_of

START = 1_760_000_000.0


def event(kind: EventType, *, at: float = 0.0, key: str = "", status: Status | None = None, message: str = "") -> Event:
    """Make an event, ``at`` seconds into the training."""
    return Event(event_type=kind, timestamp=START + at, key=key, status=status, message=message)


def steps(first: int, count: int) -> StepBlock:
    """Make rows of the steps ``first .. first + count - 1``, 10 a second."""
    numbers = range(first, first + count)
    return block_of((START + n / 10, {"loss": 1.0 / (n + 1), "currentStep": float(n)}) for n in numbers)


def batch(producer: str | Producer, sequence: int, *bodies: Body) -> Batch:
    """Make a batch."""
    known = Producer(id=producer) if isinstance(producer, str) else producer
    return Batch(producer=known, sequence=sequence, bodies=list(bodies))


def recorded_steps(records: Iterable[Record]) -> list[float]:
    """Return the step of each row, in the order of the log."""
    return [
        row["currentStep"] for record in records if isinstance(record.body, StepBlock) for _, row in record.body.rows()
    ]
