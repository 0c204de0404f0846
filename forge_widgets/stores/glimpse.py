"""Was a session's file written to? Told without a lock, a connection or a thread, for whoever looks again and again.

A glimpse never says too little for long: its callers look into the log itself soon after each change, and now and then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Glimpsed(Protocol):
    """A store that can say cheaply that something may have come."""

    def glimpses(self, session_id: str) -> Callable[[], object] | None:
        """Return what to call for a glimpse: an answer that differs once the session was written to. None: looks alone tell."""


class FileGlimpse:
    """A glimpse of a file with a write-ahead log: 2 µs, where to ask SQLite takes 60 and a thread.

    A commit shows in the log before it can be read: its pages are written, then synced, then announced in shared memory.
    """

    __slots__ = ("_file", "_log")

    def __init__(self, file: str) -> None:
        self._file = file
        self._log = f"{file}-wal"

    def __call__(self) -> object:
        """Return size, time and inode of the log, else of the file; None where there is neither."""
        for path in (self._log, self._file):
            try:
                found = os.stat(path)  # noqa: PTH116 - a Path takes longer than the call
            except OSError:
                continue
            return found.st_size, found.st_mtime_ns, found.st_ino
        return None
