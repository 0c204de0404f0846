"""A file system of SQLite whose syncs fail with EIO when they are told to; all else goes to the real one.

It becomes the process's default, so that whatever opens a database there goes through it.
"""

from __future__ import annotations

import apsw

_UNIX = "unix"


class FailingDisk(apsw.VFS):
    """The file system; ``syncs`` says whether they work."""

    def __init__(self) -> None:
        self.syncs = True
        super().__init__("failing", _UNIX, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's
        """Open a file that asks here whether it may be synced."""
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(_UNIX, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's
        """Sync, or fail as a disk that breaks does."""
        if not self._disk.syncs:
            failed = apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
            failed.args = ("disk I/O error",)  # SQLite's own words for it
            raise failed
        super().xSync(flags)
