"""The contract's table of WebSocket messages, row by row, as the library `websockets` speaks them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.conftest import Script
from tests.contract.servers import Server, until
from tests.contract.test_contract_document import NINE, is_moment

PROGRESS = {"sessionId", "metrics", "status", "timestamp"}

STEPS = """
import sys, time
from forge_widgets import create_progress_hooks
hooks = create_progress_hooks({session_id!r})
hooks.emit_training_started(total_steps=1_000_000)
step = 0
print("started", flush=True)
while True:
    step += 1
    hooks.emit_step_update(step=step, loss=1 / step)
    time.sleep({pause_s})
"""


# --- what comes -----------------------------------------------------------------------------------


def test_on_connect_the_session_is_joined(mount: Server, session_id: str) -> None:
    """
    on connect | `{"type": "session_joined", "sessionId", "currentState": {the metrics}, "status", "timestamp"}`
    JSON text messages, the whole document each time.
    """
    mount.update(session_id, metrics={"loss": 0.5, "mine": 2}, status="paused")
    with mount.socket(f"/ws/{session_id}") as viewer:
        greeting = viewer.hear()
    document = mount.progress(session_id)
    assert (greeting["type"], greeting["sessionId"]) == ("session_joined", session_id)
    assert greeting["currentState"] == document["metrics"]
    assert (greeting["status"], greeting["timestamp"]) == ("paused", document["timestamp"])


@pytest.mark.parametrize(
    ("event_type", "body", "message", "status"),
    [
        ("training_started", {"metrics": {"totalSteps": 10}}, None, "running"),
        ("step_update", {"metrics": {"currentStep": 5, "loss": 0.5}}, None, "running"),
        ("step_update", {"metrics": {"loss": 0.5}, "message": "half way"}, "half way", "running"),
        ("model_completed", {"metrics": {"currentModel": 2}}, "Model 2 completed", "running"),
        ("phase_completed", {"phase": "warmup"}, "Phase warmup completed", "running"),
        ("phase_completed", {"message": "Phase warmup completed"}, "Phase warmup completed", "running"),
        ("phase_completed", {"phase": "training_complete"}, "Phase training_complete completed", "completed"),
        ("phase_completed", {"message": "Phase completed_x completed"}, "Phase completed_x completed", "completed"),
    ],
)
def test_an_update_is_told_as_progress_update(
    mount: Server, session_id: str, event_type: str, body: dict[str, Any], message: str | None, status: str
) -> None:
    """
    `{"type": "progress_update", "eventType": "training_started" / "step_update" / "model_completed" / "phase_completed",
    "sessionId", "metrics", "status", "message", "timestamp"}`
    Every progress message is the progress document with more fields.
    `message` of `model_completed` is `Model 2 completed`, of `phase_completed` `Phase NAME completed`.
    A `phase_completed` whose name contains `complete` sets the status `completed`.
    """
    with mount.viewer(session_id) as viewer:
        mount.update(session_id, event_type, **body)
        told = viewer.hear()
    assert (told["type"], told["eventType"]) == ("progress_update", event_type)
    assert told.keys() >= PROGRESS | {"message"}
    assert set(told["metrics"]) >= set(NINE)
    assert told["metrics"].items() >= body.get("metrics", {}).items()
    assert told["status"] == status == mount.status(session_id)
    assert isinstance(told["message"], str)
    assert message in (None, told["message"])
    assert is_moment(told["timestamp"])


def test_an_error_is_told_as_training_error(mount: Server, session_id: str) -> None:
    """
    `{"type": "training_error", "eventType": "training_error", "sessionId", "error", "status": "error", "timestamp"}`
    """
    text = "CUDA out of memory <b>& \u202e\n"
    with mount.viewer(session_id) as viewer:
        assert mount.post(f"/api/progress/{session_id}/error", {"error": text}).status_code == 200
        told = viewer.hear()
    assert {name: told[name] for name in ("type", "eventType", "sessionId", "error", "status")} == {
        "type": "training_error",
        "eventType": "training_error",
        "sessionId": session_id,
        "error": text,
        "status": "error",
    }
    assert is_moment(told["timestamp"])


def test_a_training_that_is_gone_without_a_word_is_connection_lost(
    jupyter_mount: Server, standalone_mount: Server, session_id: str, script: Script
) -> None:
    """
    `{"type": "connection_lost", "eventType": "connection_lost", "sessionId", "status", "timestamp"}`: the training process
    has gone without a word
    """
    with jupyter_mount.viewer(session_id) as first, standalone_mount.viewer(session_id) as second:
        training = script(STEPS.format(session_id=session_id, pause_s=0.05))
        for viewer in (first, second):
            viewer.hear_until(lambda told: told["metrics"]["currentStep"] > 3)
        training.kill()
        for viewer in (first, second):
            told = viewer.hear_until(lambda told: told["type"] != "progress_update", 30)[-1]
            assert (told["type"], told["eventType"]) == ("connection_lost", "connection_lost")
            assert (told["sessionId"], told["status"]) == (session_id, "running")
            assert is_moment(told["timestamp"])
    types = [body.get("eventType") for body in standalone_mount.log(session_id)]
    assert types.count("connection_lost") == 1


# --- what is said and answered --------------------------------------------------------------------


def test_a_ping_is_answered_by_a_pong(mount: Server, session_id: str) -> None:
    """
    `{"type": "ping"}` | `{"type": "pong", "timestamp"}`
    """
    with mount.viewer(session_id) as viewer:
        viewer.say(type="ping")
        answer = viewer.hear()
    assert set(answer) == {"type", "timestamp"}
    assert answer["type"] == "pong"
    assert is_moment(answer["timestamp"])


def test_get_status_is_answered_by_the_session(mount: Server, session_id: str) -> None:
    """
    `{"type": "get_status"}` | `{"type": "status_response", "sessionId", "data": {…the session…}}`
    """
    with mount.viewer(session_id) as viewer:
        waiting = viewer.ask("status_response", type="get_status")["data"]
        assert (waiting["status"], waiting["metrics"]) == ("waiting", NINE)
        mount.step(session_id, loss=0.5)
        answer = viewer.ask("status_response", type="get_status")
        assert answer == {"type": "status_response", "sessionId": session_id, "data": mount.progress(session_id)}


@pytest.mark.parametrize("spelling", ["sessionId", "session_id"])
def test_get_session_status_says_whether_a_session_is_there(
    mount: Server, session_id: str, new_id: Callable[[], str], spelling: str
) -> None:
    """
    `{"type": "get_session_status", "sessionId"?}` | `{"type": "session_status", "sessionId", "exists", "data"?}`
    """
    other = new_id()
    mount.step(other, loss=0.5)
    with mount.viewer(session_id) as viewer:
        own = viewer.ask("session_status", type="get_session_status")
        assert own == {"type": "session_status", "sessionId": session_id, "exists": False}
        there = viewer.ask("session_status", type="get_session_status", **{spelling: other})
        assert there == {"type": "session_status", "sessionId": other, "exists": True, "data": mount.progress(other)}
        beside = viewer.ask("session_status", type="get_session_status", sessionId=None, session_id=other)
        assert beside["sessionId"] == other


@pytest.mark.parametrize("spelling", ["sessionId", "session_id"])
def test_a_connection_without_a_session_joins_rooms(mount: Server, new_id: Callable[[], str], spelling: str) -> None:
    """
    `{"type": "join_room", "sessionId" (or "session_id")}` | `session_joined` for that session;
    a connection may be in many rooms (`PREFIX/ws` starts in none)
    """
    rooms = [new_id() for _ in range(3)]
    with mount.socket("/ws") as viewer:
        for room in rooms:
            joined = viewer.ask("session_joined", type="join_room", **{spelling: room})
            assert (joined["sessionId"], joined["status"], joined["currentState"]) == (room, "waiting", NINE)
        for room in reversed(rooms):
            mount.step(room, loss=0.5)
            told = viewer.hear_type("progress_update")
            assert (told["sessionId"], told["metrics"]["loss"]) == (room, 0.5)
        assert mount.progress(rooms[0])["connection_count"] == 1


def test_a_connection_that_joined_nothing_is_told_of_nothing(mount: Server, session_id: str) -> None:
    """
    (`PREFIX/ws` starts in none)
    """
    with mount.socket("/ws") as viewer, mount.viewer(session_id) as witness:
        mount.step(session_id, loss=0.5)
        witness.hear_type("progress_update")
        viewer.say(type="ping")
        assert viewer.hear()["type"] == "pong"
        # What is asked of no session can't be understood.
        assert "expected" in viewer.ask("error", type="get_status")["error"]


@pytest.mark.parametrize("spelling", ["sessionId", "session_id"])
def test_a_room_that_was_left_is_silent(mount: Server, new_id: Callable[[], str], spelling: str) -> None:
    """
    `{"type": "leave_room", "sessionId"}` | `{"type": "room_left", "sessionId"}`, and nothing more of that session
    """
    left, kept = new_id(), new_id()
    with mount.viewer(left) as viewer, mount.viewer(left) as witness:
        viewer.ask("session_joined", type="join_room", sessionId=kept)
        answer = viewer.ask("room_left", type="leave_room", **{spelling: left})
        assert answer == {"type": "room_left", "sessionId": left}
        for loss in (0.5, 0.25):
            mount.step(left, loss=loss)
            witness.hear_until(lambda told, loss=loss: told["metrics"]["loss"] == loss)  # type: ignore[misc]
        mount.step(kept, loss=0.1)
        assert viewer.hear()["sessionId"] == kept
        viewer.ask("session_joined", type="join_room", sessionId=left)
        mount.step(left, loss=0.2)
        assert viewer.hear()["sessionId"] == left


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello", "{", "[]", "7", "null", '"ping"', "{}", '{"type": null}', '{"type": 7}', '{"type": "dance"}'),
        *(
            '{"type": "join_room"}',
            '{"type": "join_room", "sessionId": {"a": 1}}',
            '{"type": "leave_room"}',
            "[" * 50_000,
        ),
        *('{"type": "subscribe"}', b'{"type": "ping"}', '{"type": "ping", "x": 1e999}'),
    ],
    ids=range(18),
)
def test_a_message_that_can_not_be_understood_is_answered_and_the_connection_lives(
    mount: Server, session_id: str, text: str | bytes
) -> None:
    """
    A message that can't be understood is answered `{"type": "error", "error": …}` and the connection lives.
    """
    with mount.socket("/ws") as viewer:
        viewer.connection.send(text)
        answer = viewer.hear()
        assert answer["type"] == "error"
        assert "expected" in answer["error"]
        assert viewer.ask("pong", type="ping")
        viewer.ask("session_joined", type="join_room", sessionId=session_id)


# --- how much of it -------------------------------------------------------------------------------


def test_a_client_gets_at_most_twenty_messages_a_second_and_the_newest_state(
    mount: Server, session_id: str, script: Script
) -> None:
    """
    A client that says nothing but the above gets every lifecycle event and the newest state of the steps, at most 20 a second.
    """
    with mount.viewer(session_id) as viewer:
        training = script(STEPS.format(session_id=session_id, pause_s=0.001))
        viewer.hear_until(lambda told: told["metrics"]["currentStep"] > 10)
        start = time.monotonic()
        heard = viewer.hear_until(lambda told: time.monotonic() - start > 2)
        took_s = time.monotonic() - start
        training.kill()
    steps = [told["metrics"]["currentStep"] for told in heard]
    assert len(heard) <= 20 * took_s + 2
    assert steps == sorted(set(steps)), "steps never go back, and none comes twice"
    assert steps[-1] - steps[0] > 2 * len(steps), "steps between are left out"


def test_every_lifecycle_event_is_told_in_order_however_fast_they_come(
    mount: Server, session_id: str, run: Callable[..., str]
) -> None:
    """
    gets every lifecycle event and the newest state of the steps
    """
    with mount.viewer(session_id) as viewer:
        run(f"""
