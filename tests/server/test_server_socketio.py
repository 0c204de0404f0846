"""Socket.IO by the client that existing front ends use, socket.io-client of npm: what it is told is the contract's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio

from forge_widgets.server.access import Access
from forge_widgets.server.limits import Limits
from tests.server.mounts import TOKEN, Json, Mount, event, rows, standalone, until
from tests.server.socketio_clients import COMPONENT, WAYS, BarePoller, Heard, node_client

CONTRACT_NINE = {
    "loss": 0, "perplexity": 0, "grokProgress": 0, "currentStep": 0, "totalSteps": 1000,
    "currentModel": 1, "totalModels": 3, "learningRate": 0.001, "accuracy": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with standalone(tmp_path_factory.mktemp("socketio") / "store") as served:
        yield served


@pytest.fixture(params=["websocket", "polling"])
def way(request: pytest.FixtureRequest) -> Json:
    """Take each way in turn."""
    return WAYS[request.param]


def is_last(heard: Heard) -> bool:
    return heard.event == "connection_lost"


@pytest.mark.parametrize("name", WAYS)
def test_each_way_brings_what_the_plain_websocket_brings(mount: Mount, session_id: str, name: str) -> None:
    with (
        node_client(mount.url, joins=[session_id], **WAYS[name]) as client,
        mount.socket(f"/ws/{session_id}") as viewer,
    ):
        plain_joined = viewer.hear_type("session_joined")
        joined = client.hear_event("session_joined")
        assert {**joined, "status": joined["sessionStatus"]}.items() >= {
            **plain_joined,
            "timestamp": joined["timestamp"],
        }.items()
        mount.append(
            session_id,
            event("training_started", metrics={"totalSteps": 500.0}),
            rows(0, 5, loss_of_mine=math.nan),
            event("model_completed", metrics={"currentModel": 1.0}, message="Model 1 completed"),
            event("phase_completed", name="warm-up", message="Phase warm-up completed"),
            rows(5, 9, loss_of_mine=math.inf),
            event("training_error", 1_800_000_100.0, error="out of memory"),
            event("connection_lost", 1_800_000_101.0),
        )
        heard = client.hear_until(is_last)
        plain = viewer.hear_until(lambda message: message["type"] == "connection_lost")
    assert [told.args[0] for told in heard] == plain
    assert [told.event for told in heard] == [message["type"] for message in plain]
    assert [message["eventType"] for message in plain] == [
        "training_started", "model_completed", "phase_completed", "step_update", "training_error", "connection_lost",
    ]  # fmt: skip
    # Strict JSON: node's parser takes no NaN.
    assert heard[1].args[0]["metrics"]["loss_of_mine"] is None
    assert heard[3].args[0]["nonfinite"] == {"loss_of_mine": "Infinity"}


def test_a_client_with_the_default_options_polls_and_goes_over_to_a_websocket(mount: Mount, session_id: str) -> None:
    with node_client(mount.url) as client:
        assert client.hear_event("upgrade") == "websocket"
        # Either may be told first.
        client.emit("join_room", session_id)
        client.hear_event("session_joined")
        mount.append(session_id, rows(0, 1))
        assert client.hear_event("progress_update")["sessionId"] == session_id


def test_the_events_are_the_contracts_to_the_letter(mount: Mount, session_id: str, way: Json) -> None:
    with node_client(mount.url, **way) as client:
        assert client.hear().event == "connect"
        established = client.hear()
        assert established.event == "connection_established"
        assert established.args[0] == {
            "status": "connected",
            "timestamp": established.args[0]["timestamp"],
            "fallback_available": True,
        }
        assert established.args[0]["timestamp"].endswith("Z")
        client.emit("join_room", session_id)
        joined = client.hear_event("session_joined")
        assert joined.items() >= {"sessionId": session_id, "status": "joined", "currentState": CONTRACT_NINE}.items()
        assert joined["timestamp"].endswith("Z")
        client.emit("get_session_status", session_id)
        unknown = client.hear_event("session_status")
        assert unknown == {"type": "session_status", "sessionId": session_id, "exists": False}
        mount.append(session_id, rows(0, 1), event("training_error", error="CUDA out of memory"))
        update = client.hear_event("progress_update")
        assert set(update) >= {"sessionId", "metrics", "status", "timestamp", "eventType", "message"}
        error = client.hear_event("training_error")
        assert (
            error.items()
            >= {
                "sessionId": session_id,
                "eventType": "training_error",
                "error": "CUDA out of memory",
                "status": "error",
            }.items()
        )
        client.emit("get_session_status", session_id)
        status = client.hear_event("session_status")
        assert (status["exists"], status["data"]["status"], status["data"]["connection_count"]) == (True, "error", 1)


def test_rooms_are_joined_and_left_by_bare_ids_and_by_objects(
    mount: Mount, new_id: Callable[[], str], way: Json
) -> None:
    bare, camel, snake = new_id(), new_id(), new_id()
    with node_client(mount.url, **way) as client:
        for named in (bare, {"sessionId": camel}, {"session_id": snake}):
            client.emit("join_room", named)
            client.hear_event("session_joined")
        client.emit("join_room", bare)
        assert client.hear_event("session_joined")["sessionId"] == bare
        until(lambda: [mount.context.hub.viewers(room) for room in (bare, camel, snake)] == [1, 1, 1])
        assert mount.get("/api/health").json()["active_sessions"] >= 3
        client.emit("leave_room", {"sessionId": camel})
        assert client.hear_event("room_left") == {"type": "room_left", "sessionId": camel}
        mount.append(camel, rows(0, 1))
        mount.append(snake, rows(0, 1))
        assert client.hear_event("progress_update")["sessionId"] == snake
        until(lambda: mount.context.hub.viewers(camel) == 0)
    until(lambda: mount.context.hub.viewers(snake) == 0)


def test_an_acknowledgement_says_what_the_event_came_to(mount: Mount, session_id: str, way: Json) -> None:
    with node_client(mount.url, **way) as client:
        client.emit("join_room", session_id, ack=True)
        assert client.hear_event("ack") == {"status": "joined", "sessionId": session_id}
        client.emit("get_session_status", session_id, ack=True)
        assert client.hear_event("ack")["exists"] is False
        client.emit("leave_room", session_id, ack=True)
        assert client.hear_event("ack") == {"type": "room_left", "sessionId": session_id}
        client.emit("join_room", "a b", ack=True)
        assert "a b" in client.hear_event("ack")["error"]


def test_more_is_said_at_once_by_polling_than_the_library_takes_of_itself(mount: Mount, session_id: str) -> None:
    rooms = [f"{session_id}-{number}" for number in range(40)]
    with node_client(mount.url, joins=rooms, **WAYS["polling"]) as client:
        joined = [client.hear_event("session_joined")["sessionId"] for _ in rooms]
    assert sorted(joined) == sorted(rooms)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("unheard-of", []),
        ("x" * 1000, []),
        ("join_room", []),
        ("join_room", [".."]),
        ("join_room", [7]),
        ("join_room", [["a"]]),
        ("join_room", [{"sessionId": {"a": 1}}]),
        ("get_session_status", [{"session": "a"}]),
    ],
)
def test_what_cannot_be_used_is_answered_and_the_connection_lives(mount: Mount, name: str, args: list[Any]) -> None:
    with node_client(mount.url, **WAYS["websocket"]) as client:
        client.emit(name, *args)
        refused = client.hear_event("request_error")
        assert refused["event"] == name[:80]
        assert "expected" in refused["error"]
        client.emit("get_session_status", "lives")
        assert client.hear_event("session_status")["exists"] is False


def test_a_deleted_session_is_told_and_left_and_other_rooms_go_on(
    mount: Mount, new_id: Callable[[], str], way: Json
) -> None:
    kept, deleted = new_id(), new_id()
    mount.append(deleted, rows(0, 3))
    with node_client(mount.url, joins=[deleted, kept], **way) as client:
        client.hear_event("session_joined")
        client.hear_event("session_joined")
        assert mount.ask("DELETE", f"/api/sessions/{deleted}").status_code == 200
        closed = client.hear_event("session_closed")
        assert closed == {"type": "session_closed", "sessionId": deleted, "timestamp": closed["timestamp"]}
        mount.append(kept, rows(0, 1))
        assert client.hear_event("progress_update")["sessionId"] == kept


def test_steps_are_coalesced_to_the_newest_at_most_twenty_a_second(mount: Mount, session_id: str, way: Json) -> None:
    with node_client(mount.url, joins=[session_id], **way) as client:
        client.hear_event("session_joined")
        begun = time.monotonic()
        for step in range(200):
            mount.append(session_id, rows(step, step + 1))
        heard = client.hear_until(lambda told: told.args[0]["metrics"]["currentStep"] == 199)
        took = time.monotonic() - begun
    assert len(heard) <= 20 * took + 2
    steps = [told.args[0]["metrics"]["currentStep"] for told in heard]
    assert steps == sorted(steps)


def test_the_component_of_existing_front_ends_needs_no_edit_in_open_mode(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It knows no token, and calls the server by a WebSocket's scheme."""
    with standalone(tmp_path_factory.mktemp("open") / "store", access=Access(token=None)) as served:
        address = served.url.replace("http", "ws", 1).replace("127.0.0.1", "localhost")
        with node_client(address, query={}, joins=["cognate-1"], **COMPONENT) as client:
            assert client.hear_event("session_joined")["sessionId"] == "cognate-1"
            served.append("cognate-1", rows(0, 10))
            assert client.hear_event("progress_update")["metrics"]["currentStep"] == 9


