"""The index of a SQLite store: what its lists show, so that listing opens only the files that have changed.

A cache that may be deleted at any time, and that heals itself: an entry counts only while the stat of its session's file
is what it was. Only listing writes it, training never does; where it can't be read or written lists are made without it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

import apsw
import msgspec
from msgspec import Struct

from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.stores.base import Summary
from forge_widgets.stores.filenames import SESSION_SUFFIX
from forge_widgets.stores.folder import make_private

FORMAT = 1
"""Raised whenever an entry changes its meaning; an index of another format is made anew."""

RACY_S = 2.0
"""A file that was written so short a time ago may change without its stat showing it: it is asked again next time."""

SETTLED_S = 10.0
"""A file that was written so long ago may be closed: what has changed between two lists is kept open for the next one."""

_BUSY_TIMEOUT_MS = 200

_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int, int, int]
"""What changes with a file: inode, and modification time in ns and size of the database and of its ``-wal``."""

_NO_STAMP: Stamp = (0, 0, 0, 0, 0)


class Entry(Struct, frozen=True, array_like=True):
    """What the index remembers of a file."""

    stamp: Stamp
    # None: a file that is no session, or can't be read.
    summary: Summary | None

    @property
    def written_at(self) -> float:
        """When the file was written last, in seconds since the epoch."""
        return max(self.stamp[1], self.stamp[3]) / 1e9


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Summarizing(Protocol):
    """Who opens files for the index."""

    def summarize(self, file: Path, known: Summary | None) -> Summary | None:
        """Summarize a file that has changed; ``known`` is what it was at the list before: the next one may want it, too."""

    def settle(self, known: Summary) -> None:
        """Let go of a file that changes no more."""


class Index:
    """Summaries by the stems of files. Safe for threads."""

    def __init__(self, sessions: Path, file: Path) -> None:
        self._sessions = sessions
        self._file = file
        self._lock = threading.Lock()
        # None until the index file was read.
        self._entries: dict[str, Entry] | None = None
        # Of the list before, those that the index file does not hold: written a moment before it.
        self._moving: dict[str, Entry] = {}

    def summaries(self, opener: Summarizing) -> list[Summary]:
        """List the sessions, newest update first."""
        with self._lock:
            before = self._load() if self._entries is None else self._entries
            now = time.time()
            entries = {stem: self._entry(stem, known, before.get(stem), opener) for stem, known in self._stamps()}
            settled = _settled(entries, now)
            if settled != before:
                self._save(settled, before)
            self._entries = settled
            self._settle(entries, now, opener)
        found = [entry.summary for entry in entries.values() if entry.summary is not None]
        return sorted(found, key=lambda summary: (-summary.updated_at, summary.session_id))

    def fork_locks(self) -> list[threading.Lock]:
        """Return the lock to hold during a fork."""
        return [self._lock]

    def after_fork_in_child(self) -> None:
        """Start afresh."""
        self._lock = threading.Lock()

    def _stamps(self) -> list[tuple[str, Stamp | OSError]]:
        """Return the files' stems and stamps: names once, and a stat each, 3 µs a file instead of 20 with a Path."""
        try:
            with os.scandir(self._sessions) as found:
                files = {file.name: file for file in found}
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnavailable(str(self._sessions), error.strerror or str(error)) from error
        return [
            (name.removesuffix(SESSION_SUFFIX), _stamp(file, files.get(f"{name}-wal")))
            for name, file in files.items()
            if name.endswith(SESSION_SUFFIX)
        ]

    def _entry(self, stem: str, stamp: Stamp | OSError, known: Entry | None, opener: Summarizing) -> Entry:
        if isinstance(stamp, OSError):  # deleted while it was listed
            return Entry(_NO_STAMP, None)
        if known is not None and known.stamp == stamp:
            return known
        known = known or self._moving.get(stem)
        before = None if known is None else known.summary
        file = self._sessions / f"{stem}{SESSION_SUFFIX}"
        try:
            return Entry(stamp, opener.summarize(file, before))
        except StoreUnavailable as error:
            _log.debug("%s not listed now: %s", file, error)
            return Entry(_NO_STAMP, before)
        except StoreDamaged as error:
            _log.warning("%s is left out of the list: %s", file, error.reason)
            return Entry(stamp, None)
        except OSError:
            return Entry(_NO_STAMP, None)

    def _settle(self, entries: dict[str, Entry], now: float, opener: Summarizing) -> None:
        """Keep in mind what changes, and let go of what has not changed for a while."""
        moving = {stem: entry for stem, entry in entries.items() if entry.written_at > now - SETTLED_S}
        for stem, entry in self._moving.items():
            if stem not in moving and entry.summary is not None:
                opener.settle(entry.summary)
        self._moving = moving

    def _load(self) -> dict[str, Entry]:
        if not self._file.exists():
            return {}
        try:
            with closing(self._open()) as connection:
                rows = connection.execute("SELECT stem, entry FROM sessions").fetchall()
            return {str(stem): _decoder.decode(entry) for stem, entry in rows if isinstance(entry, bytes)}
        except (apsw.BusyError, apsw.LockedError, apsw.CantOpenError) as error:
            _log.debug("index %s not read: %s", self._file, error)
        except (apsw.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.debug("index %s is made anew: %s", self._file, error)
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
        return {}

    def _save(self, entries: dict[str, Entry], before: dict[str, Entry]) -> None:
        changed = [(stem, _encoder.encode(entry)) for stem, entry in entries.items() if before.get(stem) != entry]
        gone = [(stem,) for stem in before if stem not in entries]
        try:
            make_private(self._file)
            with closing(self._open()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO sessions(stem, entry) VALUES(?, ?)", changed)
                connection.executemany("DELETE FROM sessions WHERE stem = ?", gone)
        except (apsw.Error, OSError) as error:
            _log.debug("index %s not written: %s", self._file, error)

    def _open(self) -> apsw.Connection:
        """Open the index file, for one use. No journal beside it and no fsync: what breaks is made anew."""
        connection = apsw.Connection(str(self._file), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = OFF")
        if connection.execute("PRAGMA user_version").fetchall() != [(FORMAT,)]:
            with connection:
                connection.execute("DROP TABLE IF EXISTS sessions")
                connection.execute("CREATE TABLE sessions(stem TEXT PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
        return connection


def _stamp(file: os.DirEntry[str], wal: os.DirEntry[str] | None) -> Stamp | OSError:
    """Return what changes with a session's file; the error of one that is not there any more."""
    wal_changed, wal_size = 0, 0
    try:
        database = file.stat()
        with suppress(FileNotFoundError):
            log = None if wal is None else wal.stat()
            if log is not None and log.st_size:  # an empty one is as good as none: any reader leaves one
                wal_changed, wal_size = log.st_mtime_ns, log.st_size
    except OSError as error:
        return error
    return database.st_ino, database.st_mtime_ns, database.st_size, wal_changed, wal_size


def _settled(entries: dict[str, Entry], now: float) -> dict[str, Entry]:
    """Leave out entries of files that were written a moment ago."""
    return {stem: entry for stem, entry in entries.items() if entry.written_at < now - RACY_S}
