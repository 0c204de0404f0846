"""The small rules: attempts, liveness, the estimate, the contract's objects."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from forge_widgets import errors
from forge_widgets.core.attempts import choose_attempt, split_at_starts
from forge_widgets.core.document import event_message, iso_time, parse_time, progress_document, session_joined
from forge_widgets.core.eta import estimate, overall_total, progress_share, time_left
from forge_widgets.core.events import Body, Event, Producer, Record
from forge_widgets.core.liveness import Arrears, Heartbeat, arrears, connection_lost, is_live, lost_producer
from forge_widgets.core.state import NEVER, Metric, Pace, State, fold
from forge_widgets.core.steps import block_of

START = Event(event_type="training_started", timestamp=1.0)
STEP = block_of([(1.0, {"loss": 1.0})])
ME = Producer(id="me")
BARE = Producer(id="http", bare=True)


@pytest.mark.parametrize(
    ("producer", "first", "state", "groups", "attempt"),
    [
        (ME, STEP, State(), {}, 1),
        (ME, START, State(attempt=1, status="running"), {}, 2),
        (ME, STEP, State(attempt=1, status="running"), {}, 1),
        (ME, STEP, State(attempt=1, status="completed"), {}, 2),
        (ME, STEP, State(attempt=1, status="error"), {}, 2),
        (ME, STEP, State(attempt=1, status="running", lost=True), {}, 2),
        (Producer(id="me", resume=True), START, State(attempt=1, status="error"), {}, 1),
        (Producer(id="rank 1", group="job"), START, State(attempt=3), {"job": 2}, 2),
        (ME, START, State(attempt=3), {"me": 2}, 2),
        (BARE, START, State(attempt=1, status="running"), {}, 1),
        (BARE, START, State(attempt=1, status="completed"), {}, 2),
        (BARE, STEP, State(attempt=1, status="completed"), {}, 1),
    ],
)
def test_a_producer_writes_to_the_attempt_that_its_first_words_call_for(
    producer: Producer, first: Body, state: State, groups: dict[str, int], attempt: int
) -> None:
    assert choose_attempt(producer, first, state, groups) == attempt


def test_bodies_are_split_before_each_start() -> None:
    assert split_at_starts([STEP, START, STEP, START]) == [[STEP], [START, STEP], [START]]
    assert split_at_starts([START, STEP]) == [[START, STEP]]


RUNNING = State(attempt=2, status="running")


def beat(**fields: Any) -> Heartbeat:
    return Heartbeat(**{"producer": "p", "attempt": 2, "beat": 100.0, "lease_s": 20.0, **fields})


def test_a_producer_lives_while_its_process_does_and_by_its_lease_where_that_is_not_known() -> None:
    assert is_live(beat(), 1e9, lambda _: True)
    assert not is_live(beat(), 100.0, lambda _: False)
    assert is_live(beat(), 120.0, lambda _: None)
    assert not is_live(beat(), 121.0, lambda _: None)
    assert not is_live(beat(closed=True), 100.0, lambda _: True)


def test_a_training_is_lost_when_none_of_its_producers_is_left() -> None:
    gone = [beat(), beat(producer="q", beat=101.0), beat(producer="old", attempt=1, beat=500.0)]
    assert lost_producer(RUNNING, gone, 200.0, lambda _: None) == gone[1]
    assert lost_producer(RUNNING, [*gone, beat(producer="r")], 200.0, lambda b: b.producer == "r") is None
    said, again = connection_lost(gone[1], 200.0), connection_lost(beat(producer="q", beat=999.0), 201.0)
    assert (said.event_type, said.key) == ("connection_lost", again.key)


def test_what_producers_could_not_save_is_added_up_over_the_attempt_and_those_that_have_none_yet() -> None:
    told = [
        beat(unsaved=3),
        beat(unsaved=4, reason="full", attempt=0),
        beat(unsaved=9, reason="old", attempt=1),
        beat(),
    ]
    assert arrears(told, 2) == Arrears(7, "full")
    assert arrears([], 2) == Arrears()


@pytest.mark.parametrize("state", [State(attempt=2, status="completed"), State(attempt=2, status="running", lost=True)])
def test_nobody_is_missed_where_nobody_is_expected_or_it_was_said(state: State) -> None:
    assert lost_producer(state, [beat()], 1e9, lambda _: None) is None


def test_a_client_without_heartbeats_is_never_missed() -> None:
    assert lost_producer(RUNNING, [], 1e9, lambda _: None) is None


def test_the_estimate_is_what_is_left_at_the_pace_so_far_with_a_range() -> None:
    pace = [Pace(0.0, 0.0), Pace(1.0, 10.0), Pace(2.0, 30.0), Pace(3.0, 40.0), Pace(4.0, 40.0)]
    left = estimate(pace, 100)
    assert left is not None
    assert (left.steps_per_second, left.seconds) == (10.0, 6.0)
    assert left.low <= left.seconds <= left.high
    over = estimate(pace, 20)
    assert over is not None
    assert over.seconds == 0


@pytest.mark.parametrize(
    "pace",
    [
        [],
        [Pace(0.0, 0.0), Pace(1.0, 1.0)],
        [Pace(0.0, 5.0), Pace(1.0, 5.0), Pace(2.0, 5.0)],
        [Pace(0.0, 5.0), Pace(1.0, 9.0), Pace(2.0, 5.0)],
    ],
)
def test_without_movement_there_is_no_estimate(pace: list[Pace]) -> None:
    assert estimate(pace, 100) is None


def stepped(status: Any = "running", **metrics: float) -> State:
    pace = tuple(Pace(float(second), 10.0 * second) for second in range(5))
    return State(status=status, pace=pace, metrics={name: Metric(value, NEVER) for name, value in metrics.items()})


def test_progress_and_what_is_left_are_known_only_where_somebody_said_how_much_there_is() -> None:
    two = stepped(totalSteps=50.0, totalModels=2.0, currentModel=2.0, currentStep=25.0)
    assert (overall_total(two), progress_share(two)) == (100, 0.75)
    left = time_left(two)
    assert left is not None
    assert left.seconds == 6.0
    unsaid = stepped(currentStep=25.0)
    assert (overall_total(unsaid), progress_share(unsaid), time_left(unsaid)) == (None, None, None)
    third = stepped(totalSteps=50.0, currentModel=3.0, currentStep=50.0)
    assert (overall_total(third), progress_share(third)) == (150, 1.0)


@pytest.mark.parametrize(
    ("state", "share"),
    [
        (stepped("completed"), 1.0),
        (stepped(totalSteps=0.0), None),
        (stepped(totalSteps=math.inf), None),
        (stepped(totalSteps=10.0, currentStep=math.nan), None),
        (stepped(totalSteps=10.0, currentStep=99.0), 1.0),
        (stepped(totalSteps=10.0, currentStep=-1.0), 0.0),
    ],
)
def test_a_share_stays_within_its_bounds(state: State, share: float | None) -> None:
    assert progress_share(state) == share


def test_a_training_that_is_over_has_nothing_left() -> None:
    assert time_left(stepped("completed", totalSteps=10.0)) is None


@pytest.mark.parametrize(
    "text", ["2025-01-15T10:30:45Z", "2025-01-15T10:30:45+00:00", "2025-01-15T11:30:45+01:00", "2025-01-15T10:30:45"]
)
def test_times_are_read_with_any_zone_and_written_in_utc(text: str) -> None:
    assert parse_time(text) == 1736937045.0
    assert iso_time(parse_time(text)) == "2025-01-15T10:30:45.000Z"


def test_what_is_no_time_is_refused_and_what_no_calendar_holds_is_written_at_its_end() -> None:
    with pytest.raises(errors.InvalidInput, match="no time"):
        parse_time("yesterday")
    assert iso_time(1e300).startswith("9999-")
    assert iso_time(-5.0) == "1970-01-01T00:00:00.000Z"


def recorded(body: Body) -> State:
    return fold(State(), Record(offset=1, attempt=1, producer="p", sequence=1, body=body))


def test_the_progress_document_is_the_contracts() -> None:
    state = recorded(block_of([(1736937045.0, {"loss": 2.3, "currentStep": 450.0, "mine": math.nan})]))
    document = progress_document("cognate-123456", state)
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "sessionId": "cognate-123456",
        "metrics": {
            "loss": 2.3,
            "perplexity": 0,
            "grokProgress": 0,
            "currentStep": 450,
            "totalSteps": 1000,
            "currentModel": 1,
            "totalModels": 3,
            "learningRate": 0.001,
            "accuracy": 0,
            "mine": None,
        },
        "status": "running",
        "timestamp": "2025-01-15T10:30:45.000Z",
        "nonfinite": {"mine": "NaN"},
    }
    assert session_joined("s", state)["currentState"] == session_joined("s", state)["metrics"]


@pytest.mark.parametrize(
    ("event", "message_type", "beside"),
    [
        (
            Event(event_type="training_error", timestamp=1.0, error="oom"),
            "training_error",
            {"error": "oom", "status": "error"},
        ),
        (Event(event_type="connection_lost", timestamp=1.0), "connection_lost", {"eventType": "connection_lost"}),
        (Event(event_type="annotation", timestamp=1.0, message="note"), "annotation", {"message": "note"}),
        (
            Event(event_type="model_completed", timestamp=1.0, message="Model 2 completed"),
            "progress_update",
            {"eventType": "model_completed", "message": "Model 2 completed"},
        ),
    ],
)
def test_each_event_has_the_contracts_message(event: Event, message_type: str, beside: dict[str, str]) -> None:
    message = event_message("s", recorded(event), event)
    assert message["type"] == message_type
    assert message["sessionId"] == "s"
    assert {name: message[name] for name in beside} == beside


def test_errors_say_what_happened_what_was_expected_and_what_to_do() -> None:
    assert str(errors.SessionNotFound("a", "sqlite:///x")).startswith("session 'a' is not in the store sqlite:///x; ")
    assert "send again from 3" in str(errors.SequenceGap("p", 3, 5))
    assert str(errors.StoreUnavailable("u", "full")) == "the store u is not available: full"
    assert "pip install 'x[y]'" in str(errors.MissingDependency("pandas", "this", "x[y]"))
    assert errors.StoreDamaged("f", "torn").reason == "torn"
    assert errors.InvalidStoreURL("x://", "no").url == "x://"
