"""The comm transport: how a widget's front end follows a session through the kernel (docs/PROTOCOL.md, "Kernel").

A daemon thread for each widget, ended by it, pushes what the store has; nothing waits for the kernel's shell, which a
running cell keeps busy. Holds no widget, so that one that nobody has any more can go.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from forge_widgets.core.events import Batch, Producer
from forge_widgets.core.liveness import Arrears, arrears, connection_lost, lost_producer
from forge_widgets.core.subscription import SPARING, UNASKED, Cursor
from forge_widgets.core.wire import Json, heartbeat_message, welcome_message
from forge_widgets.errors import ForgeError
from forge_widgets.stores.processes import process_alive
from forge_widgets.widgets.reader import SessionReader

FRAME_S = 0.05
"""Between two frames at least: twenty a second."""

PUSH_S = 2.0
"""Between two key frames that nobody asked for."""

REPEATS = 5
"""How often a key frame is pushed again although nothing changed: a page that loads meanwhile has missed the first."""

HEARTBEAT_S = 10.0
QUIET_S = 1.0
"""The longest wait between two looks at the store while somebody follows."""

IDLE_SHARE = 4.0
"""A turn is followed by rest of so many times the work that it was: training has the same interpreter."""

_STOP_TIMEOUT_S = 1.0

_log = logging.getLogger(__name__)


class Subscribe(Struct, frozen=True, tag="subscribe", tag_field="type"):
    """A front end wants delta frames from its cursor on; without an epoch it has none."""

    epoch: str = ""
    after: int = 0


class Unsubscribe(Struct, frozen=True, tag="unsubscribe", tag_field="type"):
    """A front end has a better transport."""


Wish = Subscribe | Unsubscribe

Send = Callable[[Json], bool]
"""Sends a message to the front ends; False once there is nobody to send for."""


class _Order(Struct, frozen=True):
    """What the stream is to do; a new one for each wish, so that an old turn can't undo it."""

    mode: Literal["push", "follow", "silence"]
    # None asks for a key frame.
    cursor: Cursor | None = None


