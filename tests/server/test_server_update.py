"""From a client's update to what is appended: rows where it says only numbers, events where it says more."""

from __future__ import annotations

from typing import Any

import pytest

from forge_widgets.core.events import Body, Event, Record
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import StepBlock
from forge_widgets.server.limits import Limits
from forge_widgets.server.update import Update, body_of, parse_error, parse_update

LIMITS = Limits()


def made(state: State | None = None, now: float = 1_000.0, **body: Any) -> Body:
    return body_of(parse_update(body, LIMITS), state or State(), now)


def state_after(*bodies: Body) -> State:
    state = State()
    for offset, body in enumerate(bodies, 1):
        state = fold(state, Record(offset=offset, attempt=1, producer="p", sequence=offset, body=body))
    return state


def test_a_step_of_numbers_alone_is_a_row() -> None:
    body = made(metrics={"loss": 1, "currentStep": 10})
    assert isinstance(body, StepBlock)
    assert list(body.rows()) == [
        (
            1_000.0,
            {"loss": 1.0, "currentStep": 10.0, "perplexity": pytest.approx(2.718, abs=0.001), "grokProgress": 1.0},
        )
    ]


@pytest.mark.parametrize("more", [{"status": "paused"}, {"message": "m"}, {"idempotencyKey": "k"}, {"timestamp": 5}])
def test_a_step_that_says_more_is_an_event(more: dict[str, Any]) -> None:
    body = made(metrics={"loss": 1.0}, **more)
    assert isinstance(body, Event)
    assert body.event_type == "step_update"


def test_a_step_without_a_number_is_an_event_too() -> None:
    assert isinstance(made(), Event)


def test_the_total_in_force_is_of_the_state_unless_the_update_names_one() -> None:
    state = state_after(made(eventType="training_started", metrics={"totalSteps": 20}))
    of_state, of_update = made(state, metrics={"currentStep": 5}), made(metrics={"currentStep": 5, "totalSteps": 10})
    assert isinstance(of_state, StepBlock)
    assert isinstance(of_update, StepBlock)
    assert (of_state.row(0)["grokProgress"], of_update.row(0)["grokProgress"]) == (25.0, 50.0)


def test_a_total_that_is_said_after_its_step_derives_the_progress_again_unless_the_client_says_it() -> None:
    derived, said = state_after(made(metrics={"currentStep": 50})), made(metrics={"currentStep": 50, "grokProgress": 7})

    def progress(state: State, **body: Any) -> float | None:
        late = made(state, metrics={"totalSteps": 100}, **body)
        return (late.row(0) if isinstance(late, StepBlock) else late.metrics).get("grokProgress")

    assert (progress(derived), progress(derived, message="m"), progress(state_after(said))) == (50.0, 50.0, None)
    # A start belongs to another attempt, whose step is not known yet.
    assert progress(derived, eventType="training_started") is None


def test_a_model_that_is_completed_is_the_one_in_training() -> None:
    body = made(state_after(made(metrics={"currentModel": 3})), eventType="model_completed")
    assert isinstance(body, Event)
    assert (body.message, body.metrics["currentModel"]) == ("Model 3 completed", 3.0)


def test_an_update_is_stamped_by_the_clock_and_never_before_the_newest_record() -> None:
    state = state_after(made(metrics={"loss": 1.0}, now=5_000.0))
    late, early = made(state, now=6_000.0, metrics={"loss": 2.0}), made(state, now=4_000.0, metrics={"loss": 2.0})
    assert isinstance(late, StepBlock)
    assert isinstance(early, StepBlock)
    assert late.timestamps[0] == 6_000.0
    assert 5_000.0 < early.timestamps[0] < 5_000.001


def test_keys_tell_a_repetition_from_a_new_update() -> None:
    def key(header: str = "", **body: Any) -> str:
        return parse_update(body, LIMITS, header).key

    assert key(metrics={"loss": 1.0}) == ""
    assert key(idempotencyKey="k") == key("k") == "http:k"
    at = "2025-01-15T10:30:45Z"
    assert key(timestamp=at, metrics={"loss": 1.0, "a": 2.0}) == key(metrics={"a": 2.0, "loss": 1.0}, timestamp=at)
    assert key(timestamp=at) == key(timestamp="2025-01-15T12:30:45.000+02:00") == key(timestamp=1736937045)
    assert key(timestamp=at, sessionId="a") == key(timestamp=at, sessionId="b")
    assert (
        len({key(timestamp=at), key(timestamp=at, metrics={}), key(timestamp=1), key(timestamp=at, status="error")})
        == 4
    )


def test_an_error_keeps_its_text_and_what_came_with_it() -> None:
    update = parse_error({"error": "out of memory", "metrics": {"loss": 3.0}, "status": "running"}, LIMITS)
    assert update == Update(event_type="training_error", metrics={"loss": 3.0}, error="out of memory")


@pytest.mark.parametrize(
    ("body", "error"), [({"error": "e", "message": "m"}, "e"), ({"message": "m"}, "m"), ({}, "training failed")]
)
def test_a_training_error_says_something(body: dict[str, Any], error: str) -> None:
    assert parse_update({"eventType": "training_error", **body}, LIMITS).error == error
