"""Where the WebSocket fails, polling ``/api/progress`` tells the same: a client of the contract that goes down, and up again.

The client is what the contract's users write: a socket while it lives, else a request now and then, and of what comes
only what is newer than the newest it has seen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.faults.proxy import Proxy
from tests.integration.processes import TOKEN, Json, System, until

POLL_S = 0.05
DOCUMENT = ("sessionId", "metrics", "status", "timestamp")


class Client:
    """Follows a session by WebSocket, and by polling where that fails; tries the socket again at every fifth poll."""

    def __init__(self, port: int, session_id: str) -> None:
        self._place = f"127.0.0.1:{port}"
        self._session_id = session_id
        self._ends = threading.Event()
        # What it has shown: by which way each came, and the document.
        self.shown: list[tuple[str, Json]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def way(self) -> str:
        """By which way the newest came; "" before the first."""
        return self.shown[-1][0] if self.shown else ""

    @property
    def steps(self) -> list[float]:
        """The steps that it has shown."""
        return [document["metrics"]["currentStep"] for _, document in self.shown]

    def until_step(self, step: float) -> None:
        """Wait until it shows a step."""
        until(lambda: self.steps[-1:] == [step], f"step {step} (there is {self.steps[-3:]})")

    def close(self) -> None:
        """End it."""
        self._ends.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._listen()
            for _ in range(5):
                self._poll()
                self._ends.wait(POLL_S)

    def _listen(self) -> None:
        try:
            with connect(f"ws://{self._place}/ws/{self._session_id}?token={TOKEN}", close_timeout=1) as socket:
                while not self._ends.is_set():
                    self._read(socket)
        except (OSError, InvalidHandshake, ConnectionClosed, EOFError):
            return

    def _read(self, socket: ClientConnection) -> None:
        try:
            message = json.loads(socket.recv(POLL_S))
        except TimeoutError:
            return
        if message["type"] == "session_joined":
            self._show("websocket", {**message, "metrics": message["currentState"]})
        elif "metrics" in message:
            self._show("websocket", message)

    def _poll(self) -> None:
        try:
            answer = requests.get(
                f"http://{self._place}/api/progress/{self._session_id}", params={"token": TOKEN}, timeout=5
            )
        except requests.RequestException:
            return
        if answer.status_code == 200:
            self._show("http", answer.json())

    def _show(self, way: str, document: Json) -> None:
        """Take what is not older than the newest, as the clients of the contract do."""
        newest = self.shown[-1][1]["timestamp"] if self.shown else ""
        if document["status"] != "waiting" and document["timestamp"] >= newest:
            self.shown.append((way, {name: document[name] for name in DOCUMENT}))


@pytest.fixture
def proxy(shared: System) -> Iterator[Proxy]:
    made = Proxy(shared.port)
    yield made
    made.close()


@pytest.fixture
def client(proxy: Proxy, session_id: str) -> Iterator[Client]:
    made = Client(proxy.port, session_id)
    yield made
    made.close()


def assert_no_step_back(client: Client) -> None:
    """See that what was shown only ever went forward."""
    assert client.steps == sorted(client.steps)


def test_http_fallback_tells_the_same_document_where_the_websocket_is_refused(
    shared: System, proxy: Proxy, session_id: str
) -> None:
    proxy.upgrade = 403
    client = Client(proxy.port, session_id)
    training = shared.train(session_id)
    training.emit("emit_training_started", total_steps=10, total_models=1, learning_rate=0.5)
    with shared.viewer(session_id) as viewer:
        for step in (1, 2, 3):
            training.step(step, loss=1 / step, mine=step)
            client.until_step(step)
            by_socket = viewer.upto(step)[-1]
            assert client.shown[-1] == ("http", {name: by_socket[name] for name in DOCUMENT})
    assert {way for way, _ in client.shown} == {"http"}
    assert_no_step_back(client)
    client.close()
    training.end()


def test_http_fallback_takes_over_when_the_websocket_is_cut_and_gives_back_when_it_returns(
    shared: System, proxy: Proxy, client: Client, session_id: str
) -> None:
    training = shared.train(session_id)
    training.emit("emit_training_started", total_steps=100, total_models=1)
    for round_number in (0, 1):
        first = 10 * round_number
        training.step(first + 1, loss=1.0)
        until(lambda: client.way == "websocket", "the WebSocket")
        client.until_step(first + 1)
        proxy.upgrade = 502
        proxy.reset()
        training.step(first + 2, loss=0.5)
        client.until_step(first + 2)
        assert client.way == "http"
        training.emit("emit_model_completed", model_idx=0, final_loss=0.25)
        until(lambda: client.shown[-1][1]["metrics"]["loss"] == 0.25, "the model's end, by polling")
        proxy.upgrade = None
        until(lambda: client.way == "websocket", "the WebSocket, again")
    assert_no_step_back(client)
    assert set(client.steps) - {0} == {1, 2, 11, 12}, "nothing was left out"
    training.end()


def test_http_fallback_tells_errors_and_that_they_are_over(shared: System, proxy: Proxy, session_id: str) -> None:
    proxy.upgrade = 403
    client = Client(proxy.port, session_id)
    training = shared.train(session_id)
    training.step(1, loss=1.0)
    client.until_step(1)
    for call, arguments, status in (
        ("emit_error", {"error": "out of memory"}, "error"),
        ("emit_step_update", {"step": 2}, "running"),
        ("emit_phase_completed", {"phase_name": "training_complete"}, "completed"),
    ):
        training.emit(call, **arguments)
        until(lambda status=status: client.shown[-1][1]["status"] == status, status)  # type: ignore[misc]
    client.close()
    training.end()


def test_http_fallback_bridges_a_restart_of_the_server(mortal: System, session_id: str) -> None:
    mortal.serve()
    client = Client(mortal.port, session_id)
    training = mortal.train(session_id)
    training.step(1, loss=1.0)
    client.until_step(1)
    mortal.stop()
    training.step(2, loss=0.5)
    mortal.serve()
    client.until_step(2)
    until(lambda: client.way == "websocket", "the WebSocket, again")
    training.step(3, loss=0.25)
    client.until_step(3)
    assert client.way == "websocket"
    assert_no_step_back(client)
    client.close()
    training.end()
