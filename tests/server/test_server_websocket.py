"""Every message of the contract's WebSocket table, as a naive client sees it, on both mounts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from forge_widgets.core.metrics import DEFAULTS
from tests.server.mounts import Mount, event, rows, until


def test_who_joins_an_unknown_session_waits_for_it(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        joined = socket.hear()
        assert (joined["type"], joined["sessionId"], joined["status"]) == ("session_joined", session_id, "waiting")
        assert joined["currentState"] == DEFAULTS
        assert not joined["timestamp"].startswith("1970")
        mount.append(session_id, event("training_started", metrics={"totalSteps": 500.0}))
        started = socket.hear()
    assert (started["type"], started["eventType"], started["status"]) == (
        "progress_update",
        "training_started",
        "running",
    )
    assert started["metrics"]["totalSteps"] == 500


def test_who_joins_a_known_session_gets_its_state(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 10))
    with mount.socket(f"/ws/{session_id}") as socket:
        joined = socket.hear()
    assert (joined["status"], joined["currentState"]["currentStep"]) == ("running", 9)
    assert joined["metrics"] == joined["currentState"]


def test_every_lifecycle_event_comes_in_order(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        mount.append(
            session_id,
            event("training_started"),
            rows(0, 5),
            event("model_completed", metrics={"currentModel": 1.0}, message="Model 1 completed"),
            event("phase_completed", name="warm-up", message="Phase warm-up completed"),
            rows(5, 9),
            event("training_error", 1_800_000_100.0, error="out of memory"),
            event("connection_lost", 1_800_000_101.0),
        )
        heard = socket.hear_until(lambda message: message["type"] == "connection_lost")
    told = [(message["type"], message["eventType"], message.get("message")) for message in heard]
    assert told == [
        ("progress_update", "training_started", ""),
        ("progress_update", "model_completed", "Model 1 completed"),
        ("progress_update", "phase_completed", "Phase warm-up completed"),
        ("progress_update", "step_update", ""),
        ("training_error", "training_error", None),
        ("connection_lost", "connection_lost", None),
    ]
    assert [message["metrics"]["currentStep"] for message in heard[1:4]] == [4, 4, 8]
    assert heard[4].items() >= {"error": "out of memory", "status": "error", "sessionId": session_id}.items()
    assert (heard[5]["status"], heard[5]["timestamp"]) == ("error", "2027-01-15T08:01:41.000Z")


def test_steps_are_coalesced_to_the_newest_at_most_twenty_a_second(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        begun = time.monotonic()
        for step in range(300):
            mount.append(session_id, rows(step, step + 1))
        heard = socket.hear_until(lambda message: message["metrics"]["currentStep"] == 299)
        took = time.monotonic() - begun
    assert len(heard) <= 20 * took + 2
    steps = [message["metrics"]["currentStep"] for message in heard]
    assert steps == sorted(steps)


def test_a_ping_is_answered(mount: Mount) -> None:
    with mount.socket("/ws") as socket:
        socket.say(type="ping")
        pong = socket.hear()
    assert pong["type"] == "pong"
    assert pong["timestamp"].endswith("Z")


def test_the_status_is_answered(mount: Mount, session_id: str, new_id: Callable[[], str]) -> None:
    mount.append(session_id, rows(0, 3))
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        socket.say(type="get_status")
        status = socket.hear()
        assert (status["type"], status["sessionId"]) == ("status_response", session_id)
        assert status["data"].items() >= {"sessionId": session_id, "status": "running", "connection_count": 1}.items()
        socket.say(type="get_session_status")
        own = socket.hear()
        assert (own["type"], own["exists"], own["data"]["metrics"]["currentStep"]) == ("session_status", True, 2)
        unknown = new_id()
        socket.say(type="get_session_status", sessionId=unknown)
        assert socket.hear() == {"type": "session_status", "sessionId": unknown, "exists": False}
        socket.say(type="get_status", sessionId=unknown)
        assert socket.hear()["data"]["status"] == "waiting"


def test_a_connection_may_be_in_many_rooms_and_leave_them(mount: Mount, new_id: Callable[[], str]) -> None:
    first, second = new_id(), new_id()
    with mount.socket("/ws") as socket:
        socket.say(type="join_room", sessionId=first)
        assert socket.hear_type("session_joined")["sessionId"] == first
        socket.say(type="join_room", session_id=second)
        assert socket.hear_type("session_joined")["sessionId"] == second
        mount.append(first, rows(0, 1))
        assert socket.hear()["sessionId"] == first
        mount.append(second, rows(0, 1))
        assert socket.hear()["sessionId"] == second
        socket.say(type="leave_room", sessionId=first)
        assert socket.hear() == {"type": "room_left", "sessionId": first}
        mount.append(first, rows(1, 2))
        mount.append(second, rows(1, 2))
        assert socket.hear()["sessionId"] == second
        until(lambda: mount.context.hub.viewers(first) == 0)


def test_a_socket_without_a_slash_or_with_one_starts_in_no_room(mount: Mount) -> None:
    with mount.socket("/ws/") as socket:
        socket.say(type="get_status")
        assert "sessionId" in socket.hear_type("error")["error"]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '"text"',
        "{}",
        '{"type": "unheard-of"}',
        '{"type": 7}',
        '{"type": "join_room"}',
        '{"type": "join_room", "sessionId": ".."}',
        '{"type": "join_room", "sessionId": 7}',
        '{"type": "resume", "epoch": "e", "after": 1}',
        "[" * 30_000,
    ],
)
def test_what_cannot_be_understood_is_answered_and_the_connection_lives(mount: Mount, text: str) -> None:
    with mount.socket("/ws") as socket:
        socket.connection.send(text)
        answer = socket.hear()
        assert set(answer) == {"type", "error"}
        assert answer["type"] == "error"
        socket.say(type="ping")
        assert socket.hear()["type"] == "pong"


def test_a_binary_message_is_answered_with_an_error(mount: Mount) -> None:
    with mount.socket("/ws") as socket:
        socket.connection.send(b'{"type": "ping"}')
        assert socket.hear()["type"] == "error"


@pytest.mark.parametrize("path", ["/ws/%2e%2e", "/ws/a%20b", "/ws/%F0%9F%92%A5", f"/ws/{'x' * 129}"])
def test_a_bad_session_id_is_answered_with_an_error_message(mount: Mount, path: str) -> None:
    with mount.socket(path) as socket:
        assert "sessionId" in socket.hear_type("error")["error"]
        socket.say(type="ping")
        assert socket.hear()["type"] == "pong"


def test_too_many_rooms_are_refused(mount: Mount, session_id: str) -> None:
    with mount.socket("/ws") as socket:
        for number in range(101):
            socket.say(type="join_room", sessionId=f"{session_id}-{number}")
        assert "at most 100" in socket.hear_type("error")["error"]


def test_joining_again_greets_again_and_counts_once(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        socket.say(type="join_room", sessionId=session_id)
        socket.hear_type("session_joined")
        until(lambda: mount.context.hub.viewers(session_id) == 1)


@pytest.mark.parametrize("query", ["", "?protocol=1"])
def test_deleting_a_session_closes_its_viewers_with_1000(mount: Mount, session_id: str, query: str) -> None:
    mount.append(session_id, rows(0, 3))
    with mount.socket(f"/ws/{session_id}{query}") as socket:
        socket.hear()
        until(lambda: mount.context.hub.viewers(session_id) == 1)
        assert mount.ask("DELETE", f"/api/sessions/{session_id}").status_code == 200
        with pytest.raises(ConnectionClosed):
            socket.hear_until(lambda message: False)
        assert socket.connection.close_code == 1000


def test_of_several_rooms_only_the_deleted_one_is_left(mount: Mount, new_id: Callable[[], str]) -> None:
    kept, deleted = new_id(), new_id()
    mount.append(deleted, rows(0, 3))
    with mount.socket(f"/ws/{kept}") as socket:
        socket.hear_type("session_joined")
        socket.say(type="join_room", sessionId=deleted)
        socket.hear_type("session_joined")
        assert mount.ask("DELETE", f"/api/sessions/{deleted}").status_code == 200
        assert socket.hear() == {"type": "room_left", "sessionId": deleted}
        mount.append(kept, rows(0, 1))
        assert socket.hear()["sessionId"] == kept


def test_a_repeated_event_reaches_viewers_once(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        for _ in range(3):
            mount.update(session_id, eventType="model_completed", metrics={"currentModel": 1}, idempotencyKey="once")
        mount.update(session_id, eventType="model_completed", metrics={"currentModel": 2})
        told = [message["message"] for message in (socket.hear(), socket.hear())]
    assert told == ["Model 1 completed", "Model 2 completed"]


def test_a_new_attempt_starts_afresh_and_the_old_ones_rows_are_not_told(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 500), producer="first")
    with mount.socket(f"/ws/{session_id}") as socket:
        socket.hear_type("session_joined")
        mount.append(session_id, event("training_started"), rows(0, 3), producer="second")
        mount.append(session_id, rows(500, 600), producer="first")
        mount.append(session_id, event("model_completed"), producer="second")
        heard = socket.hear_until(lambda message: message["eventType"] == "model_completed")
    assert [message["metrics"]["currentStep"] for message in heard if message["eventType"] == "step_update"] in (
        [],
        [2],
    )
    assert heard[-1]["metrics"]["currentStep"] == 2
