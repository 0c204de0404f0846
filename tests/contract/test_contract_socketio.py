"""The contract's Socket.IO: npm's own socket.io-client, unmodified, against the stand-alone server."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.servers import Json, Server, until
from tests.contract.test_contract_document import NINE, is_moment

PROGRAM = Path(__file__).with_name("socketio_client.mjs")
WAYS = {"websocket": "websocket", "polling": "polling", "upgrading": "polling,websocket"}


class Client:
    """socket.io-client in a process of its own."""

    def __init__(self, url: str, transports: str) -> None:
        node = shutil.which("node")
        assert node is not None, "Socket.IO's client runs in node"
        self._process = subprocess.Popen(
            [node, PROGRAM, url, transports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._heard: queue.Queue[list[Any]] = queue.Queue()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard.put(json.loads(line))

    def emit(self, event: str, *arguments: object) -> None:
        """Emit an event as a page does."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([event, *arguments]) + "\n")
        self._process.stdin.flush()

    def hear(self, event: str, condition: Callable[[Any], bool] = lambda said: True, timeout_s: float = 10.0) -> Any:
        """Return what the next event of a name says, that meets the condition."""
        deadline = time.monotonic() + timeout_s
        passed: list[str] = []
        while True:
            try:
                name, *said = self._heard.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} within {timeout_s} s, but {passed[-5:]}") from None
            if name == event and condition(said[0] if said else None):
                return said[0] if said else None
            passed.append(name)

    def heard(self) -> list[str]:
        """Return the names of all events that came and were not looked at."""
        names = []
        while not self._heard.empty():
            names.append(self._heard.get()[0])
        return names

    def join(self, session_id: str) -> Json:
        """Join a session's room and return the greeting."""
        self.emit("join_room", session_id)
        greeting: Json = self.hear("session_joined", lambda said: said["sessionId"] == session_id)
        return greeting

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._thread.join(10)


@pytest.fixture(params=sorted(WAYS))
def connect(request: pytest.FixtureRequest, open_mount: Server) -> Iterator[Callable[[], Client]]:
    """Connect clients by each way in turn: by WebSocket, by their own polling, and from one to the other."""
    clients: list[Client] = []

    def start() -> Client:
        clients.append(Client(open_mount.url, WAYS[request.param]))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], Client]) -> Client:
    """Connect one."""
    return connect()


def test_a_client_is_welcomed(open_mount: Server, client: Client) -> None:
    """
    Server events `connection_established` `{"status": "connected", "timestamp", "fallback_available": true}`,
    The unmodified `socket.io-client` 4 of npm is the client that has to work, by WebSocket and by its own polling.
    """
    first = client.hear("connect")
    welcome = client.hear("connection_established")
    assert first in ("websocket", "polling")
    assert (welcome["status"], welcome["fallback_available"]) == ("connected", True)
    assert is_moment(welcome["timestamp"])


def test_a_session_is_joined_by_its_bare_id(open_mount: Server, client: Client, session_id: str) -> None:
    """
    Client events `join_room(sessionId)`, `leave_room(sessionId)`, `get_session_status(sessionId)`.
    `session_joined` `{"sessionId", "status": "joined", "currentState", "timestamp"}`
    """
    waiting = client.join(session_id)
    assert (waiting["status"], waiting["currentState"]) == ("joined", NINE)
    assert is_moment(waiting["timestamp"])
    open_mount.step(f"{session_id}-b", loss=0.5)
    there = client.join(f"{session_id}-b")
    document = open_mount.progress(f"{session_id}-b")
    assert (there["currentState"], there["timestamp"]) == (document["metrics"], document["timestamp"])


def test_a_sessions_status_is_told(open_mount: Server, client: Client, session_id: str) -> None:
    """
    `session_status` `{"sessionId", "exists", "data"?}`
    """
    client.emit("get_session_status", session_id)
    unknown = client.hear("session_status")
    assert (unknown["sessionId"], unknown["exists"], "data" in unknown) == (session_id, False, False)
    open_mount.step(session_id, loss=0.5)
    client.emit("get_session_status", session_id)
    known = client.hear("session_status")
    assert (known["sessionId"], known["exists"], known["data"]) == (session_id, True, open_mount.progress(session_id))


def test_progress_is_the_document_with_what_happened(open_mount: Server, client: Client, session_id: str) -> None:
    """
    `progress_update` (progress document and `eventType`, `message`)
    The same object from HTTP, WebSocket, Socket.IO
    """
    client.join(session_id)
    open_mount.update(session_id, "model_completed", metrics={"currentModel": 2, "loss": 0.5, "mine": 7})
    told = client.hear("progress_update")
    document = open_mount.progress(session_id)
    assert told.items() >= {name: document[name] for name in ("sessionId", "metrics", "status", "timestamp")}.items()
    assert (told["eventType"], told["message"]) == ("model_completed", "Model 2 completed")


def test_an_error_is_told(open_mount: Server, client: Client, session_id: str) -> None:
    """
    `training_error` `{"sessionId", "eventType", "error", "status", "timestamp"}`.
    """
    client.join(session_id)
    assert open_mount.post(f"/api/progress/{session_id}/error", {"error": "CUDA out of memory"}).status_code == 200
    told = client.hear("training_error")
    assert (told["sessionId"], told["eventType"], told["status"]) == (session_id, "training_error", "error")
    assert told["error"] == "CUDA out of memory"
    assert is_moment(told["timestamp"])


def test_there_is_a_room_for_each_session(
    open_mount: Server, connect: Callable[[], Client], new_id: Callable[[], str]
) -> None:
    """
    A room per session.
    Several viewers of one session; several sessions at once.
    """
    shared, own = new_id(), new_id()
    both, one = connect(), connect()
    for client, sessions in ((both, (shared, own)), (one, (shared,))):
        for session_id in sessions:
            client.join(session_id)
    for session_id, loss in ((own, 0.5), (shared, 0.25)):
        open_mount.step(session_id, loss=loss)
        assert both.hear("progress_update", lambda said: True)["sessionId"] == session_id
    assert one.hear("progress_update")["sessionId"] == shared
    until(lambda: open_mount.progress(shared)["connection_count"] == 2, "two viewers")


def test_a_room_that_was_left_is_silent(open_mount: Server, client: Client, session_id: str) -> None:
    """
    `leave_room(sessionId)`
    """
    other = f"{session_id}-b"
    client.join(session_id)
    client.join(other)
    client.emit("leave_room", session_id)
    until(lambda: open_mount.get("/api/health").json()["sessions"].count(session_id) == 0, "end of the watching")
    open_mount.step(session_id, loss=0.5)
    open_mount.step(other, loss=0.25)
    assert client.hear("progress_update")["sessionId"] == other
    assert "progress_update" not in client.heard()
