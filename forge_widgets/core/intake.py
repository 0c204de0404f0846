"""Records, batches and states as they come over the wire, checked: the other way round from wire.

Strict about types, numbers and lengths, tolerant of fields that it does not know. The server reads with it what trainings
send, the store over HTTP what a server answers. Raises InvalidInput for anything that can't be used; nothing is half read.
"""

from __future__ import annotations

from array import array
from typing import Annotated, Literal, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from forge_widgets.core.events import Batch, Body, Event, EventType, Producer, Record, Status
from forge_widgets.core.liveness import LEASE_S, Heartbeat
from forge_widgets.core.metrics import unpack_number
from forge_widgets.core.state import Metric, Model, Pace, Phase, Stamp, State
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.errors import InvalidInput

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in seconds since the epoch."""

MAX_ID_CHARS = 200
MAX_KEY_CHARS = 1_000

Number = float | Literal["NaN", "Infinity", "-Infinity"]
Moment = Annotated[float, Meta(ge=0, le=LAST_MOMENT)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(max_length=200)]
Identity = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]

Message = TypeVar("Message")


def read_message(encoded: bytes, kind: type[Message]) -> Message:
    """Decode JSON as a message of a kind. Raises InvalidInput saying where it is wrong."""
    try:
        return msgspec.json.decode(encoded, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"no {kind.__name__} ({str(error)[:200]})",
            where="body",
            expected="the JSON that docs/PROTOCOL.md describes",
        ) from error


class EventMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as it travels."""

    event_type: EventType
    timestamp: Moment
    metrics: dict[Name, Number] = {}
    status: Status | None = None
    message: str = ""
    name: str = ""
    error: str = ""
    key: Annotated[str, Meta(max_length=MAX_KEY_CHARS)] = ""

    def event(self) -> Event:
        """Return the event."""
        return Event(
            event_type=self.event_type,
            timestamp=self.timestamp,
            metrics={name: unpack_number(value) for name, value in self.metrics.items()},
            status=self.status,
            message=self.message,
            name=self.name,
            error=self.error,
            key=self.key,
        )


class RowsMessage(Struct, frozen=True, kw_only=True):
    """Step rows as they travel: in columns, null where a row does not have the metric."""

    timestamps: list[Moment]
    columns: dict[Name, list[Number | None]] = {}
    thinned: Count = 0

    def block(self) -> StepBlock:
        """Return the block. Raises InvalidInput where a column has another length, or time falls."""
        rows = len(self.timestamps)
        for name, values in self.columns.items():
            if len(values) != rows:
                raise InvalidInput(
                    f"{len(values)} values can't be used",
                    where=f"rows.columns.{name[:80]}",
                    expected=f"{rows}, one for each timestamp",
                )
        if any(later < earlier for earlier, later in zip(self.timestamps, self.timestamps[1:], strict=False)):
            raise InvalidInput("time falls", where="rows.timestamps", expected="timestamps in order")
        columns = {name: _column(values) for name, values in self.columns.items()}
        # A metric that no row has is none: its column would have no last value to fold.
        kept = {name: column for name, column in columns.items() if column.last() >= 0}
        return StepBlock(array("d", self.timestamps), kept, self.thinned)


class BodyMessage(Struct, frozen=True, kw_only=True):
    """What a record holds: an event or rows."""

    event: EventMessage | None = None
    rows: RowsMessage | None = None

    def body(self) -> Body:
        """Return the event or the block. Raises InvalidInput where there are both or neither."""
        if self.event is not None and self.rows is None:
            return self.event.event()
        if self.rows is not None and self.event is None:
            return self.rows.block()
        raise InvalidInput("neither can be used", where="bodies", expected="an object with either 'event' or 'rows'")


class RecordMessage(BodyMessage, frozen=True, kw_only=True):
    """A record as it travels."""

    offset: Count
    attempt: Count
    producer: str
    sequence: Count

    def record(self) -> Record:
        """Return the record. Raises InvalidInput."""
        return Record(
            offset=self.offset,
            attempt=self.attempt,
            producer=self.producer,
            sequence=self.sequence,
            body=self.body(),
        )


class ProducerMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A producer as it travels."""

    id: Identity
    group: Annotated[str, Meta(max_length=MAX_ID_CHARS)] = ""
    bare: bool = False
    resume: bool = False
    pid: Count = 0
    host: Annotated[str, Meta(max_length=1_000)] = ""

    def producer(self) -> Producer:
        """Return the producer."""
        return msgspec.convert(self, Producer, from_attributes=True)


class BatchMessage(Struct, frozen=True, kw_only=True):
    """A batch as it travels."""

    producer: ProducerMessage
    # Of the first event or row; 0 lets the store number it.
    sequence: Count
    bodies: list[BodyMessage]

    def batch(self) -> Batch:
        """Return the batch. Raises InvalidInput."""
        return Batch(
            producer=self.producer.producer(),
            sequence=self.sequence,
            bodies=[body.body() for body in self.bodies],
        )


class HeartbeatMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A heartbeat as it travels."""

    producer: Identity
    attempt: Count = 0
    pid: Count = 0
    host: Annotated[str, Meta(max_length=1_000)] = ""
    started: Count = 0
    beat: Moment = 0.0
    # A lease that never ends would keep a training that is gone on every screen.
    lease_s: Annotated[float, Meta(ge=0, le=3_600)] = LEASE_S
    durable: Count = 0
    unsaved: Count = 0
    reason: Annotated[str, Meta(max_length=2_000)] = ""
    closed: bool = False

    def heartbeat(self) -> Heartbeat:
        """Return the heartbeat."""
        return msgspec.convert(self, Heartbeat, from_attributes=True)


class _ModelMessage(Struct, frozen=True, rename="camel"):
    number: int
    loss: Number | None = None
    completed: bool = False


class StateMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """A state as it travels (wire.state_message)."""

    attempt: Count
    status: Status
    status_stamp: Stamp
    metrics: dict[str, tuple[Number, Stamp]] = {}
    message: str = ""
    error: str = ""
    lost: bool = False
    started_at: float = 0.0
    updated_at: float = 0.0
    rows: Count = 0
    thinned: Count = 0
    stepped_at: float = 0.0
    phases: list[Phase] = []
    models: list[_ModelMessage] = []
    pace: list[tuple[Number, Number]] = []

    def state(self) -> State:
        """Return the state."""
        return State(
            attempt=self.attempt,
            status=self.status,
            status_stamp=self.status_stamp,
            metrics={name: Metric(unpack_number(value), stamp) for name, (value, stamp) in self.metrics.items()},
            message=self.message,
            error=self.error,
            lost=self.lost,
            started_at=self.started_at,
            updated_at=self.updated_at,
            rows=self.rows,
            thinned=self.thinned,
            stepped_at=self.stepped_at,
            phases=tuple(self.phases),
            models=tuple(
                Model(model.number, None if model.loss is None else unpack_number(model.loss), model.completed)
                for model in self.models
            ),
            pace=tuple(Pace(unpack_number(moment), unpack_number(steps)) for moment, steps in self.pace),
        )


def _column(values: list[Number | None]) -> Column:
    """Return a column; one of plain numbers, which most are, without looking at each."""
    try:
        return Column(array("d", cast("list[float]", values)))
    except TypeError:
        pass
    present = bytes(value is not None for value in values)
    numbers = array("d", [0.0 if value is None else unpack_number(value) for value in values])
    return Column(numbers, present if 0 in present else None)
