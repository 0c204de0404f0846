"""Socket.IO clients of the tests: the real one of npm in a process of its own, and a bare one that misbehaves."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from msgspec import Struct

from tests.server.mounts import TOKEN, Json

SCRIPT = Path(__file__).with_name("socketio_client.mjs")

COMPONENT: Json = {
    "transports": ["websocket", "polling"],
    "timeout": 5000,
    "reconnection": True,
    "reconnectionAttempts": 5,
    "reconnectionDelay": 1000,
}
"""The options of the component that existing front ends are built with; it adds no token."""

WITH_TOKEN: Json = {"query": {"token": TOKEN}}

WAYS: dict[str, Json] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"]},
    "default": {},
    "component": COMPONENT,
}
"""The ways that a client may take, by the options that make it."""


class Heard(Struct, frozen=True):
    """An event that a client has told of: the server's, or its own (connect, disconnect, connect_error, upgrade, ack)."""

    event: str
    args: list[Any]


class NodeClient:
    """A socket.io-client of npm."""

    def __init__(self, url: str, options: Json) -> None:
        self._process = subprocess.Popen(
            ["node", str(SCRIPT), url, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def emit(self, event: str, *args: object, ack: bool = False) -> None:
        self._say(emit=event, args=args, ack=ack)

    def write(self, packet: str) -> None:
        """Send a packet of Engine.IO's as it stands."""
        self._say(raw=packet)

    def hear(self, timeout: float = 10.0) -> Heard:
        return self._heard.get(timeout=timeout)

    def hear_until(self, condition: Callable[[Heard], bool], timeout: float = 12.0) -> list[Heard]:
        """Return all events up to the first that meets the condition, that one included."""
        deadline = time.monotonic() + timeout
        heard: list[Heard] = []
        try:
            while not heard or not condition(heard[-1]):
                heard.append(self.hear(max(0.01, deadline - time.monotonic())))
        except queue.Empty:
            raise AssertionError(f"it was not heard in time, but {heard}") from None
        return heard

    def hear_event(self, event: str, timeout: float = 12.0) -> Any:
        """Return the first argument of the next event of a name."""
        args = self.hear_until(lambda heard: heard.event == event, timeout)[-1].args
        return args[0] if args else None

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()

    def _say(self, **line: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard.put(Heard(**json.loads(line)))


@contextmanager
def node_client(url: str, **options: object) -> Iterator[NodeClient]:
    """Start a client that shows the token in its address unless told otherwise."""
    client = NodeClient(url, {**WITH_TOKEN, **options})
    try:
        yield client
    finally:
        client.end()


class BarePoller:
    """Engine.IO's polling by hand, for what the real client never does."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        self.address = f"{url}/socket.io/"
        self.headers = {"Authorization": f"token {TOKEN}"} if headers is None else headers
        opened = self.get()
        assert opened.status_code == 200, opened.text
        self.sid: str = json.loads(opened.text[1:])["sid"]
        assert self.post("40").status_code == 200

    def get(self, **more: str) -> requests.Response:
        return requests.get(self.address, params=self._params(more), headers=self.headers, timeout=10)

    def post(self, packets: str | bytes, **headers: str) -> requests.Response:
        return requests.post(
            self.address,
            params=self._params({}),
            data=packets,
            headers={"Content-Type": "text/plain;charset=UTF-8", **self.headers, **headers},
            timeout=10,
        )

    def poll_until(self, part: str) -> str:
        """Poll until what came holds a part; return all of it."""
        deadline, came = time.monotonic() + 10, ""
        while part not in came:
            assert time.monotonic() < deadline, came
            came += self.get().text + "\n"
        return came

    def _params(self, more: dict[str, str]) -> dict[str, str]:
        sid = getattr(self, "sid", None)
        return {"EIO": "4", "transport": "polling", **({} if sid is None else {"sid": sid}), **more}
