"""What this process has recorded and not yet made durable: whom a reader asks to flush before it reads.

Publishers register a flush for their session, readers (analysis, widgets) call it, and neither imports the other.
The registry is the one of the process on purpose: it says what lies in this process's memory, which no store can know.
A fork starts with an empty one; a publisher that goes on in the child registers there again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

Flush: TypeAlias = Callable[[float], bool]
"""Waits at most so many seconds; True once all recorded before the call is durable. Never raises."""

Unregister: TypeAlias = Callable[[], None]
"""Takes a registration back; a second call does nothing."""


class _Registry:
    """Flushes by session, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each registration under a key of its own: a session may have several publishers here.
        self._flushes: dict[object, tuple[str, Flush]] = {}

    def add(self, session_id: str, flush: Flush) -> Unregister:
        key = object()
        with self._lock:
            self._flushes[key] = (session_id, flush)

        def unregister() -> None:
            with self._lock:
                self._flushes.pop(key, None)

        return unregister

    def of(self, session_id: str) -> list[Flush]:
        with self._lock:
            return [flush for name, flush in self._flushes.values() if name == session_id]

    def forget(self) -> None:
        """Start afresh after a fork: the lock may be held by a thread that is not there any more."""
        self._lock = threading.Lock()
        self._flushes = {}


_registry = _Registry()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_registry.forget)


def register(session_id: str, flush: Flush) -> Unregister:
    """Say how to flush what this process records of a session, until the returned function is called."""
    return _registry.add(session_id, flush)


def flush(session_id: str, timeout_s: float = 2.0) -> bool:
    """Flush what this process has recorded of a session, within ``timeout_s`` for all of its publishers together.

    True where all of it is durable, so also where there is nothing; False where time ran out.
    """
    deadline = time.monotonic() + timeout_s
    flushed = [call(max(0.0, deadline - time.monotonic())) for call in _registry.of(session_id)]
    return all(flushed)
