"""A viewer of docs/PROTOCOL.md in Python, over WebSocket and HTTP, that keeps all that it has applied.

The checker asks it afterwards. It follows the protocol's rules and nothing else: apply iff from <= cursor + 1 <= to, drop
what lies behind, ask again at a hole, come back with its cursor, poll where WebSocket does not come through.
"""

from __future__ import annotations

import json
import random
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import connect

from forge_widgets.core.events import Event, Record
from forge_widgets.core.metrics import unpack_number
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import Column, StepBlock

Json = dict[str, Any]
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


@dataclass(slots=True)
class Chapter:
    """What a viewer has applied from one key frame on."""

    epoch: str
    # The key frame's position and state; False where it came in place of a cursor that was not honoured.
    start: int
    base: State
    recovered: bool
    # What came after it, in order, each cut to what was new.
    records: list[Record] = field(default_factory=list)


class Viewer:
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
        # What it has applied, the newest last, and the state after it.
        self.chapters: list[Chapter] = []
        self.state = State()
        self.offset = 0
        # What the newest heartbeat said, and every reason that was ever given.
        self.top = 0
        self.unsaved = 0
        self.reasons: list[str] = []
        # The transport that delivered last, and when something was applied last (monotonic seconds).
        self.delivering = ""
        self.applied_at = 0.0
        # How often it has connected or polled, how often each transport failed, and what it asked again for.
        self.connections = 0
        self.failures: list[str] = []
        self.holes = 0
        # The close code that told it not to come back; None while it may.
        self.sent_away: int | None = None
        self._url = url
        self.session_id = session_id
        self._authorization = {"Authorization": f"token {token}"}
        self._transport = transport
        self._patience = patience or Patience()
        self._random = random.Random(seed)
        self._heartbeat_s = 10.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="viewer", daemon=True)

    @property
    def position(self) -> tuple[str, int]:
        """The cursor: epoch and the last offset that was applied."""
        return (self.chapters[-1].epoch, self.offset) if self.chapters else ("", 0)

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

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Wait until a condition holds; fail at the deadline, saying how far the viewer got."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"no {what} in {timeout_s} s: {self}"
            time.sleep(0.01)

    def __repr__(self) -> str:
        return (
            f"at {self.offset} of {self.top} by {self.delivering or 'nothing'}, {self.connections} connections, "
            f"{len(self.chapters)} chapters, failures {self.failures[-5:]}, sent away {self.sent_away}"
        )

    def take(self, frame: Json) -> Literal["applied", "dropped", "hole"]:
        """Apply a frame iff it goes on from the cursor."""
        epoch = self.chapters[-1].epoch if self.chapters else None
        if frame["key"]:
            if epoch == frame["epoch"] and frame["to"] <= self.offset:
                return "dropped"
            self.state = state_of(frame["state"])
            if frame["epoch"]:
                self.chapters.append(Chapter(frame["epoch"], frame["to"], self.state, frame["recovered"]))
                self.offset = frame["to"]
                self.applied_at = time.monotonic()
            return "applied"
        if epoch != frame["epoch"] or frame["from"] > self.offset + 1:
            return "hole"
        if frame["to"] <= self.offset:
            return "dropped"
        # Parsed whole before anything of it is applied.
        for record in [record_of(message) for message in frame["records"]]:
            self._apply(record)
        assert self.offset == frame["to"], f"a frame to {frame['to']} held records up to {self.offset} only"
        self.applied_at = time.monotonic()
        return "applied"

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

    def _apply(self, record: Record) -> None:
        if record.last <= self.offset:
            return
        skip = max(0, self.offset + 1 - record.offset)
        if skip and isinstance(record.body, StepBlock):
            record = Record(
                offset=record.offset + skip,
                attempt=record.attempt,
                producer=record.producer,
                sequence=record.sequence + skip,
                body=record.body.slice(skip),
            )
        self.state = fold(self.state, record)
        self.chapters[-1].records.append(record)
        self.offset = record.last


def record_of(message: Json) -> Record:
    """Read a record of a delta frame."""
    body: Event | StepBlock
    if "event" in message:
        event = message["event"]
        metrics = {name: unpack_number(value) for name, value in event.get("metrics", {}).items()}
        body = msgspec.convert({**event, "metrics": metrics}, Event)
    else:
        rows = message["rows"]
        columns = {name: _column_of(values) for name, values in rows["columns"].items()}
        body = StepBlock(array("d", rows["timestamps"]), columns, rows["thinned"])
    return Record(
        offset=message["offset"],
        attempt=message["attempt"],
        producer=message["producer"],
        sequence=message["sequence"],
        body=body,
    )


def state_of(message: Json) -> State:
    """Read the state of a key frame."""
    metrics = {name: [unpack_number(value), stamp] for name, (value, stamp) in message["metrics"].items()}
    pace = [[unpack_number(at), unpack_number(steps)] for at, steps in message["pace"]]
    models = [
        {**model, "loss": None if model["loss"] is None else unpack_number(model["loss"])}
        for model in message["models"]
    ]
    return msgspec.convert({**message, "metrics": metrics, "pace": pace, "models": models}, State)


def _column_of(values: list[float | str | None]) -> Column:
    present = bytes(value is not None for value in values)
    numbers = array("d", [0.0 if value is None else unpack_number(value) for value in values])
    return Column(numbers, present if 0 in present else None)
