"""Socket.IO clients that are slow, silent or gone, and servers that go: memory stays flat, and everybody comes back."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from forge_widgets.core.link import MOST_WINDOW
from forge_widgets.errors import StoreUnavailable
from forge_widgets.server import socketio_handler
from forge_widgets.server.access import Access
from forge_widgets.server.app import close_context, open_context
from forge_widgets.server.application import Site, StandaloneApplication, create_server
from forge_widgets.server.binding import bind
from forge_widgets.server.limits import Limits
from forge_widgets.server.socketio_client import Client
from forge_widgets.server.standalone import go
from forge_widgets.stores import open_store
from forge_widgets.stores.memory import MemoryStore
from tests.contract.servers import Server, free_port
from tests.server.mounts import TOKEN, Mount, event, rows, standalone, until
from tests.server.socketio_clients import WAYS, BarePoller, node_client


def bare_socket(mount: Mount, sid: str = "", max_queue: int = 16) -> ClientConnection:
    """Open Socket.IO's WebSocket by hand."""
    address = mount.url.replace("http", "ws", 1) + f"/socket.io/?EIO=4&transport=websocket&sid={sid}"
    return connect(
        address, additional_headers=mount.authorization, max_size=None, max_queue=max_queue, ping_interval=None
    )


def client_of(mount: Mount) -> Client:
    until(lambda: mount.context.hub.connections)
    (client,) = mount.context.hub.connections
    assert isinstance(client, Client)
    return client


def record_much(mount: Mount, session_id: str, phases: int = 60) -> int:
    """Record documents of about 12 KB, each after the one before was read; return how many bytes a keen viewer got."""
    wide = {f"metric_{number:03}": 1.0 for number in range(600)}
    size = 0
    with mount.socket(f"/ws/{session_id}") as keen:
        keen.hear()
        for phase in range(phases):
            mount.append(session_id, rows(phase, phase + 1, **wide), event("phase_completed", name=f"p{phase}"))
            heard = keen.hear_until(lambda message: message["eventType"] == "phase_completed")
            size += sum(len(json.dumps(message)) for message in heard)
    return size


def test_a_client_that_does_not_read_costs_one_window_and_misses_no_event(tmp_path: Path) -> None:
    with (
        standalone(tmp_path / "store", limits=Limits(frames_per_s=100)) as served,
        bare_socket(served, max_queue=1) as slow,
    ):
        slow.send("40")
        slow.send('42["join_room","s"]')
        client = client_of(served)
        until(lambda: served.context.hub.viewers("s") == 1)
        told = record_much(served, "s")
        carrier = client._carrier
        waits = carrier._owner.engine.waiting(carrier._engine_id)  # type: ignore[attr-defined]
        # Pings may wait beside it.
        assert waits <= 3
        assert told > 500_000
        # The client's library may have read some before it stopped.
        assert client.link._sent - client.link._arrived < MOST_WINDOW + 3 * told / 60
        heard: list[int] = []
        while len(heard) < 60:
            message = str(slow.recv(timeout=10))
            if message == "2":
                slow.send("3")
            elif "phase_completed" in message:
                heard.append(json.loads(message[2:])[1]["metrics"]["currentStep"])
    assert heard == list(range(60))


def test_a_client_that_does_not_poll_costs_one_message_and_misses_no_event(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(frames_per_s=100)) as served:
        poller = BarePoller(served.url)
        poller.post('42["join_room","s"]')
        client = client_of(served)
        until(lambda: served.context.hub.viewers("s") == 1)
        record_much(served, "s")
        carrier = client._carrier
        assert carrier._owner.engine.waiting(carrier._engine_id) <= 3  # type: ignore[attr-defined]
        came = poller.poll_until('"currentStep":59')
        for phase in range(60):
            assert f'"currentStep":{phase}' in came
        poller.post("1")


@pytest.mark.parametrize(
    "ask", ['420["get_session_status","s"]', '420["join_room","s"]', "40/other,"], ids=["status", "join", "namespace"]
)
def test_who_asks_on_without_taking_the_answers_is_let_go(tmp_path: Path, ask: str) -> None:
    with standalone(tmp_path / "store") as served:
        served.append("s", rows(0, 1, **{f"metric_{number:03}": 1.0 for number in range(900)}))
        poller = BarePoller(served.url)
        client_of(served)
        posts = 1
        while poller.post("\x1e".join([ask] * 10)).status_code == 200:
            posts += 1
        # About 20 KB each time, or a number of packets that are short.
        assert posts <= (10 if "status" in ask else 50)
        until(lambda: not served.context.hub.connections and not served.context.hub.viewers("s"))


def test_a_polling_client_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(ping_s=1, pong_s=1)) as served:
        BarePoller(served.url).post('42["join_room","s"]')
        until(lambda: served.context.hub.viewers("s") == 1)
        until(lambda: not served.context.hub.connections and not served.context.hub.viewers("s"), timeout=15)


