"""Every message of the contract's WebSocket table, as a naive client sees it, on both mounts."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from forge_widgets.core.metrics import DEFAULTS
from forge_widgets.server.failures import SILENT
from forge_widgets.server.limits import Limits
from tests.server.mounts import TOKEN, Mount, event, rows, standalone, until


def test_who_joins_an_unknown_session_waits_for_it(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as viewer:
        joined = viewer.hear()
        assert (joined["type"], joined["sessionId"], joined["status"]) == ("session_joined", session_id, "waiting")
        assert joined["currentState"] == DEFAULTS
        assert not joined["timestamp"].startswith("1970")
        mount.append(session_id, event("training_started", metrics={"totalSteps": 500.0}))
        started = viewer.hear()
    assert (started["type"], started["eventType"], started["status"]) == (
        "progress_update",
        "training_started",
        "running",
    )
    assert started["metrics"]["totalSteps"] == 500


def test_who_joins_a_known_session_gets_its_state(mount: Mount, session_id: str) -> None:
    mount.append(session_id, rows(0, 10))
    with mount.socket(f"/ws/{session_id}") as viewer:
        joined = viewer.hear()
    assert (joined["status"], joined["currentState"]["currentStep"]) == ("running", 9)
    assert joined["metrics"] == joined["currentState"]


def test_every_lifecycle_event_comes_in_order(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
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
        heard = viewer.hear_until(lambda message: message["type"] == "connection_lost")
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
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
        begun = time.monotonic()
        for step in range(300):
            mount.append(session_id, rows(step, step + 1))
        heard = viewer.hear_until(lambda message: message["metrics"]["currentStep"] == 299)
        took = time.monotonic() - begun
    assert len(heard) <= 20 * took + 2
    steps = [message["metrics"]["currentStep"] for message in heard]
    assert steps == sorted(steps)


def test_a_ping_is_answered(mount: Mount) -> None:
    with mount.socket("/ws") as viewer:
        viewer.say(type="ping")
        pong = viewer.hear()
    assert pong["type"] == "pong"
    assert pong["timestamp"].endswith("Z")


def test_the_status_is_answered(mount: Mount, session_id: str, new_id: Callable[[], str]) -> None:
    mount.append(session_id, rows(0, 3))
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
        viewer.say(type="get_status")
        status = viewer.hear()
        assert (status["type"], status["sessionId"]) == ("status_response", session_id)
        assert status["data"].items() >= {"sessionId": session_id, "status": "running", "connection_count": 1}.items()
        viewer.say(type="get_session_status")
        own = viewer.hear()
        assert (own["type"], own["exists"], own["data"]["metrics"]["currentStep"]) == ("session_status", True, 2)
        unknown = new_id()
        viewer.say(type="get_session_status", sessionId=unknown)
        assert viewer.hear() == {"type": "session_status", "sessionId": unknown, "exists": False}
        viewer.say(type="get_status", sessionId=unknown)
        assert viewer.hear()["data"]["status"] == "waiting"


def test_a_connection_may_be_in_many_rooms_and_leave_them(mount: Mount, new_id: Callable[[], str]) -> None:
    first, second = new_id(), new_id()
    with mount.socket("/ws") as viewer:
        viewer.say(type="join_room", sessionId=first)
        assert viewer.hear_type("session_joined")["sessionId"] == first
        viewer.say(type="join_room", session_id=second)
        assert viewer.hear_type("session_joined")["sessionId"] == second
        mount.append(first, rows(0, 1))
        assert viewer.hear()["sessionId"] == first
        mount.append(second, rows(0, 1))
        assert viewer.hear()["sessionId"] == second
        viewer.say(type="leave_room", sessionId=first)
        assert viewer.hear() == {"type": "room_left", "sessionId": first}
        mount.append(first, rows(1, 2))
        mount.append(second, rows(1, 2))
        assert viewer.hear()["sessionId"] == second
        until(lambda: mount.context.hub.viewers(first) == 0)


def test_a_socket_without_a_slash_or_with_one_starts_in_no_room(mount: Mount) -> None:
    with mount.socket("/ws/") as viewer:
        viewer.say(type="get_status")
        assert "sessionId" in viewer.hear_type("error")["error"]


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
    with mount.socket("/ws") as viewer:
        viewer.connection.send(text)
        answer = viewer.hear()
        assert set(answer) == {"type", "error"}
        assert answer["type"] == "error"
        viewer.say(type="ping")
        assert viewer.hear()["type"] == "pong"


def test_a_binary_message_is_answered_with_an_error(mount: Mount) -> None:
    with mount.socket("/ws") as viewer:
        viewer.connection.send(b'{"type": "ping"}')
        assert viewer.hear()["type"] == "error"


@pytest.mark.parametrize("path", ["/ws/%2e%2e", "/ws/a%20b", "/ws/%F0%9F%92%A5", f"/ws/{'x' * 129}"])
def test_a_bad_session_id_is_answered_with_an_error_message(mount: Mount, path: str) -> None:
    with mount.socket(path) as viewer:
        assert "sessionId" in viewer.hear_type("error")["error"]
        viewer.say(type="ping")
        assert viewer.hear()["type"] == "pong"


def test_too_many_rooms_are_refused(mount: Mount, session_id: str) -> None:
    with mount.socket("/ws") as viewer:
        for number in range(101):
            viewer.say(type="join_room", sessionId=f"{session_id}-{number}")
        assert "at most 100" in viewer.hear_type("error")["error"]


def test_joining_again_greets_again_and_counts_once(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
        viewer.say(type="join_room", sessionId=session_id)
        viewer.hear_type("session_joined")
        until(lambda: mount.context.hub.viewers(session_id) == 1)


@pytest.mark.parametrize("query", ["", "?protocol=1"])
def test_deleting_a_session_closes_its_viewers_with_1000(mount: Mount, session_id: str, query: str) -> None:
    mount.append(session_id, rows(0, 3))
    with mount.socket(f"/ws/{session_id}{query}") as viewer:
        viewer.hear()
        until(lambda: mount.context.hub.viewers(session_id) == 1)
        assert mount.ask("DELETE", f"/api/sessions/{session_id}").status_code == 200
        with pytest.raises(ConnectionClosed):
            viewer.hear_until(lambda message: False)
        assert viewer.connection.close_code == 1000


def test_of_several_rooms_only_the_deleted_one_is_left(mount: Mount, new_id: Callable[[], str]) -> None:
    kept, deleted = new_id(), new_id()
    mount.append(deleted, rows(0, 3))
    with mount.socket(f"/ws/{kept}") as viewer:
        viewer.hear_type("session_joined")
        viewer.say(type="join_room", sessionId=deleted)
        viewer.hear_type("session_joined")
        assert mount.ask("DELETE", f"/api/sessions/{deleted}").status_code == 200
        assert viewer.hear() == {"type": "room_left", "sessionId": deleted}
        mount.append(kept, rows(0, 1))
        assert viewer.hear()["sessionId"] == kept


def test_a_repeated_event_reaches_viewers_once(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
        for _ in range(3):
            mount.update(session_id, eventType="model_completed", metrics={"currentModel": 1}, idempotencyKey="once")
        mount.update(session_id, eventType="model_completed", metrics={"currentModel": 2})
        told = [message["message"] for message in (viewer.hear(), viewer.hear())]
    assert told == ["Model 1 completed", "Model 2 completed"]


def test_a_new_attempt_starts_afresh_and_the_old_ones_rows_are_not_told(mount: Mount, session_id: str) -> None:
    mount.append(session_id, event("training_started"), rows(0, 500), producer="first")
    with mount.socket(f"/ws/{session_id}") as viewer:
        viewer.hear_type("session_joined")
        mount.append(session_id, event("training_started"), rows(0, 3), producer="second")
        mount.append(session_id, rows(500, 600), event("phase_completed", message="of old"), producer="first")
        mount.append(session_id, event("model_completed"), producer="second")
        heard = viewer.hear_until(lambda message: message["eventType"] == "model_completed")
    assert [message["metrics"]["currentStep"] for message in heard if message["eventType"] == "step_update"] in (
        [],
        [2],
    )
    assert heard[-1]["metrics"]["currentStep"] == 2
    assert "of old" not in [message["message"] for message in heard]


def test_a_connection_that_answers_no_ping_is_closed(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(ping_s=0.2, pong_s=0.1)) as mount:
        at = urlsplit(mount.url)
        request = (
            f"GET /ws HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: token {TOKEN}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
        )
        with socket.create_connection((at.hostname, at.port or 0), timeout=5) as deaf:
            deaf.sendall(request.encode())
            assert deaf.recv(4096).startswith(b"HTTP/1.1 101")
            assert deaf.recv(2)[:1] == b"\x89"  # a ping, which stays without an answer
            until(lambda: not mount.context.hub.connections, timeout=10)
            # Not 1000, which is for good: a laptop that wakes up finds this, and is to come back.
            assert int.from_bytes(deaf.recv(4)[2:], "big") == SILENT


def test_a_task_of_a_viewer_that_fails_is_logged_and_lets_the_client_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with standalone(tmp_path / "store") as mount, mount.socket("/ws/a") as viewer:
        viewer.hear_type("session_joined")
        watched = mount.context.hub._watched["a"]
        watched._tell = None  # type: ignore[assignment,method-assign]
        mount.append("a", rows(0, 2))
        with pytest.raises(ConnectionClosed):
            viewer.hear_until(lambda message: False)
        assert viewer.connection.close_code == 4011
    assert "a viewer's task failed" in caplog.text
