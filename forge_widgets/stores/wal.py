"""The write-ahead log of one open session file: whether what lies at its name is still that log, and whole.

SQLite finds a log by the name of its file, so another one may lie there once the file has left its path. Called by
SessionFile alone; it removes nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from ctypes import addressof, c_int
from pathlib import Path

import apsw

_NONE = (0, 0)


class WriteAheadLog:
    """The log that a connection has opened."""

    def __init__(self, file: Path, connection: apsw.Connection) -> None:
        self._path = f"{file}-wal"
        self._connection = connection
        # Size and inode at the last look; it never shrinks while it is open here. Zeros before the first.
        self._seen = _NONE
        # Where SQLite says whether the file has moved.
        self._moved = c_int(0)
        self._moved_at = addressof(self._moved)

    def file_is_moved(self) -> bool:
        """Say whether the file is no longer the one at its path."""
        self._connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, self._moved_at)
        return self._moved.value != 0

    def note(self) -> None:
        """Note the log as it is: the one that was opened, unless the file has left its path by then."""
        seen = self._now()
        self._seen = _NONE if self.file_is_moved() else seen

    def note_growth(self) -> None:
        """Note how long it is."""
        size, inode = self._now()
        if inode == self._seen[1]:  # it is found by its name: another one there is none of ours
            self._seen = (size, inode)

    def is_cut(self) -> bool:
        """Say whether it is shorter than it was, or gone; else note how long it is."""
        size, inode = now = self._now()
        if size < self._seen[0] or inode != self._seen[1] != 0:
            return True
        if inode == self._seen[1]:
            self._seen = now
        return False

    @property
    def is_gone(self) -> bool:
        """Whether another one lies at its name, or none."""
        return self._now()[1] != self._seen[1] != 0

    @property
    def is_there(self) -> bool:
        """Whether it lies at its name: of a file that was moved, it stayed behind. To be asked while the file is open."""
        return self._now()[1] == self._seen[1] != 0

    def bring_in(self) -> None:
        """Bring all that is in it into the file. Raises apsw's errors."""
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)

    def bring_in_if_possible(self) -> None:
        """Bring in what can be: of a file that was moved."""
        with suppress(apsw.Error):
            self.bring_in()

    def _now(self) -> tuple[int, int]:
        """Return size and inode of what lies at its name; zeros where there is nothing."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path takes longer than the call, and this is every append
        except FileNotFoundError:
            return _NONE
        return found.st_size, found.st_ino