def test_a_polling_client_whose_poll_breaks_off_is_noticed_at_once(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as served:
        poller = BarePoller(served.url)
        poller.poll_until("connection_established")
        with pytest.raises(requests.ReadTimeout):
            requests.get(poller.address, params=poller._params({}), headers=poller.headers, timeout=0.3)
        until(lambda: not served.context.hub.connections)


def test_a_goodbye_ends_the_poll_that_waits(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as served, ThreadPoolExecutor(1) as threads:
        poller = BarePoller(served.url)
        poller.poll_until("connection_established")
        waiting = threads.submit(poller.get)
        poller.post("1")
        assert waiting.result(8).status_code in (200, 400)


def test_a_polling_client_that_has_gone_leaves_nothing_behind_and_makes_room(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_connections=1)) as served:
        poller = BarePoller(served.url)
        poller.poll_until("connection_established")
        owner = client_of(served)._carrier._owner  # type: ignore[attr-defined]
        poller.post("1")
        until(lambda: not served.context.hub.connections)
        assert not owner._sockets
        BarePoller(served.url)


def test_who_has_said_nothing_yet_counts_as_a_connection(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(ping_s=1, pong_s=1, max_connections=1)) as served:
        handshake = "/socket.io/?EIO=4&transport=polling"
        assert served.get(handshake).status_code == 200
        refused = served.get(handshake)
        assert refused.status_code == 503
        assert "too many" in refused.json()["error"]
        until(lambda: served.get(handshake).status_code == 200, timeout=15)


@pytest.mark.parametrize("said", [None, "2probe", "nonsense"])
def test_a_websocket_that_is_given_up_half_way_leaves_polling_as_it_was(tmp_path: Path, said: str | None) -> None:
    with standalone(tmp_path / "store") as served:
        poller = BarePoller(served.url)
        poller.poll_until("connection_established")
        with bare_socket(served, poller.sid) as half:
            if said is not None:
                half.send(said)
            if said == "2probe":
                assert half.recv(timeout=5) == "3probe"
        poller.post('42["join_room","s"]')
        assert "session_joined" in poller.poll_until("session_joined")
        began = time.monotonic()
        served.append("s", rows(0, 1))
        assert "progress_update" in poller.poll_until("progress_update")
        assert time.monotonic() - began < 8
        poller.post("1")


def test_a_websocket_that_is_never_agreed_on_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketio_handler, "UPGRADE_S", 0.3)
    with standalone(tmp_path / "store") as served:
        poller = BarePoller(served.url)
        poller.poll_until("connection_established")
        with bare_socket(served, poller.sid) as silent, pytest.raises(ConnectionClosed):
            silent.recv(timeout=8)
        poller.post('42["get_session_status","s"]')
        assert "session_status" in poller.poll_until("session_status")
        poller.post("1")


def test_a_room_that_fails_lets_the_client_come_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with standalone(tmp_path / "store") as served, node_client(served.url, joins=["a"], **WAYS["websocket"]) as client:
        client.hear_event("session_joined")
        served.context.hub._watched["a"]._tell = None  # type: ignore[assignment,method-assign]
        served.append("a", rows(0, 2))
        assert client.hear_event("disconnect") == "transport close"
        assert client.hear_event("session_joined")["sessionId"] == "a"
    assert "a viewer's task failed" in caplog.text


class _Troubled(MemoryStore):
    """A store that can't be read for a while."""

    troubled = True

    def version(self, session_id: str) -> object:
        if self.troubled and session_id == "s":
            raise StoreUnavailable(self.url, "it is locked")
        return super().version(session_id)


def test_a_session_that_cannot_be_read_is_said_and_tried_again(tmp_path: Path) -> None:
    store = _Troubled()
    with standalone(store) as served, node_client(served.url, joins=["s"], **WAYS["polling"]) as client:
        refused = client.hear_event("request_error")
        assert (refused["event"], refused["sessionId"]) == ("join_room", "s")
        assert "it is locked" in refused["error"]
        assert client.hear_event("disconnect").startswith("transport")
        store.troubled = False
        client.hear_event("session_joined")


def test_real_clients_are_back_at_a_restarted_server_and_join_again(tmp_path: Path) -> None:
    port = free_port()
    command = [str(Path(sys.executable).with_name("forge-widgets")), "serve", "--port", str(port), "--token", TOKEN]
    server = Server(command, f"http://127.0.0.1:{port}", tmp_path, token=TOKEN)
    quick = {"joins": ["s"], "reconnectionDelay": 200, "reconnectionDelayMax": 400, "query": {"token": TOKEN}}
    try:
        server.start()
        with (
            node_client(server.url, **quick, **WAYS["websocket"]) as by_socket,
            node_client(server.url, **quick, **WAYS["polling"]) as by_polling,
        ):
            for client in (by_socket, by_polling):
                client.hear_event("session_joined")
            for end in (server.stop, server.kill):
                begun = time.monotonic()
                end()
                assert time.monotonic() - begun < 5
                for client in (by_socket, by_polling):
                    # "io server disconnect" would be for good.
                    assert client.hear_event("disconnect").startswith("transport")
                server.start()
                for client in (by_socket, by_polling):
                    client.hear_event("session_joined", timeout=20)
                server.step("s", currentStep=7)
                for client in (by_socket, by_polling):
                    assert client.hear_event("progress_update")["metrics"]["currentStep"] == 7
    finally:
        server.stop()


def test_no_task_outlives_the_server(tmp_path: Path) -> None:
    async def live_and_go() -> None:
        context = open_context(open_store(tmp_path / "store"))
        application = StandaloneApplication(context, Site(access=Access(token=TOKEN)))
        server = create_server(context, application)
        sockets = bind("127.0.0.1", 0)
        server.add_sockets(sockets)
        address = f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/socket.io/?EIO=4&transport=websocket&token={TOKEN}"
        async with connect_async(address) as peer:
            await peer.send("40")
            await peer.send('42["join_room","s"]')
            while "session_joined" not in str(await peer.recv()):
                pass
            await go(context, application, server)
            with pytest.raises(ConnectionClosed):
                _ = [message async for message in peer]
            assert peer.close_code == 1012
        await close_context(context)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(live_and_go())
