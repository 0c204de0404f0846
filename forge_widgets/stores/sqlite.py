"""The default store: a folder with one SQLite file for each session, shared by all processes of a user on a machine.

Owns connections and their locks; what is in a file is session_file's, where files lie is folder's. Never blocks one
session for another.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import apsw

from forge_widgets.core.events import Batch
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.subscription import Slice
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.beats import Beats
from forge_widgets.stores.faults import said_as_ours
from forge_widgets.stores.filenames import SESSION_SUFFIX, stem_of
from forge_widgets.stores.folder import Folder
from forge_widgets.stores.session_file import SessionFile

MAX_OPEN = 64
"""Sessions whose files a store keeps open; those used longest ago are closed beyond it."""

BUSY_TIMEOUT_S = 5.0
"""How long a call waits for a lock that another process holds before it raises StoreUnavailable."""

_log = logging.getLogger(__name__)


class _Slot:
    """A session's connection and its lock; in use while ``users`` hold or wait for it."""

    __slots__ = ("file", "lock", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.file: SessionFile | None = None
        self.users = 0

    def close(self) -> None:
        if self.file is not None:
            with suppress(apsw.Error):
                self.file.close()
            self.file = None


class SqliteStore:
    """Sessions in a folder."""

    def __init__(self, folder: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._folder = Folder(folder.absolute())
        self.url = f"sqlite:///{quote(self._folder.path.as_posix())}"
        self._busy_timeout_s = busy_timeout_s
        self._beats = Beats(self._folder.sessions)
        self._lock = threading.Lock()
        # Newest use last.
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    @property
    def store_id(self) -> str:
        """Durable random id of the store; making it makes the folder. Raises StoreUnavailable."""
        with said_as_ours(self.url, str(self._folder.path)):
            return self._folder.store_id()

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append a producer's batch durably; see Store. Raises SequenceGap, StoreUnavailable."""
        with self._slot(session_id) as slot, said_as_ours(self.url, str(self._path(session_id))):
            file = self._writable(session_id, slot)
            return file.append(batch, time.time())

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read records after an offset. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.read(after, max_rows)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Fold the session to its newest state. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.snapshot()

    def version(self, session_id: str) -> object:
        """Return epoch, floor and top of the log. Raises StoreUnavailable, StoreDamaged."""
        with self._reading(session_id) as file:
            return None if file is None else file.version()

    def summaries(self) -> list[Summary]:
        """List the sessions, newest update first."""
        listed = []
        try:
            names = [file.name for file in self._folder.sessions.iterdir() if file.suffix == SESSION_SUFFIX]
        except OSError:
            return []
        for name in names:
            with self._reading(name.removesuffix(SESSION_SUFFIX)) as file:
                if file is not None:
                    listed.append(file.summary())
        return sorted(listed, key=lambda summary: summary.updated_at, reverse=True)

    def delete(self, session_id: str) -> bool:
        """Delete a session: its file, SQLite's files beside it, and its heartbeats. Raises StoreUnavailable."""
        with self._slot(session_id) as slot, said_as_ours(self.url, str(self._path(session_id))):
            slot.close()
            self._beats.delete(stem_of(session_id))
            return self._folder.delete_file(self._path(session_id))

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
        with self._lock:
            slots, self._slots = list(self._slots.values()), OrderedDict()
        for slot in slots:
            with slot.lock:
                slot.close()
        self._beats.close()

    def _path(self, session_id: str) -> Path:
        return self._folder.sessions / f"{stem_of(session_id)}{SESSION_SUFFIX}"

    @contextmanager
    def _slot(self, session_id: str) -> Iterator[_Slot]:
        """Hold a session's slot, nobody else's."""
        check_session_id(session_id)
        with self._lock:
            slot = self._slots.setdefault(session_id, _Slot())
            self._slots.move_to_end(session_id)
            slot.users += 1
            idle = [name for name, other in self._slots.items() if other.users == 0]
            spare = [self._slots.pop(name) for name in idle[: max(0, len(self._slots) - MAX_OPEN)]]
        for other in spare:
            other.close()
        try:
            with slot.lock:
                yield slot
        finally:
            with self._lock:
                slot.users -= 1

    @contextmanager
    def _reading(self, session_id: str) -> Iterator[SessionFile | None]:
        """Hold a session's file for reading; None where there is none."""
        path = self._path(check_session_id(session_id))
        with self._slot(session_id) as slot, said_as_ours(self.url, str(path)):
            if slot.file is not None and slot.file.is_moved():
                slot.close()
            if slot.file is None and path.exists():
                slot.file = self._opened(session_id, path)
            yield slot.file if slot.file is not None and slot.file.made else None

    def _writable(self, session_id: str, slot: _Slot) -> SessionFile:
        path = self._path(session_id)
        if slot.file is None or slot.file.is_moved():
            slot.close()
            self._folder.make_file(path)
            slot.file = self._opened(session_id, path)
        slot.file.make()
        return slot.file

    def _opened(self, session_id: str, path: Path) -> SessionFile:
        self._folder.prepare()
        file = SessionFile(path, session_id, busy_timeout_s=self._busy_timeout_s, wal=self._folder.wal)
        try:
            file.check()
        except BaseException:
            file.close()
            raise
        return file
