"""A viewer of docs/PROTOCOL.md in Python, over WebSocket and HTTP, that keeps all that it has applied.

The checker asks it afterwards. It follows the protocol's rules and nothing else: take what a view takes, ask again at a
hole, come back with its cursor, poll where WebSocket does not come through.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import connect

from tests.faults.view import Json, View

Transport = Literal["websocket", "http", "auto"]
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a viewer waits for what, in seconds: the settings of the stream in the browser, to be scaled."""

    welcome_s: float = 5.0
    # Heartbeats that may stay away before a link is dead.
    missed_heartbeats: float = 3.5
    backoff_base_s: float = 0.1
    backoff_cap_s: float = 1.0
    # From one try of WebSocket to the next while it polls.
    probe_s: float = 1.0
    poll_wait_s: float = 1.0


class Viewer(View):
    """One viewer of one session; ``start`` lets it follow in a thread of its own until ``close``."""

    def __init__(
        self,
        url: str,
        session_id: str,
        token: str,
        *,
        transport: Transport = "websocket",
        patience: Patience | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(session_id)
        # What the newest heartbeat said, and every reason that was ever given.
        self.top = 0
        self.unsaved = 0
        self.reasons: list[str] = []
        # The transport that delivered last.
        self.delivering = ""
        # How often it has connected or polled, how often each transport failed, and what it asked again for.
        self.connections = 0
        self.failures: list[str] = []
        self.holes = 0
        # The close code that told it not to come back; None while it may.
        self.sent_away: int | None = None
        self._url = url
        self._authorization = {"Authorization": f"token {token}"}
        self._transport = transport
        self._patience = patience or Patience()
        self._random = random.Random(seed)
        self._heartbeat_s = 10.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="viewer", daemon=True)

    # --- what it does ----------------------------------------------------------------------------

    def start(self) -> Viewer:
        """Follow in a thread."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(10)
            assert not self._thread.is_alive(), "the viewer does not end"

    def __repr__(self) -> str:
        return (
            f"at {self.offset} of {self.top} by {self.delivering or 'nothing'}, {self.connections} connections, "
            f"{len(self.chapters)} chapters, failures {self.failures[-5:]}, sent away {self.sent_away}"
        )

    def connect_once(self) -> str:
        """Follow over one WebSocket until it ends; return why it did."""
        self.connections += 1
        try:
            with connect(
                self._url.replace("http", "ws", 1) + self._path("/ws/{}"),
                additional_headers=self._authorization,
                max_size=None,
                open_timeout=self._patience.welcome_s,
                close_timeout=0.1,
                ping_interval=None,
                compression=None,
                proxy=None,
            ) as socket:
                return self._listen(socket.recv, socket.send)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            if code in (1000, 1008) or code >= 4500:
                self.sent_away = code
            return f"closed {code}"
        except (OSError, InvalidHandshake, InvalidMessage, EOFError, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:200]

    def poll_once(self, wait_s: float = 0.0) -> str:
        """Poll once; return what failed, "" where nothing did."""
        self.connections += 1
        path = self._path("/api/sessions/{}/events") + (f"&wait={wait_s}" if wait_s else "")
        try:
            answer = requests.get(
                self._url + path, headers=self._authorization, timeout=wait_s + self._patience.welcome_s
            )
            answer.raise_for_status()
            polled = answer.json()
        except (requests.RequestException, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:200]
        if polled["frame"] is not None:
            self._hear(polled["frame"], "http")
        self._hear(polled["heartbeat"], "http")
        return ""

    # --- how it does it --------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        cursor = f"&epoch={self.chapters[-1].epoch}&after={self.offset}" if self.chapters else ""
        return f"{path.format(self.session_id)}?protocol=1{cursor}"

    def _follow(self) -> None:
        failures = 0
        while not self._stopped.is_set() and self.sent_away is None:
            applied = self.applied_at
            polls = self._transport == "http" or (self._transport == "auto" and failures >= 2)
            why = self._poll_a_while() if polls else self.connect_once()
            if self._stopped.is_set():
                return
            if why:
                self.failures.append(why)
                # An Upgrade that nothing follows has cost its five seconds: that is enough.
                failures = 1 if self.applied_at > applied else failures + (2 if why == "no welcome" else 1)
            if why or not polls:
                cap = min(self._patience.backoff_cap_s, self._patience.backoff_base_s * 2.0 ** min(failures, 10))
                self._stopped.wait(cap * self._random.random())

    def _poll_a_while(self) -> str:
        """Poll; where WebSocket is wanted, try it now and then, and change over once it has delivered."""
        again = time.monotonic() + self._patience.probe_s
        while not self._stopped.is_set():
            why = self.poll_once(self._patience.poll_wait_s)
            if why:
                return why
            if self._transport == "auto" and time.monotonic() >= again:
                self.failures.append(self.connect_once())
                again = time.monotonic() + self._patience.probe_s
        return ""

    def _listen(self, recv: Callable[[float], str | bytes], send: Callable[[str], None]) -> str:
        heard_at, welcomed = time.monotonic(), False
        while not self._stopped.is_set():
            now = time.monotonic()
            if not welcomed and now - heard_at > self._patience.welcome_s:
                return "no welcome"
            if now - heard_at > self._heartbeat_s * self._patience.missed_heartbeats:
                return "silent"
            try:
                message = json.loads(recv(_LOOK_S))
            except TimeoutError:
                continue
            heard_at, welcomed = time.monotonic(), True
            if self._hear(message, "websocket") == "hole":
                self.holes += 1
                epoch = self.chapters[-1].epoch if self.chapters else ""
                send(json.dumps({"type": "resume", "epoch": epoch, "after": self.offset}))
        return "stopped"

    def _hear(self, message: Json, transport: str) -> str:
        self.delivering = transport
        if message["type"] == "welcome":
            self._heartbeat_s = message["heartbeatSeconds"]
        elif message["type"] == "heartbeat":
            self.top, self.unsaved = message["top"], message["unsaved"]
            if message["reason"] and message["reason"] not in self.reasons[-1:]:
                self.reasons.append(message["reason"])
        elif message["type"] == "frame":
            return self.take(message)
        return ""
