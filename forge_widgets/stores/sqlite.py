"""The default store: a folder with one SQLite file for each session, shared by all processes of a user on a machine.

Owns connections and their locks; what is in a file is session_file's, where files lie is folder's. Never blocks one
session for another.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import apsw
from msgspec.structs import replace

from forge_widgets.core.curves import Curves, SeriesQuery
from forge_widgets.core.events import Batch, Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.subscription import Cursor, Opening, Slice
from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.beats import Beats
from forge_widgets.stores.connections import Connections, Slot
from forge_widgets.stores.damage import inode_of, leave_moved, look_into, noting_damage, set_aside
from forge_widgets.stores.faults import said_as_ours
from forge_widgets.stores.filenames import SESSION_SUFFIX, is_hashed, stem_of
from forge_widgets.stores.folder import Folder
from forge_widgets.stores.forks import watch_forks
from forge_widgets.stores.glimpse import FileGlimpse
from forge_widgets.stores.index import Index
from forge_widgets.stores.schema import Beginning
from forge_widgets.stores.session_file import SessionFile

BUSY_TIMEOUT_S = 5.0
"""How long a call waits for a lock that another process holds before it raises StoreUnavailable."""

_log = logging.getLogger(__name__)
_APPEND_TRIES = 3
_OPEN_TRIES = 10
_MAX_CHECKED = 10_000


class SqliteStore:
    """Sessions in a folder."""

    def __init__(self, folder: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._folder = Folder(folder.absolute())
        self.url = f"sqlite:///{quote(self._folder.path.as_posix())}"
        self._busy_timeout_s = busy_timeout_s
        self._beats = Beats(self._folder.sessions)
        self._connections = Connections()
        self._index = Index(self._folder.sessions, self._folder.path / "index.sqlite")
        # Paths and inodes of files that were checked, so that none is checked each time it is opened.
        self._checked: set[tuple[str, int]] = set()
        for part in (self._connections, self._beats, self._index):
            watch_forks(part)

    @property
    def store_id(self) -> str:
        """Durable random id of the store; making it makes the folder. Raises StoreUnavailable."""
        with said_as_ours(self.url, str(self._folder.path)):
            return self._folder.store_id()

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append a producer's batch durably; see Store. Raises SequenceGap, StoreUnavailable.

        Where the session's file is broken, or no longer at its path, a new log begins there: with the state that this
        process knew, if the batch's producer has written through it before.
        """
        check_session_id(session_id)
        with self._connections.hold(session_id, "write") as slot:
            # A Path is made once for an open file: making it takes as long as placing a block.
            path = self._path(session_id) if slot.file is None else slot.file.path
            with said_as_ours(self.url, str(path)):
                return self._appended(slot, path, session_id, batch)

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read records after an offset. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.read(after, max_rows)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Fold the session to its newest state. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.snapshot()

    def series(self, session_id: str, query: SeriesQuery) -> Curves | None:
        """Return curves of one attempt. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.series(query)

    def opening(self, session_id: str, least_rows: int) -> Opening | None:
        """Return where a long log stands; see Opener. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.opening(least_rows)

    def version(self, session_id: str) -> object:
        """Return epoch, floor and top of the log. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.version()

    def glimpses(self, session_id: str) -> FileGlimpse | None:
        """Return what tells at a glance that a session was written to; None on a network, where nothing is at hand."""
        path = self._path(check_session_id(session_id))
        return FileGlimpse(str(path)) if self._folder.wal else None

    def trim(self, session_id: str, upto: int, *, epoch: str = "") -> int | None:
        """Drop the records up to an offset, durably; return the floor. Raises StoreUnavailable, StoreDamaged.

        With ``epoch`` only of that incarnation of the log; None for another. Over a connection of its own: what this
        process's writers carry over to a new log, should theirs be moved, stays.
        """
        path = self._path(check_session_id(session_id))
        with self._connections.hold(session_id, "write"), noting_damage(path), said_as_ours(self.url, str(path)):
            try:
                file = self._opened(path, writes=True)
            except (FileNotFoundError, NotADirectoryError):
                return None
            with closing(file):
                return file.trim(upto) if file.made and epoch in ("", file.version()[0]) else None

    def compact(self, session_id: str, *, whole: bool = False) -> bool:
        """Put few large blocks in the place of many small ones, and overview them; see Compacting.

        Raises StoreUnavailable, StoreDamaged.
        """
        path = self._path(check_session_id(session_id))
        with (
            self._connections.hold(session_id, "write") as slot,
            noting_damage(path),
            said_as_ours(self.url, str(path)),
        ):
            if slot.file is not None and not slot.file.is_moved():
                return slot.file.made and slot.file.compact(whole=whole)
            try:
                file = self._opened(path, writes=True)
            except (FileNotFoundError, NotADirectoryError):
                return False
            with closing(file):
                return file.made and file.compact(whole=whole)

    def clear(self, session_id: str, end: Cursor) -> bool:
        """Drop a log that ends there, and forget who wrote it: producers may go on at any sequence number.

        False where it does not end there any more. Safe whoever else appends: the file stays, with epoch and offsets.
        Raises StoreUnavailable, StoreDamaged.
        """
        path = self._path(check_session_id(session_id))
        with self._connections.hold(session_id, "write"), noting_damage(path), said_as_ours(self.url, str(path)):
            try:
                file = self._opened(path, writes=True)
            except (FileNotFoundError, NotADirectoryError):
                return False
            with closing(file):
                return file.made and file.clear(end)

    def bytes_on_disk(self, session_id: str) -> int:
        """Return what a session takes on the disk: its file and SQLite's files beside it. Raises StoreUnavailable."""
        path = self._path(check_session_id(session_id))
        with said_as_ours(self.url, str(path)):
            return self._folder.size_of(path)

    def summaries(self) -> list[Summary]:
        """List the sessions, newest update first. Files that can't be read are left out and logged."""
        return self._index.summaries(self)

    def delete(self, session_id: str, *, only_at: Cursor | None = None) -> bool:
        """Delete a session: its file, SQLite's files beside it, and its heartbeats. Raises StoreUnavailable.

        With ``only_at`` only where its log ends there; what comes later begins a new log.
        """
        path = self._path(check_session_id(session_id))
        hold = self._connections.hold
        with hold(session_id, "write") as writing, hold(session_id, "read") as reading:
            writing.close()
            reading.close()
            with said_as_ours(self.url, str(path)):
                if only_at is not None and not self._deleted_at(path, only_at):
                    return False
                writing.forget()
                self._beats.delete(stem_of(session_id))
                return only_at is not None or (path.exists() and self._folder.delete_file(path))

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Say that a producer lives; a beat that can't be written is left out."""
        check_session_id(session_id)
        with suppress(OSError):
            self._folder.prepare()
            self._beats.write(stem_of(session_id), heartbeat)

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the newest heartbeat of each producer."""
        return self._beats.read(stem_of(check_session_id(session_id)))

    def close(self) -> None:
        """Close all files."""
        self._connections.close()
        self._beats.close()

    def _path(self, session_id: str) -> Path:
        return self._folder.sessions / f"{stem_of(session_id)}{SESSION_SUFFIX}"

    @contextmanager
    def _reading(self, session_id: str) -> Iterator[SessionFile | None]:
        """Hold a session's file for reading; None where there is none."""
        check_session_id(session_id)
        with self._connections.hold(session_id, "read") as slot:
            path = self._path(session_id) if slot.file is None else slot.file.path
            with noting_damage(path), said_as_ours(self.url, str(path)):
                leave_moved(self._folder, slot, path)
                if slot.file is None:
                    with suppress(FileNotFoundError, NotADirectoryError):
                        slot.file = self._opened(path)
                try:
                    yield slot.file if slot.file is not None and slot.file.made else None
                finally:
                    if slot.file is not None and slot.file.immutable:
                        slot.close()

    def _deleted_at(self, path: Path, end: Cursor) -> bool:
        """Delete a file while nobody can append to it; False where its log does not end there, or it is gone.

        A writer that waited for its turn meanwhile sees that the file is no longer at its path, and begins another.
        """
        try:
            file = self._opened(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        with self._folder.lock():
            try:
                with file.held_at(end) as held:
                    return held and not file.is_moved() and self._folder.unlink(path)
            finally:
                file.close()  # before another file can be made at this path: closing may remove a log by its name

    def _appended(self, slot: Slot, path: Path, session_id: str, batch: Batch) -> Receipt:
        for _ in range(_APPEND_TRIES):
            inode = inode_of(path) if slot.file is None else slot.file.inode
            try:
                with said_as_ours(self.url, str(path)):
                    file = self._writable(slot, path, session_id, batch.producer)
                    receipt = file.append(batch, time.time())
                    if not file.is_moved():
                        slot.confirm(batch.producer, receipt)
                        return receipt
            except StoreDamaged as damage:
                set_aside(self._folder, slot, path, inode, damage)
        raise StoreUnavailable(self.url, f"{path.name} is damaged or moved again as soon as it is made")

    def _writable(self, slot: Slot, path: Path, session_id: str, producer: Producer) -> SessionFile:
        """Return the session's file, made where it is not there. Raises StoreDamaged for one that is suspected rightly."""
        if leave_moved(self._folder, slot, path):
            _log.warning("%s was moved or deleted while it was written to: a new log begins there.", path)
        if slot.file is None:
            self._folder.prepare()
            with suppress(FileNotFoundError):
                slot.file = self._opened(path, writes=True)
        if slot.file is None or not slot.file.made:
            slot.close()
            with self._folder.lock():
                self._folder.make_file(path)
                slot.file = self._opened(path)
                slot.file.make(Beginning(session_id, slot.carried(producer)))
        look_into(slot, path)
        slot.file.look_at_wal()
        return slot.file

    def _opened(self, path: Path, *, writes: bool = False) -> SessionFile:
        """Open a file, checked at its first opening by this store; who writes brings it up to date. Raises FileNotFoundError.

        A file of an older release is read as it is: it may lie on a full or a read-only disk, or that release may write to it.
        """
        file = self._connected(path)
        try:
            if writes and file.outdated:
                with self._folder.lock():
                    file.make(Beginning(""))
            found = (path.name, inode_of(path))
            if found not in self._checked:
                file.check()
                if len(self._checked) >= _MAX_CHECKED:
                    self._checked.clear()
                self._checked.add(found)
        except BaseException:
            file.close()
            raise
        return file

    def _connected(self, path: Path) -> SessionFile:
        """Connect to a file; on a read-only file system as to one that nobody can change. Raises FileNotFoundError."""
        path.stat()
        folder = self._folder
        opened = partial(
            SessionFile, path, busy_timeout_s=self._busy_timeout_s, wal=folder.wal, undisturbed=folder.undisturbed
        )
        try:
            for _ in range(_OPEN_TRIES):
                with folder.undisturbed():
                    file = opened()
                    if file.is_settled():
                        return file
                path.stat()
            raise StoreUnavailable(self.url, f"{path.name} is replaced again as soon as it is opened")
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            path.stat()  # it may have gone just now
            if os.access(path.parent, os.W_OK) or Path(f"{path}-wal").exists():
                raise
            return opened(immutable=True)

    def summarize(self, file: Path, known: Summary | None) -> Summary | None:
        """Summarize a file for a list; None for one whose name is not its session's, or that is just being made.

        One that was listed before and has changed since is kept open: 0.1 ms a list instead of 0.9.
        """
        if known is not None and stem_of(known.session_id) == file.stem:
            with self._reading(known.session_id) as opened:
                summary = None if opened is None else opened.summary()
        else:
            saying = said_as_ours(self.url, str(file))
            with noting_damage(file), saying, self._folder.undisturbed(), closing(self._connected(file)) as opened:
                summary = opened.summary() if opened.made else None
        if summary is None:
            return None
        if is_hashed(file.stem):
            return summary if stem_of(summary.session_id) == file.stem else None
        # The name decides: a copy under another name is another session.
        return summary if summary.session_id == file.stem else replace(summary, session_id=file.stem)

    def settle(self, known: Summary) -> None:
        """Close a file that was kept open for lists."""
        self._connections.let_go(known.session_id, "read")
