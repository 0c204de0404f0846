"""The open files of a SQLite store: a bounded set of connections, each with a lock of its own.

Callers hold one slot at a time; sessions never wait for each other, and reading a session never waits for writing it.
Connections made before a fork are neither used nor closed in the child (sqlite.org/howtocorrupt.html, 2.6).
"""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Literal

import apsw

from forge_widgets.core.events import Producer
from forge_widgets.core.state import State
from forge_widgets.stores.base import Receipt
from forge_widgets.stores.schema import Carried
from forge_widgets.stores.session_file import SessionFile

LEAST_OPEN, MOST_OPEN = 64, 512
"""Connections that a store keeps, at least and at most; those used longest ago are closed beyond what it may. To open a file anew
for each commit takes 2.7 ms of a core instead of 0.3."""

FILES_EACH = 12
"""Files that the process may open for each connection that is kept: it takes three, and others need some, too."""

MAX_WRITERS = 64
"""Producers of one session whose place is remembered here, the newest."""

Role = Literal["read", "write"]


class Slot:
    """A place for one connection; in use while ``users`` hold it or wait for it."""

    __slots__ = ("_state", "_writers", "cleared", "file", "lock", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.file: SessionFile | None = None
        # What the newest writers have recorded through it, and the state with that.
        self._writers: OrderedDict[str, Receipt] = OrderedDict()
        self._state = State()
        # The newest suspicion about the file that was looked into (see damage.py).
        self.cleared = 0
        self.users = 0

    def confirm(self, producer: Producer, receipt: Receipt) -> None:
        """Note what a writer is told is durable: no more than that is carried over to another log."""
        if self.file is not None:
            self._state = self.file.state
        self._writers[producer.id] = receipt
        self._writers.move_to_end(producer.id)
        if len(self._writers) > MAX_WRITERS:
            self._writers.popitem(last=False)

    def carried(self, producer: Producer) -> Carried | None:
        """Return what a producer that writes here carries over to another log."""
        known = self._writers.get(producer.id)
        if known is None:
            return None
        return Carried(self._state, producer.id, producer.group or producer.id, known.attempt, known.sequence)

    def forget(self) -> None:
        """Carry nothing over: what was recorded here is deleted on purpose."""
        self._writers.clear()

    def close(self) -> None:
        """Close the connection, if there is one."""
        file, self.file = self.file, None
        if file is not None:
            with suppress(apsw.Error):
                file.close()


class Hold:
    """Holds a slot while its block runs. A class, because every append passes here: 1.1 µs instead of 2.2 for a generator's."""

    __slots__ = ("_connections", "_role", "_session_id", "_slot")

    def __init__(self, connections: Connections, session_id: str, role: Role) -> None:
        self._connections = connections
        self._session_id = session_id
        self._role: Role = role

    def __enter__(self) -> Slot:
        slot = self._slot = self._connections.enter(self._session_id, self._role)
        try:
            slot.lock.acquire()
        except BaseException:  # an interrupt while it waits
            self._connections.leave(slot)
            raise
        return slot

    def __exit__(self, *_: object) -> None:
        self._slot.lock.release()
        self._connections.leave(self._slot)


def most_open() -> int:
    """Return how many connections a store of this process keeps, by the files that it may open."""
    try:
        import resource
    except ImportError:  # Windows
        return LEAST_OPEN
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_OPEN if files < 0 else min(MOST_OPEN, max(LEAST_OPEN, files // FILES_EACH))


class Connections:
    """Slots by session and role."""

    def __init__(self) -> None:
        self._most = most_open()
        self._lock = threading.Lock()
        # Newest use last.
        self._slots: OrderedDict[tuple[str, Role], Slot] = OrderedDict()

    def hold(self, session_id: str, role: Role) -> Hold:
        """Hold a session's slot, and nobody else's."""
        return Hold(self, session_id, role)

    def close(self) -> None:
        """Close all connections, waiting for calls that are under way."""
        with self._lock:
            slots, self._slots = self._slots, OrderedDict()
        for (_, role), slot in slots.items():
            with slot.lock:
                if role == "write" and slot.file is not None:
                    slot.file.leave_whole()
                slot.close()

    def let_go(self, session_id: str, role: Role) -> None:
        """Close a connection that nobody uses now."""
        with self._lock:
            slot = self._slots.get((session_id, role))
            if slot is None or slot.users:
                return
            del self._slots[session_id, role]
        slot.close()

    def fork_locks(self) -> list[threading.Lock]:
        """Return the locks to hold during a fork."""
        with self._lock:
            slots = list(self._slots.values())
        return [*(slot.lock for slot in slots), self._lock]

    def after_fork_in_child(self) -> None:
        """Forget the parent's connections without closing them."""
        for slot in self._slots.values():
            if slot.file is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(slot.file))  # so that nothing ever closes it
        self._lock = threading.Lock()
        self._slots = OrderedDict()

    def enter(self, session_id: str, role: Role) -> Slot:
        """Count the caller among a slot's users; it takes the slot's lock, and leaves."""
        with self._lock:
            slot = self._slots.get((session_id, role))
            if slot is None:
                slot = self._slots[session_id, role] = Slot()
            self._slots.move_to_end((session_id, role))
            slot.users += 1
            spare = self._spare() if len(self._slots) > self._most else ()
        for other in spare:
            other.close()
        return slot

    def leave(self, slot: Slot) -> None:
        """Count the caller among a slot's users no more."""
        with self._lock:
            slot.users -= 1

    def _spare(self) -> list[Slot]:
        """Take out what is too many, of those that nobody uses."""
        idle = [key for key, other in self._slots.items() if other.users == 0]
        return [self._slots.pop(key) for key in idle[: len(self._slots) - self._most]]