class CommStream:
    """Push a session to the front ends of one widget."""

    def __init__(self, reader: SessionReader, send: Send, *, eager: bool, heartbeat_s: float = HEARTBEAT_S) -> None:
        """Prepare; ``start`` begins. ``eager``: no server is known, so that delta frames go out unasked too."""
        self._heartbeat_s = heartbeat_s
        self._reader = reader
        self._send = send
        self._eager = eager
        self._order = _Order("push")
        # Guards _order and _cursor: wishes come on the kernel's threads.
        self._lock = threading.Lock()
        # Where the front ends are known or hoped to stand.
        self._cursor: Cursor | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._welcome_due = True
        # Moments of time.monotonic().
        self._next_push = 0.0
        self._next_heartbeat = time.monotonic() + heartbeat_s
        # Where the last pushed key frame led, and how often it was repeated.
        self._pushed: Cursor | None = None
        self._repeats = 0
        self._pause_s = FRAME_S
        # True from a failure of the store to its next success.
        self._unreadable = False
        self._producer = Producer(id=f"reader-{os.urandom(8).hex()}", bare=True, pid=os.getpid())

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            name = f"forge-widgets {self._reader.session_id}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
            # Last in, first out: before ZeroMQ closes, which was there earlier, so that no frame meets closed sockets.
            atexit.register(self.stop)

    def stop(self) -> None:
        """End the thread and wait for it, shortly. May be called again, and from the thread itself."""
        self._stopped.set()
        self._wake.set()
        atexit.unregister(self.stop)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_TIMEOUT_S)

    def receive(self, wish: Wish) -> None:
        """Take a wish of a front end; from any thread."""
        with self._lock:
            if isinstance(wish, Subscribe):
                self._cursor = Cursor(wish.epoch, wish.after) if wish.epoch else None
                self._order = _Order("follow", self._cursor)
                self._welcome_due = True
                self._pause_s = FRAME_S
            else:
                self._order = _Order("silence")
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            # Work done, not time passed: most of that is waiting for the interpreter while training computes.
            began = time.thread_time()
            try:
                pause_s = self._turn(time.monotonic())
            except ForgeError as error:
                pause_s = self._say_failure(error)
            except Exception:  # noqa: BLE001  # the edge of the thread: a turn that fails must not end the view
                _log.warning("a frame of %s was not sent", self._reader.session_id, exc_info=True)
                pause_s = self._heartbeat_s
            rest_s = max(FRAME_S, IDLE_SHARE * (time.thread_time() - began))
            # A wish ends the pause, not the rest: however often it is uttered.
            if not self._stopped.wait(rest_s):
                self._wake.wait(None if pause_s is None else max(0.0, pause_s - rest_s))
            self._wake.clear()

    def _turn(self, now: float) -> float | None:
        """Send what is due. Return how long there is nothing to do, None until woken."""
        with self._lock:
            order, cursor = self._order, self._cursor
        if order.mode == "silence":
            return None
        changed = self._reader.catch_up()
        self._unreadable = False
        self._pause_s = FRAME_S if changed else min(QUIET_S, 2 * self._pause_s)
        if self._welcome_due:
            self._welcome_due = False
            self._welcome()
        if order.mode == "push":
            self._push(order, now)
        elif (made := self._reader.message(cursor)) is not None:
            self._deliver(order, *made)
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + self._heartbeat_s
            self._beat()
        due = [self._next_heartbeat]
        if order.mode == "push":
            due.append(self._next_push)
        if order.mode == "follow" or self._eager:
            due.append(now + self._pause_s)
        return max(FRAME_S, min(due) - now)

    def _push(self, order: _Order, now: float) -> None:
        """Send a key frame every PUSH_S, and between them, where no server is known, what came since."""
        if now < self._next_push:
            if self._eager and self._reader.state.status == "running":
                made = self._reader.message(self._cursor)
                if made is not None:
                    self._deliver(order, *made)
            return
        self._next_push = now + PUSH_S
        if self._reader.cursor == self._pushed:
            if self._repeats >= REPEATS:
                return
            self._repeats += 1
            self._welcome()
        else:
            self._repeats = 0
        made = self._reader.message(None, SPARING if self._eager else UNASKED)
        if made is not None:
            self._pushed = made[1]
            self._deliver(order, *made)

    def _deliver(self, order: _Order, message: Json, cursor: Cursor) -> None:
        self._put(message)
        with self._lock:
            if self._order is order:
                self._cursor = cursor

    def _welcome(self) -> None:
        store_id = self._reader.store.store_id
        self._put(welcome_message(self._reader.session_id, store_id, self._heartbeat_s, time.time()))

    def _beat(self) -> None:
        """Say what heartbeats say; record that the training went without a word, which of all who notice one does."""
        heartbeats = self._reader.store.heartbeats(self._reader.session_id)
        state, now = self._reader.state, time.time()
        self._put(heartbeat_message(self._reader.cursor, arrears(heartbeats, state.attempt), now))
        lost = lost_producer(state, heartbeats, now, process_alive)
        if lost is not None:
            batch = Batch(producer=self._producer, sequence=0, bodies=[connection_lost(lost, now)])
            self._reader.store.append(self._reader.session_id, batch)

    def _say_failure(self, error: ForgeError) -> float:
        """Tell front ends why nothing comes; the store is asked again."""
        now = time.monotonic()
        if now >= self._next_heartbeat or not self._unreadable:
            self._next_heartbeat = now + self._heartbeat_s
            self._put(heartbeat_message(self._reader.cursor, Arrears(reason=str(error)), time.time()))
        self._unreadable = True
        return QUIET_S

    def _put(self, message: Json) -> None:
        if not self._send(message):
            self._stopped.set()


def read_wish(content: object) -> Wish | None:
    """Read a front end's message; None where it is none of ours."""
    try:
        wish: Wish = msgspec.convert(content, Wish)
    except msgspec.ValidationError:
        return None
    return wish