def test_below_a_path_it_is_served_below_that_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    with standalone(tmp_path_factory.mktemp("base") / "store", base="/a/forge") as served:
        host = served.url.removesuffix("/a/forge")
        with node_client(host, path="/a/forge/socket.io/", joins=["s"]) as client:
            client.hear_event("session_joined")
        assert served.ask("GET", "/socket.io/?EIO=4&transport=polling").status_code == 200


def test_pythons_own_client_works_too(mount: Mount, session_id: str) -> None:
    with socketio.SimpleClient() as client:
        client.connect(mount.url, headers={"Authorization": f"token {TOKEN}"})
        assert client.receive(5)[0] == "connection_established"
        assert client.call("join_room", session_id, timeout=5) == {"status": "joined", "sessionId": session_id}
        assert client.receive(5)[1]["currentState"] == CONTRACT_NINE


def test_traffic_is_counted(mount: Mount, session_id: str) -> None:
    def sent() -> float:
        lines = mount.get("/metrics").text.splitlines()
        (line,) = [line for line in lines if line.startswith('forge_widgets_sent_messages_total{transport="socketio"}')]
        return float(line.split()[1])

    def connected(transport: str) -> float:
        lines = mount.get("/metrics").text.splitlines()
        start = f'forge_widgets_connections{{transport="{transport}"}} '
        (line,) = [line for line in lines if line.startswith(start)]
        return float(line.split()[1])

    before = sent()
    until(lambda: connected("socketio") == 0)
    sockets = connected("websocket")
    poller = BarePoller(mount.url)
    poller.poll_until("connection_established")
    assert sent() == before + 1
    assert connected("socketio") == 1
    assert connected("websocket") == sockets
    assert 'route="/socket.io"' in mount.get("/metrics").text
    poller.post("1")


def test_the_limits_hold(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = Limits(max_rooms=2, max_connections=1, max_message_bytes=1_000)
    with standalone(tmp_path_factory.mktemp("limits") / "store", limits=limits) as served:
        with node_client(served.url, joins=["a", "b"], **WAYS["polling"]) as client:
            client.hear_event("session_joined")
            client.hear_event("session_joined")
            client.emit("join_room", "c")
            assert "at most 2 rooms" in client.hear_event("request_error")["error"]
            assert served.get("/socket.io/?EIO=4&transport=polling").status_code == 503
            with node_client(served.url, reconnection=False, **WAYS["websocket"]) as second:
                second.hear_event("connect_error")
            client.emit("join_room", "d" * 2_000)
            assert client.hear_event("disconnect") in ("transport error", "transport close")
        until(lambda: not served.context.hub.connections)
        with node_client(served.url, reconnection=False, **WAYS["websocket"]) as client:
            client.hear_event("connection_established")
            client.emit("join_room", "d" * 2_000)
            assert client.hear_event("disconnect") == "transport close"
