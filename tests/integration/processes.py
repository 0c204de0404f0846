"""The processes of one system, as a person has them: ``forge-widgets serve``, trainings, and viewers that know the contract alone.

Started, killed and ended by their ids; each waits by conditions with a deadline.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "a-token-of-the-system"
PATIENCE_S = 30.0

Json = dict[str, Any]


def until(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds; fail at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.01)


class Training:
    """A process that calls the hooks as a test says."""

    def __init__(self, store: str, session_id: str, *options: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "hand.py"), session_id, store, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self._hear("ready")

    def emit(self, call: str, **arguments: object) -> None:
        """Let it call ``emit_…``, and wait until that is durable."""
        self._tell(call, arguments)
        self._hear("done")

    def step(self, step: int, **metrics: object) -> None:
        """Let it emit a step of the first model."""
        self.emit("emit_step_update", step=step, **metrics)

    def end(self) -> None:
        """Let it end in good order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE_S) == 0

    def kill(self) -> None:
        """Kill it at once, where it still runs."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _tell(self, call: str, arguments: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([call, arguments]) + "\n")
        self._process.stdin.flush()

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word


class System:
    """A store's folder, a server that serves it, and the trainings of one test."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "serve.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._trainings: list[Training] = []

    def serve(self) -> None:
        """Start the server (again, on the same port), and wait until it answers."""
        command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--port", str(self.port), "--token", TOKEN]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "--store", str(self.store)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._answers, f"answer of the server: {self._log.read_text()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the server, in good order or by SIGKILL."""
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(PATIENCE_S)
            self._server = None

    def train(self, session_id: str, *options: str, store: str = "", **environment: str) -> Training:
        """Start a training that records into the folder, or into another store."""
        training = Training(store or str(self.store), session_id, *options, **environment)
        self._trainings.append(training)
        return training

    def get(self, path: str) -> requests.Response:
        """Ask the server."""
        return requests.get(self.url + path, headers={"Authorization": f"token {TOKEN}"}, timeout=PATIENCE_S)

    def progress(self, session_id: str) -> Json:
        """Return a session's progress, as polling gets it."""
        answer = self.get(f"/api/progress/{session_id}")
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    def post(self, session_id: str, **update: object) -> Json:
        """Post an update."""
        answer = requests.post(
            f"{self.url}/api/progress/{session_id}/update",
            json=update,
            headers={"Authorization": f"token {TOKEN}"},
            timeout=PATIENCE_S,
        )
        assert answer.status_code == 200, answer.text
        said: Json = answer.json()
        return said

    @contextmanager
    def viewer(self, session_id: str, port: int | None = None) -> Iterator[Viewer]:
        """Open a viewer by WebSocket, through another port if given; it has been told where the session stands."""
        address = f"ws://127.0.0.1:{port or self.port}/ws/{session_id}?token={TOKEN}"
        with connect(address, open_timeout=PATIENCE_S, close_timeout=1) as connection:
            yield Viewer(connection)

    def close(self) -> None:
        """End all that runs."""
        for training in self._trainings:
            training.kill()
        self.stop(signal.SIGKILL)

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, self._log.read_text()
        with suppress(requests.ConnectionError):
            return self.get("/api/health").status_code == 200
        return False


class Viewer:
    """A client of the contract's WebSocket, which says nothing unasked."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        # The first message: where the session stood.
        self.joined = self.next()
        assert self.joined["type"] == "session_joined", self.joined

    def next(self) -> Json:
        """Return the next message."""
        message: Json = json.loads(self._connection.recv(PATIENCE_S))
        return message

    def until_event(self, event_type: str) -> list[Json]:
        """Return the messages up to the first of a type; steps before it may be in it, and need not come by themselves."""
        messages = [self.next()]
        while messages[-1].get("eventType") != event_type:
            messages.append(self.next())
        return messages

    def upto(self, step: float) -> list[Json]:
        """Return the messages up to the first that has come to a step."""
        messages = [self.next()]
        while messages[-1].get("metrics", {}).get("currentStep") != step:
            messages.append(self.next())
        return messages
