"""What a fork does to objects with locks: they are brought to rest before it, so that the child finds none held for ever.

A thread that is inside a call when another one forks does not exist in the child: its lock would never be let go.
The set of such objects is the process's on purpose: a fork copies all of it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Protocol

WAIT_S = 1.0
"""How long a fork waits at most for calls that are under way."""


class Forking(Protocol):
    """Somebody whose locks a fork must not break."""

    def fork_locks(self) -> list[threading.Lock]:
        """Return the locks to hold during a fork, in the order of taking them."""

    def after_fork_in_child(self) -> None:
        """Start afresh in the child: with new locks, and without what belongs to the parent."""


class _Forks:
    def __init__(self) -> None:
        self._known: weakref.WeakSet[Forking] = weakref.WeakSet()
        self._held: list[threading.Lock] = []

    def add(self, known: Forking) -> None:
        self._known.add(known)

    def before(self) -> None:
        deadline = time.monotonic() + WAIT_S
        for known in list(self._known):
            for lock in known.fork_locks():
                if lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                    self._held.append(lock)

    def in_parent(self) -> None:
        while self._held:
            self._held.pop().release()

    def in_child(self) -> None:
        self._held.clear()
        for known in list(self._known):
            known.after_fork_in_child()


_forks = _Forks()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.in_parent, after_in_child=_forks.in_child)


def watch_forks(known: Forking) -> None:
    """Hold an object's locks at every fork from now on, for as long as it lives."""
    _forks.add(known)
