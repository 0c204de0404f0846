"""A disk whose power can be cut: a file system of SQLite that knows, at every sync, what would be left without power.

It passes all on to the real one. At each ``Cut`` a file holds what was synced, and of what was written since nothing, all
or any part; a name is there as of the last sync of its folder, or as it is now. ``Cut.lay_out`` makes such a disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

import apsw

SECTOR = 512
_UNIX = "unix"
_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
# Made anew by whoever opens a database first: no part of what has to be durable.
_SHARED_MEMORY = "-shm"

Promise = TypeVar("Promise")
Kept = Literal["nothing", "part", "all"]
# A write at an offset, or a truncation to a size.
Change = tuple[int, bytes] | int


@dataclass(slots=True, eq=False)
class _Content:
    """What is in one file, whatever its name is."""

    now: bytearray
    synced: bytes = b""
    # What has changed since, in order.
    pending: list[Change] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Cut(Generic[Promise]):
    """A moment at which the power may go."""

    # What had been promised by then, in the test's own words.
    promised: Promise
    # What is just going on.
    what: str
    # What is in each file: as it was synced, and what was written since. By name, of the folder's last sync and of now.
    synced_names: dict[str, tuple[bytes, tuple[Change, ...]]]
    names: dict[str, tuple[bytes, tuple[Change, ...]]]

    def lay_out(self, folder: Path, kept: Kept, *, names: Literal["synced", "now"], chance: random.Random) -> None:
        """Make the files that are left, in an empty folder."""
        for name, (synced, pending) in (self.synced_names if names == "synced" else self.names).items():
            content = bytearray(synced)
            for change in _left(pending, kept, chance):
                _apply(content, change)
            (folder / name).write_bytes(content)


class PowerDisk(apsw.VFS, Generic[Promise]):
    """The file system of one folder, as the process's default while it is ``mounted``."""

    def __init__(self, folder: Path, promised: Callable[[], Promise]) -> None:
        self.cuts: list[Cut[Promise]] = []
        self._folder = folder
        self._promised = promised
        # By inode; a number is used again once its file is gone.
        self._contents: dict[int, _Content] = {}
        self._synced_names: dict[str, _Content] = {}
        super().__init__("power", _UNIX, makedefault=True)

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Be the default, and then no more."""
        try:
            yield
        finally:
            self.unregister()

    def cut(self, what: str) -> None:
        """Note what would be left if the power went now."""
        names = self._listed()
        self.cuts.append(
            Cut(
                self._promised(),
                what,
                {name: (content.synced, tuple(content.pending)) for name, content in self._synced_names.items()},
                {name: (content.synced, tuple(content.pending)) for name, content in names.items()},
            )
        )

    def sync_folder(self) -> None:
        """Note that the names are durable now."""
        self._synced_names = self._listed()

    def sync_content(self, content: _Content) -> None:
        """Note that what is in a file is durable now."""
        content.synced = bytes(content.now)
        content.pending.clear()

    def content_of(self, path: Path) -> _Content:
        """Return what is in a file that is there."""
        found = path.stat()
        content = self._contents.get(found.st_ino)
        if content is None or len(content.now) != found.st_size:
            # Not opened by SQLite yet: else closing it would drop the locks that this process holds on it.
            there = path.read_bytes()
            content = self._contents[found.st_ino] = _Content(bytearray(there), there)
        return content

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's
        """Open a file whose changes are noted, if it is one of the folder's."""
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        if name is None or path.parent != self._folder:
            return apsw.VFSFile(_UNIX, name, flags)
        return _File(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's
        """Delete a file; the name is gone for good once the folder is synced."""
        with_number = Path(filename).stat().st_ino if Path(filename).exists() else 0
        super().xDelete(filename, syncdir)
        if Path(filename).parent != self._folder:
            return
        self._contents.pop(with_number, None)
        self.cut(f"deleted {Path(filename).name}")
        if syncdir:
            self.sync_folder()
            self.cut(f"deleted {Path(filename).name} for good")

    def _listed(self) -> dict[str, _Content]:
        found = {}
        for path in self._folder.iterdir():
            if not path.name.endswith((_SHARED_MEMORY, ".beat")):
                found[path.name] = self.content_of(path)
        return found


class _File(apsw.VFSFile):
    def __init__(self, disk: PowerDisk[Promise], path: Path, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._disk = disk
        self._name = path.name
        # SQLite's own file system syncs the folder with the first sync of a journal that it may have made.
        self._syncs_folder = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(_UNIX, name, flags)
        self._content = disk.content_of(path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's
        super().xWrite(data, offset)
        self._note((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's
        super().xTruncate(newsize)
        self._note(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's
        self._disk.cut(f"before the sync of {self._name}")
        super().xSync(flags)
        self._disk.sync_content(self._content)
        if self._syncs_folder:
            self._syncs_folder = False
            self._disk.sync_folder()
        self._disk.cut(f"after the sync of {self._name}")

    def _note(self, change: Change) -> None:
        _apply(self._content.now, change)
        self._content.pending.append(change)


def _apply(content: bytearray, change: Change) -> None:
    if isinstance(change, int):
        del content[change:]
        content.extend(bytes(change - len(content)))
        return
    offset, data = change
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _left(pending: tuple[Change, ...], kept: Kept, chance: random.Random) -> Iterator[Change]:
    """Yield what has reached the disk of what was not synced: any of it, in any order, some of it torn."""
    if kept == "nothing":
        return
    for change in pending:
        if kept == "all":
            yield change
        elif chance.random() < 0.5:
            if isinstance(change, int) or chance.random() < 0.7:
                yield change
            else:
                offset, data = change
                yield offset, data[: SECTOR * chance.randrange(1 + len(data) // SECTOR)]
