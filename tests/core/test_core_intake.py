"""What comes in over the wire: all that wire writes comes back as it was, and what can't be used is refused whole."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from forge_widgets.core import wire
from forge_widgets.core.events import EVENT_TYPES, STATUSES, Batch, Event, Producer, Record
from forge_widgets.core.intake import (
    BatchMessage,
    BodyMessage,
    EventMessage,
    HeartbeatMessage,
    ProducerMessage,
    RecordMessage,
    StateMessage,
    read_message,
)
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import StepBlock, block_of
from forge_widgets.errors import InvalidInput

START = 1_760_000_000.0

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats() | st.integers(0, 10**6).map(float)
metrics = st.dictionaries(texts | st.sampled_from(["loss", "currentStep", "currentModel"]), numbers, max_size=4)
events = st.builds(
    Event,
    event_type=st.sampled_from(sorted(EVENT_TYPES)),
    timestamp=st.floats(0, 2e9),
    metrics=metrics,
    status=st.none() | st.sampled_from(sorted(STATUSES)),
    message=texts,
    name=texts,
    error=texts,
    key=texts,
)
blocks = st.builds(
    lambda rows, thinned: block_of([(START + index, row) for index, row in enumerate(rows)], thinned),
    st.lists(metrics, max_size=5),
    st.integers(0, 100),
)


def same(one: object, other: object) -> bool:
    """Compare as values: NaN is NaN, a list is an array."""
    return repr(msgspec.to_builtins(plain(one))) == repr(msgspec.to_builtins(plain(other)))


def plain(value: Any) -> Any:
    if isinstance(value, StepBlock):
        return [value.thinned, [(at, sorted((name, x + 0.0) for name, x in row.items())) for at, row in value.rows()]]
    if isinstance(value, Event):
        return msgspec.structs.replace(value, metrics=plain_metrics(value.metrics))
    if isinstance(value, State):
        kept = {name: (metric.value + 0.0, metric.stamp) for name, metric in value.metrics.items()}
        return [kept, msgspec.structs.replace(value, metrics={})]
    return value


def plain_metrics(given: dict[str, float]) -> dict[str, float]:
    return {name: value + 0.0 for name, value in given.items()}


@given(st.lists(events | blocks, max_size=4))
def test_a_batch_comes_back_as_it_was_sent(bodies: list[Event | StepBlock]) -> None:
    producer = Producer(id="p", group="g", resume=True, pid=7, host="h/1")
    encoded = wire.encode(wire.batch_message(Batch(producer=producer, sequence=9, bodies=bodies)))
    read = read_message(encoded, BatchMessage).batch()
    assert (read.producer, read.sequence) == (producer, 9)
    assert [same(one, other) for one, other in zip(read.bodies, bodies, strict=True)] == [True] * len(bodies)


@given(st.lists(events | blocks.filter(len), min_size=1, max_size=4))
def test_records_and_the_state_they_fold_to_come_back_as_they_were(bodies: list[Event | StepBlock]) -> None:
    records, offset = [], 1
    for body in bodies:
        records.append(Record(offset=offset, attempt=1, producer="p", sequence=offset, body=body))
        offset = records[-1].last + 1
    for record in records:
        read = read_message(wire.encode(wire.record_message(record)), RecordMessage).record()
        assert same(read.body, record.body)
        assert (read.offset, read.last, read.attempt, read.producer) == (record.offset, record.last, 1, "p")
    state = fold_all(State(), records)
    assert same(read_message(wire.encode(wire.state_message(state)), StateMessage).state(), state)


def test_a_state_with_everything_in_it_comes_back() -> None:
    rows = block_of([(START + n, {"currentStep": float(n), "currentModel": 1.0, "loss": math.nan}) for n in range(4)])
    records = [
        Record(
            offset=1, attempt=1, producer="p", sequence=1, body=Event(event_type="training_started", timestamp=START)
        ),
        Record(offset=2, attempt=1, producer="p", sequence=2, body=rows),
        Record(
            offset=6,
            attempt=1,
            producer="p",
            sequence=6,
            body=Event(event_type="phase_completed", timestamp=START + 9, name="warm", message="Phase warm completed"),
        ),
        Record(
            offset=7,
            attempt=1,
            producer="p",
            sequence=7,
            body=Event(event_type="model_completed", timestamp=START + 9, metrics={"currentModel": 2.0}),
        ),
    ]
    state = fold_all(State(), records)
    assert state.models[1].loss is None
    assert len(state.phases) == 1
    assert len(state.pace) == 4
    assert same(read_message(wire.encode(wire.state_message(state)), StateMessage).state(), state)


GOOD: dict[str, Any] = {
    "producer": {"id": "p"},
    "sequence": 1,
    "bodies": [{"rows": {"timestamps": [1, 2], "columns": {"loss": [1, None]}, "thinned": 0}}],
    "unknown": {"is": ["passed", "over"]},
}


def test_a_field_that_is_not_known_is_passed_over() -> None:
    assert len(read_message(wire.encode(GOOD), BatchMessage).batch().bodies[0]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"producer": {"id": ""}},
        {"producer": {"id": "x" * 201}},
        {"producer": None},
        {"sequence": -1},
        {"sequence": 2**53 + 1},
        {"sequence": 1.5},
        {"sequence": True},
        {"bodies": [{}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1}, "rows": {"timestamps": []}}]},
        {"bodies": [{"event": {"eventType": "hello", "timestamp": 1}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": -1}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1e15}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1, "metrics": {"loss": "much"}}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1, "metrics": {"n" * 201: 1}}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1, "status": "asleep"}}]},
        {"bodies": [{"event": {"eventType": "alert", "timestamp": 1, "key": "k" * 1_001}}]},
        {"bodies": [{"rows": {"timestamps": [1, 2], "columns": {"loss": [1]}}}]},
        {"bodies": [{"rows": {"timestamps": [2, 1]}}]},
        {"bodies": [{"rows": {"timestamps": [1], "thinned": -1}}]},
        {"bodies": [{"rows": {"timestamps": [1], "columns": {"loss": [[1]]}}}]},
    ],
)
def test_a_batch_with_something_wrong_in_it_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_message(wire.encode({**GOOD, **wrong}), BatchMessage).batch()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"nonsense",
        b'{"rows": {"timestamps": [NaN]}}',
        b'{"rows": {"timestamps": [1e400]}}',
        b'{"event": {"eventType": "alert", "timestamp": 1, "message": "\\ud800"}}',
        b'{"event": {"eventType": "alert", "timestamp": 1, "message": "\xff"}}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_of_ours_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="BodyMessage"):
        read_message(text, BodyMessage)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Event, EventMessage), (Producer, ProducerMessage), (Heartbeat, HeartbeatMessage), (State, StateMessage)],
)
def test_every_field_of_ours_is_read(kind: type[msgspec.Struct], message: type[msgspec.Struct]) -> None:
    assert {field.name for field in fields(message)} == {field.name for field in fields(kind)}


def test_a_heartbeat_comes_back_as_it_was_sent() -> None:
    sent = Heartbeat(
        producer="p", attempt=2, pid=3, host="h/1", beat=START, durable=9, unsaved=4, reason="full", closed=True
    )
    assert read_message(msgspec.json.encode(sent), HeartbeatMessage).heartbeat() == sent


@pytest.mark.parametrize("wrong", [b"{}", b'{"producer": "p", "leaseS": 1e9}', b'{"producer": "p", "pid": -1}'])
def test_a_heartbeat_that_can_not_be_one_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_message(wrong, HeartbeatMessage)


@given(st.binary(max_size=200))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_message(noise, BatchMessage)
