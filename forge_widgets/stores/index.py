"""The index of a SQLite store: what its lists show, so that listing opens only the files that have changed.

A cache that may be deleted at any time, and that heals itself: an entry counts only while the stat of its session's file
is what it was. Only listing writes it, training never does; where it can't be read or written lists are made without it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

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


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Index:
    """Summaries by the stems of files. Safe for threads."""

    def __init__(self, sessions: Path, file: Path) -> None:
        self._sessions = sessions
        self._file = file
        self._lock = threading.Lock()
        # None until the index file was read.
        self._entries: dict[str, Entry] | None = None

    def summaries(self, summarize: Callable[[Path], Summary | None]) -> list[Summary]:
        """List the sessions, newest update first. ``summarize`` opens a file that has changed."""
        with self._lock:
            before = self._load() if self._entries is None else self._entries
            entries = {file.stem: self._entry(file, before.get(file.stem), summarize) for file in self._files()}
            settled = _settled(entries, time.time())
            if settled != before:
                self._save(settled, before)
            self._entries = settled
        found = [entry.summary for entry in entries.values() if entry.summary is not None]
        return sorted(found, key=lambda summary: (-summary.updated_at, summary.session_id))

    def fork_locks(self) -> list[threading.Lock]:
        """Return the lock to hold during a fork."""
        return [self._lock]

    def after_fork_in_child(self) -> None:
        """Start afresh."""
        self._lock = threading.Lock()

    def _files(self) -> Iterable[Path]:
        try:
            return [file for file in self._sessions.iterdir() if file.name.endswith(SESSION_SUFFIX)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnavailable(str(self._sessions), error.strerror or str(error)) from error

    def _entry(self, file: Path, known: Entry | None, summarize: Callable[[Path], Summary | None]) -> Entry:
        stamp = _NO_STAMP
        try:
            stamp = _stamp(file)
            if known is not None and known.stamp == stamp:
                return known
            return Entry(stamp, summarize(file))
        except StoreUnavailable as error:
            _log.debug("%s not listed now: %s", file, error)
            return Entry(_NO_STAMP, None if known is None else known.summary)
        except StoreDamaged as error:
            _log.warning("%s is left out of the list: %s", file, error.reason)
            return Entry(stamp, None)
        except OSError:  # deleted while it was listed
            return Entry(_NO_STAMP, None)

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


def _stamp(file: Path) -> Stamp:
    """Return what changes with a session's file. Raises FileNotFoundError."""
    database = file.stat()
    wal_changed, wal_size = 0, 0
    with suppress(FileNotFoundError):
        wal = Path(f"{file}-wal").stat()
        if wal.st_size:  # an empty one is as good as none: any reader leaves one
            wal_changed, wal_size = wal.st_mtime_ns, wal.st_size
    return database.st_ino, database.st_mtime_ns, database.st_size, wal_changed, wal_size


def _settled(entries: dict[str, Entry], now: float) -> dict[str, Entry]:
    """Leave out entries of files that were written a moment ago."""
    latest = int((now - RACY_S) * 1e9)
    return {stem: entry for stem, entry in entries.items() if max(entry.stamp[1], entry.stamp[3]) < latest}
