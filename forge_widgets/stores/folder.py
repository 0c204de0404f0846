"""A SQLite store's folder: its rights, its id, and the making and setting aside of files in it.

    store.json              the store's durable random id
    index.sqlite            a cache for lists; may be deleted at any time
    sessions/lock           held while a session's file is made, opened, closed, set aside or deleted
    sessions/               a database for each session, with SQLite's own -wal, -shm or -journal beside it
    sessions/NAME.beat      a producer's heartbeat
    sessions/NAME.sqlite.damaged-1    what was set aside

A session is copied by copying its file to another store's sessions/, under the same name: another name makes another
session of it. While somebody has it open its newest records are in the -wal, so copy when it is closed, or both files.

All of it is for its owner's eyes only. Files of a session are opened by SQLite alone: closing a second descriptor of
a database would drop the locks that this process holds on it (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import apsw

from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores.network_fs import is_network

LOCK_TIMEOUT_S = 10.0

# Ours are 32 hexadecimal digits; the id goes into JSON and file names.
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_JOURNALS = ("-wal", "-shm", "-journal")


class Folder:
    """The folder of a SQLite store. Raises OSError and apsw.Error as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sessions = path / "sessions"
        self._ready = False
        # None: not known yet.
        self._wal: bool | None = None
        self._store_id = ""
        # Whether this thread holds the lock.
        self._held = threading.local()

    @property
    def wal(self) -> bool:
        """Whether files here use a write-ahead log: everywhere but on network file systems.

        Asked by whoever connects to a file that is there, whether or not this process has prepared the folder.
        """
        if self._wal is None:
            self._wal = not is_network(self.sessions)
        return self._wal

    def prepare(self) -> None:
        """Make the folder where it is not there yet, for its owner only. Raises StoreUnavailable for somebody else's."""
        if self._ready and self.sessions.is_dir():
            return
        for folder in (*reversed(self.path.parents), self.path, self.sessions):
            if not folder.is_dir():
                _make_folder(folder)
        _own(self.sessions)
        self._wal = not is_network(self.sessions)
        self._ready = True

    def store_id(self) -> str:
        """Return the durable id of the store, drawn by whoever asks first."""
        if not self._store_id:
            self.prepare()
            file = self.path / "store.json"
            if not file.exists():
                _write_once(file, json.dumps({"storeId": secrets.token_hex(16), "format": 1}).encode() + b"\n")
            self._store_id = _read_id(file)
        return self._store_id

    def make_file(self, file: Path) -> None:
        """Make a session's empty file where there is none; the caller holds the lock.

        What another file left at its journals' names goes: SQLite would take it for this one's.
        """
        if file.exists():
            return
        self.drop_journals(file)
        make_private(file)
        sync_folder(file.parent)

    def set_aside(self, file: Path) -> Path:
        """Rename a session's file and its journals out of the way; the caller holds the lock. Return its new path."""
        number = 1
        while (aside := Path(f"{file}.damaged-{number}")).exists():
            number += 1
        file.rename(aside)
        for suffix in ("-wal", "-journal"):  # records may be in them
            with suppress(FileNotFoundError):
                Path(f"{file}{suffix}").rename(f"{aside}{suffix}")
        Path(f"{file}-shm").unlink(missing_ok=True)
        sync_folder(file.parent)
        return aside

    def delete_file(self, file: Path) -> bool:
        """Delete a session's file and its journals. False where there was none."""
        if not file.exists():
            return False
        with self.lock():
            return self.unlink(file)

    def unlink(self, file: Path) -> bool:
        """Delete a session's file and its journals; the caller holds the lock. False where there was none."""
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        self.drop_journals(file)
        sync_folder(file.parent)
        return True

    def size_of(self, file: Path) -> int:
        """Return what a session's file and its journals take, in bytes; 0 where there is none."""
        found = 0
        for suffix in ("", "-wal", "-journal"):  # -shm is there only while the file is open
            with suppress(FileNotFoundError, NotADirectoryError):
                found += Path(f"{file}{suffix}").stat().st_size
        return found

    def drop_journals(self, file: Path) -> None:
        """Remove the journals at a file's name that are not its own; the caller holds the lock."""
        for suffix in _JOURNALS:
            Path(f"{file}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's lock against all processes: one that SQLite keeps, so that it goes with its holder.

        Who holds it may do so again.
        """
        if getattr(self._held, "now", False):
            yield
            return
        self.prepare()
        file = self.sessions / "lock"
        make_private(file)
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(int(LOCK_TIMEOUT_S * 1000))
            connection.execute("BEGIN EXCLUSIVE")
            self._held.now = True
            yield
        finally:
            self._held.now = False
            connection.close()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Open or close a session's file within this: nobody of ours puts another file at its path meanwhile.

        SQLite opens a write-ahead log by name, after the file, and removes it by name when it closes. Where another file
        has come to the path in between, that would be the other's log, and records that were acknowledged would go with it.
        """
        with ExitStack() as held:
            if self.wal:
                with suppress(OSError, apsw.Error):  # in a folder that can't be written to no other file comes
                    held.enter_context(self.lock())
            yield


def make_private(file: Path) -> None:
    """Make an empty file that only its owner may read; leave one that is there alone."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _make_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not folder.is_dir():
        raise NotADirectoryError(20, "a file stands where a folder should", str(folder))
    sync_folder(folder.parent)


def _own(folder: Path) -> None:
    """See that a folder is its owner's alone. Raises StoreUnavailable where it is another user's."""
    if os.name != "posix":
        return
    found = folder.stat()
    if os.geteuid() not in (found.st_uid, 0):
        raise StoreUnavailable(
            str(folder), f"it belongs to user {found.st_uid}, and a store is one user's own: choose another folder"
        )
    if found.st_mode & 0o077:
        with suppress(OSError):  # a file system without rights, such as vfat
            folder.chmod(0o700)


def _write_once(file: Path, content: bytes) -> None:
    """Write a file durably and whole, unless another process is first."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            try:
                os.link(draft, file)
            except PermissionError:  # a file system without hard links
                if not file.exists():
                    draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(file.parent)


def _read_id(file: Path) -> str:
    try:
        store_id = json.loads(file.read_bytes())["storeId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        store_id = None
    if not isinstance(store_id, str) or not _ID.fullmatch(store_id):
        raise StoreUnavailable(str(file), 'it should hold {"storeId": "..."}; move it away and a new id is drawn')
    return store_id


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable, where a system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
