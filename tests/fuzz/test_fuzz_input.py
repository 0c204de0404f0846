"""What clients send, before it is anywhere near a store: refused in words, or something that every viewer can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from forge_widgets.core.document import event_message, progress_document, session_joined
from forge_widgets.core.events import Batch, Event, Producer, Record
from forge_widgets.core.intake import BatchMessage, HeartbeatMessage, RecordMessage, StateMessage, read_message
from forge_widgets.core.liveness import arrears, lost_producer
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import StepBlock
from forge_widgets.core.subscription import Cursor, SessionLog
from forge_widgets.core.wire import (
    batch_message,
    encode,
    frame_message,
    heartbeat_message,
    record_message,
    state_message,
)
from forge_widgets.errors import InvalidInput
from forge_widgets.server.body import parse_object
from forge_widgets.server.handlers import FURTHEST, count_argument, number_argument
from forge_widgets.server.limits import Limits
from forge_widgets.server.update import body_of, parse_error, parse_update
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.processes import process_alive, this_host
from tests.fuzz.garbage import JSON, PATIENT, TEXTS, bent, event, fuzzed, mutated, rows, strict, written

pytestmark = PATIENT

LIMITS = Limits()
UPDATES: list[Any] = [
    {"eventType": "step_update", "metrics": {"loss": 2.5, "currentStep": 4, "totalSteps": 10, "mine": "NaN"}},
    {
        "eventType": "training_started",
        "metrics": {"totalSteps": 10},
        "timestamp": "2025-01-15T10:30:45Z",
        "message": "go",
    },
    {
        "eventType": "model_completed",
        "metrics": {"currentModel": 2, "loss": 0.1},
        "idempotencyKey": "k",
        "status": "paused",
    },
    {"eventType": "phase_completed", "phase": "training_complete", "timestamp": 1_800_000_000},
    {"eventType": "training_error", "error": "out of memory", "sessionId": "other"},
]
BATCH = batch_message(
    Batch(
        producer=Producer(id="p", group="g", pid=7, host="h"),
        sequence=1,
        bodies=[event("training_started"), rows(0, 4, odd=float("nan")), event("phase_completed", name="one", key="k")],
    )
)
RECORDS = [
    record_message(Record(offset=3, attempt=1, producer="p", sequence=3, body=rows(0, 4, up=float("inf")))),
    record_message(Record(offset=7, attempt=1, producer="p", sequence=7, body=event("training_error", error="x"))),
]
STATE = state_message(
    fold_all(State(), [Record(offset=1, attempt=1, producer="p", sequence=1, body=rows(0, 90, currentModel=1.0))])
)
BEAT = {
    "producer": "p",
    "attempt": 1,
    "pid": 9,
    "host": this_host(),
    "beat": 1.8e9,
    "leaseS": 20.0,
    "unsaved": 1,
    "reason": "full",
}


@contextmanager
def suppress_well_said() -> Iterator[None]:
    """Let an input be refused, if the error says what, where and what was expected, and not much more."""
    try:
        yield
    except InvalidInput as error:
        told = str(error)
        assert f" in {error.where}: expected {error.expected}" in told  # noqa: PT017
        assert len(told) < 1_000


def show(store: MemoryStore) -> None:
    """Show a session as its viewers get it."""
    read, snapshot = store.read("s", 0), store.snapshot("s")
    if read is None or snapshot is None:
        return
    strict(encode(progress_document("s", snapshot.state)))
    strict(encode(session_joined("s", snapshot.state)))
    log = SessionLog("s")
    log.apply(read)
    assert msgspec.to_builtins(log.state) == msgspec.to_builtins(snapshot.state) or "nan" in repr(log.state)
    for cursor in (None, Cursor(read.epoch, 0), Cursor(read.epoch, max(0, read.top - 1))):
        frame = log.frame(cursor)
        if frame is not None:
            strict(encode(frame_message("s", frame, log.series)))
    for record in read.records:
        if isinstance(record.body, Event):
            strict(encode(event_message("s", snapshot.state, record.body)))
        else:
            assert isinstance(record.body, StepBlock)
            assert all(column.last() >= 0 for column in record.body.columns.values())


@fuzzed(400)
@given(
    st.sampled_from(UPDATES).flatmap(lambda update: bent(update).map(written) | mutated(written(update)))
    | JSON.map(written)
    | st.binary(max_size=60)
)
@example(b'{"metrics": {"loss": 1e400}}')
@example(b'{"metrics": {"loss": -0}}')
@example(b'{"metrics": {"loss": ' + b"9" * 5_000 + b"}}")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"metrics": {"\\ud800": 1}}')
@example(b'{"timestamp": "1970-01-01T00:00:00+23:59"}')
@example(b'{"timestamp": "9999-12-31T23:59:59-23:59"}')
@example(b'{"eventType": "phase_completed", "message": "Phase \\ud800 completed"}')
@example(b'{"eventType": "model_completed", "metrics": {"currentModel": Infinity}}')
@example(b'{"eventType": "model_completed", "metrics": {"currentModel": NaN}}')
@example(b'{"timestamp": 5, "x": "\\ud800"}')
def test_an_update_is_refused_or_shown(encoded: bytes) -> None:
    store = MemoryStore("memory://fuzz")
    for parse in (parse_update, parse_error):
        with suppress_well_said():
            update = parse(parse_object(encoded, LIMITS), LIMITS)
            for now in (0.0, 1_800_000_000.0):
                snapshot = store.snapshot("s")
                body = body_of(update, State() if snapshot is None else snapshot.state, now)
                store.append("s", Batch(producer=Producer(id="h", bare=True), sequence=0, bodies=[body]))
            show(store)


@fuzzed(400)
@given(bent(BATCH).map(written) | mutated(written(BATCH)) | JSON.map(written) | st.binary(max_size=60))
@example(written({**BATCH, "bodies": [{"rows": {"timestamps": [], "columns": {}, "thinned": 0}}]}))
@example(written({**BATCH, "bodies": [{"rows": {"timestamps": [1.0], "columns": {"loss": [None]}}}]}))
@example(written({**BATCH, "bodies": [{"rows": {"timestamps": [1.0], "columns": {"": [1], "\x00": [2]}}}]}))
@example(
    written({**BATCH, "bodies": [{"rows": {"timestamps": [1.0, 2.0], "columns": {"currentModel": [1e308, None]}}}]})
)
@example(written({**BATCH, "sequence": 2**53}))
@example(written({**BATCH, "producer": {"id": "\ud800"}}))
@example(b'{"producer":{"id":"p"},"sequence":1,"bodies":[{"rows":{"timestamps":[1e400]}}]}')
@example(b'{"x":' * 100_000)
def test_a_batch_is_refused_or_shown(encoded: bytes) -> None:
    store = MemoryStore("memory://fuzz")
    with suppress_well_said():
        batch = read_message(encoded, BatchMessage).batch()
        store.append("s", batch)
        store.append("s", batch)  # the second time it is there already
        show(store)
        assert msgspec.json.decode(encode(batch_message(batch)))


@fuzzed(200)
@given(st.sampled_from(RECORDS).flatmap(lambda record: bent(record).map(written) | mutated(written(record))))
def test_a_record_that_a_server_sends_is_refused_or_read(encoded: bytes) -> None:
    with suppress_well_said():
        record = read_message(encoded, RecordMessage).record()
        strict(encode(record_message(record)))
        fold_all(State(), [record])


@fuzzed(200)
@given(bent(STATE).map(written) | mutated(written(STATE)))
def test_a_state_that_a_server_sends_is_refused_or_shown(encoded: bytes) -> None:
    with suppress_well_said():
        state = read_message(encoded, StateMessage).state()
        strict(encode(state_message(state)))
        strict(encode(progress_document("s", state)))


@fuzzed(200)
@given(bent(BEAT).map(written) | mutated(written(BEAT)))
@example(written({**BEAT, "pid": 2**40}))
def test_a_heartbeat_is_refused_or_shown(encoded: bytes) -> None:
    with suppress_well_said():
        heartbeat = read_message(encoded, HeartbeatMessage).heartbeat()
        state = State(attempt=heartbeat.attempt, status="running")
        lost_producer(state, [heartbeat], 1.8e9, process_alive)
        strict(encode(heartbeat_message(Cursor("e", 1), arrears([heartbeat], 1), 1.0)))


@fuzzed(300)
@given(TEXTS | st.integers().map(str) | st.floats().map(str) | st.from_regex(r"[-+]?[0-9_.eE]{0,20}", fullmatch=True))
@example("1e400")
@example("-0")
@example("nan")
@example("1_0")
@example("１２")
@example("9007199254740993")
@example("9" * 5_000)
@example("1" + "e" * 100)
@example(" 1")
def test_a_number_of_a_query_is_refused_or_within_its_bounds(text: str) -> None:
    with suppress_well_said():
        value = number_argument(text, "wait", 0, 20)
        assert (value is None) == (text == "")
        assert value is None or 0 <= value <= 20
    with suppress_well_said():
        count = count_argument(text, "after")
        assert (count is None) == (text == "")
        assert count is None or 0 <= count <= FURTHEST


@fuzzed(300)
@given(TEXTS | st.text(st.sampled_from("aZ09._-\n /%\u0131\u0660"), max_size=140))
@example("..")
@example(".")
@example("a\n")
@example("%2e%2e")
@example("a/b")
@example("\u0661")
@example("x" * 129)
def test_a_session_id_is_refused_or_plain(text: str) -> None:
    with suppress_well_said():
        session_id = check_session_id(text)
        assert session_id.isascii()
        assert 1 <= len(session_id) <= 128
        assert not set(session_id) & set("/\\%\n :")
        assert session_id not in (".", "..")
