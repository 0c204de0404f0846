"""What a viewer has applied of one session, by the rules of docs/PROTOCOL.md: apply iff from <= cursor + 1 <= to, drop what
lies behind, ask again at a hole. No network; the checker judges it, whoever followed.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from forge_widgets.core.events import Event, Record
from forge_widgets.core.metrics import unpack_number
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import Column, StepBlock

Json = dict[str, Any]


@dataclass(slots=True)
class Chapter:
    """What a viewer has applied from one key frame on."""

    epoch: str
    # The key frame's position and state; False where it came in place of a cursor that was not honoured.
    start: int
    base: State
    recovered: bool
    # What came after it, in order, each cut to what was new.
    records: list[Record] = field(default_factory=list)


class View:
    """What was applied of one session, from each key frame on."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        # What was applied, the newest last, and the state after it.
        self.chapters: list[Chapter] = []
        self.state = State()
        self.offset = 0
        # Whether the curves could have more points; rows that were only seen as points of a curve, and the events among them.
        self.coarse = False
        # Points of the newest key frame's curves.
        self._points = 0
        self.coalesced = 0
        self.events: list[Record] = []
        # Step rows of the attempt that the curves of the newest key frame lacked, since they were trimmed from the log.
        self.trimmed = 0
        # When something was applied last (monotonic seconds).
        self.applied_at = 0.0

    @property
    def unbroken(self) -> bool:
        """Whether it has gone on from its own cursor in one log all along, whatever came coalesced."""
        return all(one.recovered and one.epoch == self.chapters[0].epoch for one in self.chapters)

    @property
    def position(self) -> tuple[str, int]:
        """The cursor: epoch and the last offset that was applied."""
        return (self.chapters[-1].epoch, self.offset) if self.chapters else ("", 0)

    def close(self) -> None:
        """End whatever follows."""

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Wait until a condition holds; fail at the deadline, saying how far the view got."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"no {what} in {timeout_s} s: {self}"
            time.sleep(0.01)

    def take(self, frame: Json) -> Literal["applied", "dropped", "hole"]:
        """Apply a frame iff it goes on from the cursor."""
        epoch = self.chapters[-1].epoch if self.chapters else None
        if frame["key"]:
            points = sum(len(line["steps"]) for line in frame["series"])
            finer = self.coarse and (not frame.get("coarse", False) or points > self._points)
            refines = frame["to"] == self.offset and finer
            if epoch == frame["epoch"] and frame["to"] <= self.offset and not refines:
                return "dropped"
            self.coarse, self._points = frame.get("coarse", False), points
            self.trimmed = frame.get("trimmed", 0)
            self.coalesced += frame.get("coalesced", 0)
            self.events += [record_of(message) for message in frame.get("events", ())]
            self.state = state_of(frame["state"])
            if frame["epoch"]:
                self.chapters.append(Chapter(frame["epoch"], frame["to"], self.state, frame["recovered"]))
                self.offset = frame["to"]
                self.applied_at = time.monotonic()
            return "applied"
        if epoch != frame["epoch"] or frame["from"] > self.offset + 1:
            return "hole"
        if frame["to"] <= self.offset:
            return "dropped"
        # Parsed whole before anything of it is applied.
        for record in [record_of(message) for message in frame["records"]]:
            self._apply(record)
        assert self.offset == frame["to"], f"a frame to {frame['to']} held records up to {self.offset} only"
        self.applied_at = time.monotonic()
        return "applied"

    def _apply(self, record: Record) -> None:
        if record.last <= self.offset:
            return
        skip = max(0, self.offset + 1 - record.offset)
        if skip and isinstance(record.body, StepBlock):
            record = Record(
                offset=record.offset + skip,
                attempt=record.attempt,
                producer=record.producer,
                sequence=record.sequence + skip,
                body=record.body.slice(skip),
            )
        if record.attempt > self.state.attempt:
            self.coarse = False
        self.state = fold(self.state, record)
        self.chapters[-1].records.append(record)
        self.offset = record.last


def record_of(message: Json) -> Record:
    """Read a record of a delta frame."""
    body: Event | StepBlock
    if "event" in message:
        event = message["event"]
        metrics = {name: unpack_number(value) for name, value in event.get("metrics", {}).items()}
        body = msgspec.convert({**event, "metrics": metrics}, Event)
    else:
        rows = message["rows"]
        columns = {name: _column_of(values) for name, values in rows["columns"].items()}
        body = StepBlock(array("d", rows["timestamps"]), columns, rows["thinned"])
    return Record(
        offset=message["offset"],
        attempt=message["attempt"],
        producer=message["producer"],
        sequence=message["sequence"],
        body=body,
    )


def state_of(message: Json) -> State:
    """Read the state of a key frame."""
    metrics = {name: [unpack_number(value), stamp] for name, (value, stamp) in message["metrics"].items()}
    pace = [[unpack_number(at), unpack_number(steps)] for at, steps in message["pace"]]
    models = [
        {**model, "loss": None if model["loss"] is None else unpack_number(model["loss"])}
        for model in message["models"]
    ]
    return msgspec.convert({**message, "metrics": metrics, "pace": pace, "models": models}, State)


def _column_of(values: list[float | str | None]) -> Column:
    present = bytes(value is not None for value in values)
    numbers = array("d", [0.0 if value is None else unpack_number(value) for value in values])
    return Column(numbers, present if 0 in present else None)
