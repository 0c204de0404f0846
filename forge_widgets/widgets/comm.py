"""The comm transport: how a widget's front end follows a session through the kernel (docs/PROTOCOL.md, "Kernel").

A daemon thread for each widget, ended by it, pushes what the store has; nothing waits for the kernel's shell, which a
running cell keeps busy. What is due when is core.cadence's to say. Holds no widget, so that one that nobody has any more
can go.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from forge_widgets.core.cadence import FRAME_S, HEARTBEAT_S, QUIET_S, Cadence, Due, Wanted
from forge_widgets.core.events import Producer
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.subscription import SPARING, UNASKED, Cursor
from forge_widgets.core.wire import Json, heartbeat_message, welcome_message
from forge_widgets.errors import ForgeError
from forge_widgets.stores.lookout import Lookout
from forge_widgets.stores.processes import process_alive, this_host
from forge_widgets.widgets.reader import SessionReader

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


class Leave(Struct, frozen=True, tag="leave", tag_field="type"):
    """A front end that followed is closed: others, and the next one, may still have no better transport."""


Wish = Subscribe | Unsubscribe | Leave

Send = Callable[[Json], bool]
"""Sends a message to the front ends; False once there is nobody to send for."""


class CommStream:
    """Push a session to the front ends of one widget."""

    def __init__(self, reader: SessionReader, send: Send, *, eager: bool, heartbeat_s: float = HEARTBEAT_S) -> None:
        """Prepare; ``start`` begins. ``eager``: no server is known, so that delta frames go out unasked too."""
        self._heartbeat_s = heartbeat_s
        self._reader = reader
        self._send = send
        self._cadence = Cadence(time.monotonic(), eager=eager, heartbeat_s=heartbeat_s)
        # Guards _cadence: wishes come on the kernel's threads.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # True from a failure of the store to its next success.
        self._unreadable = False
        # What the front ends were told last of what is not saved yet.
        self._told = Arrears()
        producer = Producer(id=f"reader-{os.urandom(8).hex()}", bare=True, pid=os.getpid(), host=this_host())
        self._lookout = Lookout(store=reader.store, producer=producer, clock=time.time, process_alive=process_alive)

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
            match wish:
                case Subscribe(epoch, after):
                    self._cadence.follow(Cursor(epoch, after) if epoch else None)
                case Unsubscribe():
                    self._cadence.silence()
                case Leave():
                    self._cadence.push()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            # Work done, not time passed: most of that is waiting for the interpreter while training computes.
            began = time.thread_time()
            try:
                pause_s = self._turn()
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

    def _turn(self) -> float | None:
        """Send what is due. Return how long there is nothing to do, None until woken."""
        reader, now = self._reader, time.monotonic()
        changed = not self._cadence.silent and reader.catch_up()
        self._unreadable = False
        with self._lock:
            running = reader.state.status == "running"
            due = self._cadence.due(now, reader.cursor, changed=changed, running=running)
        if due.unsubscribed:
            self._put({"type": "unsubscribed"})
        if due.welcome:
            self._put(welcome_message(reader.session_id, reader.store.store_id, self._heartbeat_s, time.time()))
        for wanted in due.frames:
            self._send_frame(due, wanted)
        if due.listen:
            self._listen(heartbeat=due.heartbeat)
        with self._lock:
            return self._cadence.pause_s(now)

    def _send_frame(self, due: Due, wanted: Wanted) -> None:
        made = self._reader.message(wanted.cursor, UNASKED if wanted.small else SPARING)
        if made is None:
            return
        message, cursor = made
        self._put(message)
        with self._lock:
            self._cadence.sent(due, cursor)

    def _listen(self, *, heartbeat: bool) -> None:
        """Hear what producers could not save, and whether they have gone; hand it on in a heartbeat."""
        behind = self._lookout.listen(self._reader.session_id, self._reader.state)
        if heartbeat or behind != self._told:
            self._told = behind
            self._put(heartbeat_message(self._reader.cursor, behind, time.time()))

    def _say_failure(self, error: ForgeError) -> float:
        """Tell front ends why nothing comes; the store is asked again."""
        with self._lock:
            to_be_said = self._cadence.failed(time.monotonic(), before=self._unreadable)
        self._unreadable = True
        if to_be_said:
            self._told = Arrears(self._told.unsaved, str(error))
            self._put(heartbeat_message(self._reader.cursor, self._told, time.time()))
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
