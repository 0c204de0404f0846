"""What a log consists of: lifecycle events, and rows of steps in columnar blocks.

A producer makes them, a store keeps them in order, a fold makes the state of them. Types only, no behaviour beyond slicing.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from forge_widgets.core.steps import StepBlock

EventType = Literal[
    "training_started",
    "step_update",
    "model_completed",
    "phase_completed",
    "training_error",
    "connection_lost",
    "control",
    "alert",
    "annotation",
]
EVENT_TYPES: frozenset[str] = frozenset(get_args(EventType))

Status = Literal["waiting", "running", "paused", "completed", "error"]
STATUSES: frozenset[str] = frozenset(get_args(Status))


class Event(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, rename="camel"):
    """One lifecycle event of a log.

    A ``step_update`` is an Event only where it says more than numbers (a status, a message, an idempotency key);
    all others are rows of a StepBlock.
    """

    event_type: EventType
    # Seconds since the epoch, UTC, by the producer's clock.
    timestamp: float
    # Metrics by their names on the wire, completed (see core.metrics.complete).
    metrics: dict[str, float] = field(default_factory=dict)
    # Where set, the status that the producer asks for.
    status: Status | None = None
    message: str = ""
    # A phase's or annotation's name.
    name: str = ""
    # The text of a training_error.
    error: str = ""
    # Idempotency key: a second event of the same key in the same session is not appended.
    key: str = ""


class Producer(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One writer of a session: one hooks or run object in one process."""

    id: str
    # Producers of one group share an attempt: the ranks of a distributed job, a process and its forks.
    group: str = ""
    # A client of bare HTTP: it has no identity of its own, so its training_started opens an attempt once the last has ended.
    bare: bool = False
    # True continues the latest attempt from a checkpoint instead of opening the next.
    resume: bool = False
    pid: int = 0
    host: str = ""


Body: TypeAlias = Event | StepBlock


class Record(Struct, frozen=True, gc=False, kw_only=True):
    """What stands in a log: an event at one offset, or a block at a run of them."""

    # Offset of the event, or of the block's first row. Offsets count from 1.
    offset: int
    # The attempt that this belongs to, from 1.
    attempt: int
    producer: str
    # The producer's sequence number of the event or of the first row, from 1.
    sequence: int
    body: Body

    @property
    def last(self) -> int:
        """The offset of the last row, or of the event."""
        return self.offset + length(self.body) - 1

    def after(self, offset: int) -> Record:
        """Return the part that lies after an offset before its last one: a cursor or a floor may stand inside a block."""
        skip = offset + 1 - self.offset
        if skip <= 0 or isinstance(self.body, Event):
            return self
        return replace(self, offset=self.offset + skip, sequence=self.sequence + skip, body=self.body.slice(skip))

    def up_to(self, offset: int) -> Record:
        """Return the part that lies at or before an offset from its first one on."""
        if offset >= self.last or isinstance(self.body, Event):
            return self
        return replace(self, body=self.body.slice(0, offset + 1 - self.offset))


class Batch(Struct, frozen=True, kw_only=True):
    """What one producer appends at once: bodies in order, numbered without a hole from ``sequence`` on."""

    producer: Producer
    # Sequence number of the first event or row; 0 lets the store number it (a producer that only ever has one writer).
    sequence: int
    bodies: list[Body]


def length(body: Body) -> int:
    """Return how many offsets a body takes: 1 for an event, the count of rows for a block."""
    return len(body) if isinstance(body, StepBlock) else 1


def is_lifecycle(record: Record) -> bool:
    """Say whether a record is an event that viewers are told of by itself: anything but steps."""
    return isinstance(record.body, Event) and record.body.event_type != "step_update"
