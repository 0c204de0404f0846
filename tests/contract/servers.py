"""The servers that the contract speaks of, as a person starts them: by their public commands, each in a process of its own.

Knows how to start, kill and end them and how to ask them; what they answer is judged by the tests. Imports nothing of the
package.
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
from urllib.parse import urlsplit

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

TOKEN = "a-token-of-the-contract"
ODD_BASE = "/a%40b/"
START_S = 60.0
Json = dict[str, Any]


def until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Wait until a condition holds; fail at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Server:
    """A server below ``url`` (the contract's PREFIX, no slash at its end); it can be started again at the same place."""

    def __init__(self, command: list[str], url: str, folder: Path, *, token: str | None = TOKEN) -> None:
        self.url = url
        self.port = urlsplit(url).port or 80
        # The contract's PREFIX without host and port: what a request's first line begins with.
        self.prefix = urlsplit(url).path
        self.token = token
        self._headers = {} if token is None else {"Authorization": f"token {token}"}
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        environment = {**os.environ, "FORGE_WIDGETS_STORE": os.fspath(self._folder / "store")}
        with (self._folder / f"server-{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        until(self._answers, f"answer of {self._command}", START_S)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / f"server-{self.port}.log").read_text()[-2000:]
        with suppress(requests.RequestException):
            return self.get("/api/health").status_code == 200
        return False

    def kill(self) -> None:
        """Kill it at once, as a machine would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)

    # --- asking ----------------------------------------------------------------------------------

    def ask(self, verb: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """Send a request by a connection of its own."""
        options.setdefault("timeout", 15)
        return requests.request(verb, self.url + path, headers={**self._headers, **(headers or {})}, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.ask("POST", path, json=body, **options)

    def post_text(self, path: str, text: str | bytes, **options: Any) -> requests.Response:
        """Post a body as it is, said to be JSON."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.ask("POST", path, data=text, headers=headers, **options)

    def update(self, session_id: str, event_type: str = "step_update", **body: Any) -> None:
        """Record an update, and see it answered as the contract says."""
        answer = self.post(f"/api/progress/{session_id}/update", {"eventType": event_type, **body})
        assert (answer.status_code, answer.json()) == (200, {"status": "success", "sessionId": session_id})

    def step(self, session_id: str, **metrics: Any) -> None:
        """Record a bare step."""
        self.update(session_id, metrics=metrics)

    def progress(self, session_id: str) -> Json:
        """Return a session's document."""
        answer = self.get(f"/api/progress/{session_id}")
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    def metrics(self, session_id: str) -> Json:
        metrics: Json = self.progress(session_id)["metrics"]
        return metrics

    def status(self, session_id: str) -> str:
        status: str = self.progress(session_id)["status"]
        return status

    def log(self, session_id: str) -> list[Json]:
        """Return the bodies of a session's log, in order: the one thing that the contract promises and shows nowhere."""
        answer = self.get(f"/api/sessions/{session_id}/records?after=0")
        assert answer.status_code == 200, answer.text
        return [record.get("event") or record["rows"] for record in answer.json()["records"]]

    @contextmanager
    def socket(self, path: str, **options: Any) -> Iterator[Socket]:
        """Open a WebSocket."""
        url = self.url.replace("http", "ws", 1) + path
        with connect(url, additional_headers=self._headers, **options) as connection:
            yield Socket(connection)

    @contextmanager
    def viewer(self, session_id: str) -> Iterator[Socket]:
        """Open a WebSocket of a session, and hear the greeting."""
        with self.socket(f"/ws/{session_id}") as socket:
            greeting = socket.hear()
            assert (greeting["type"], greeting["sessionId"]) == ("session_joined", session_id)
            yield socket


class Socket:
    """A client's end of a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self, timeout_s: float = 8.0) -> Json:
        """Return the next message."""
        text = self.connection.recv(timeout=timeout_s)
        assert isinstance(text, str), "the contract's messages are text"
        message: Json = json.loads(text, parse_constant=_no_number)
        return message

    def hear_until(self, condition: Callable[[Json], bool], timeout_s: float = 10.0) -> list[Json]:
        """Return all messages up to the first that meets the condition, that one included."""
        deadline, heard = time.monotonic() + timeout_s, []
        while True:
            try:
                heard.append(self.hear(max(0.01, deadline - time.monotonic())))
            except TimeoutError:
                raise AssertionError(f"not among the {len(heard)} messages that came, the last {heard[-3:]}") from None
            if condition(heard[-1]):
                return heard

    def hear_type(self, kind: str) -> Json:
        """Return the next message of a type."""
        return self.hear_until(lambda message: message["type"] == kind)[-1]

    def ask(self, answered_by: str, **message: Any) -> Json:
        """Say something and return the next message of the type that answers it."""
        self.say(**message)
        return self.hear_type(answered_by)

    def close_code(self, timeout_s: float = 10.0) -> int | None:
        """Read on until the server has closed the connection, and return the code that it gave."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self.connection.recv(timeout=max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code


def _no_number(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def standalone(folder: Path, *options: str, token: str | None = TOKEN) -> Server:
    """Make ``forge-widgets serve`` with a token, or with ``--open``."""
    port = free_port()
    who = ["--open"] if token is None else ["--token", token]
    command = [os.fspath(Path(sys.executable).with_name("forge-widgets")), "serve", "--port", str(port), *who, *options]
    return Server(command, f"http://127.0.0.1:{port}", folder, token=token)


def in_jupyter(folder: Path) -> Server:
    """Make a Jupyter server with our extension, at an odd base URL."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", "--ServerApp.port_retries=0"),
        *(f"--ServerApp.port={port}", f"--ServerApp.base_url={ODD_BASE}", f"--IdentityProvider.token={TOKEN}"),
        f"--ServerApp.root_dir={folder}",
    ]
    return Server(command, f"http://127.0.0.1:{port}{ODD_BASE}forge", folder)