from forge_widgets import create_progress_hooks
hooks = create_progress_hooks({session_id!r})
hooks.emit_training_started(total_steps=50, total_models=40)
for model in range(40):
    for step in range(50):
        hooks.emit_step_update(step=step, loss=1 / (1 + step), model_idx=model)
    hooks.emit_model_completed(model_idx=model, final_loss=model)
hooks.emit_phase_completed("training_complete")
hooks.emit_error("late")
""")
        heard = viewer.hear_until(lambda told: told["type"] == "training_error")
    events = [told.get("message") or told.get("error") for told in heard if told["eventType"] != "step_update"]
    models = [f"Model {number} completed" for number in range(1, 41)]
    assert events == ["Training started", *models, "Phase training_complete completed", "late"]
    losses = [told["metrics"]["loss"] for told in heard if told["eventType"] == "model_completed"]
    assert losses == list(range(40))


def test_the_newest_state_comes_though_nothing_follows_it(mount: Server, session_id: str) -> None:
    """
    the newest state of the steps, at most 20 a second.
    """
    with mount.viewer(session_id) as viewer:
        for step in range(1, 31):
            mount.step(session_id, currentStep=step)
        heard = viewer.hear_until(lambda told: told["metrics"]["currentStep"] == 30)
    assert {told["type"] for told in heard} == {"progress_update"}


def test_a_session_is_followed_by_who_was_there_before_it(mount: Server, session_id: str) -> None:
    """
    `waiting` (joined, nothing recorded yet)
    """
    with mount.viewer(session_id) as viewer:
        assert mount.get(f"/api/progress/{session_id}").status_code == 404
        mount.update(session_id, "training_started", metrics={"totalSteps": 10})
        assert viewer.hear()["eventType"] == "training_started"
        mount.step(session_id, currentStep=1)
        assert viewer.hear()["metrics"]["currentStep"] == 1


def test_a_deleted_session_leaves_the_other_rooms_of_a_connection_open(
    mount: Server, new_id: Callable[[], str]
) -> None:
    """
    a connection may be in many rooms
    """
    deleted, kept = new_id(), new_id()
    mount.step(deleted, loss=0.5)
    with mount.viewer(kept) as viewer:
        viewer.ask("session_joined", type="join_room", sessionId=deleted)
        assert mount.ask("DELETE", f"/api/sessions/{deleted}").status_code == 200
        assert viewer.hear() == {"type": "room_left", "sessionId": deleted}
        mount.step(kept, loss=0.25)
        assert viewer.hear()["sessionId"] == kept
    until(lambda: mount.progress(kept)["connection_count"] == 0, "end of the watching")
