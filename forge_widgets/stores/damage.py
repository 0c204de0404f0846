"""What is done about a session's file that is broken, moved or suspected.

A writer sets a broken file aside and begins a new log; a reader never moves a file, it raises StoreDamaged and leaves a
note beside it (NAME.sqlite.suspect), so that a writer that has not noticed looks into it: no acknowledged event may go
to a file that nobody can read.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from forge_widgets.errors import StoreDamaged
from forge_widgets.stores.connections import Slot
from forge_widgets.stores.folder import Folder, make_private

_log = logging.getLogger(__name__)


class noting_damage:  # noqa: N801 - reads as what it does, like contextlib's own
    """Leave a note beside a file that a reader finds broken, unless one lies there."""

    __slots__ = ("_file",)

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreDamaged):
            with suppress(OSError):
                make_private(_note(self._file))


def look_into(slot: Slot, file: Path) -> None:
    """Read a suspected file whole, once for each note. Raises StoreDamaged, and what SQLite raises for a broken one."""
    note = f"{file}.suspect"
    if not os.access(note, os.F_OK):  # 2 µs, where a Path and an exception take 11, and this is every append
        return
    try:
        noted = os.stat(note).st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        return
    if slot.file is not None and noted != slot.cleared:
        slot.file.read_whole()
        slot.cleared = noted


def leave_moved(folder: Folder, slot: Slot, file: Path) -> bool:
    """Let go of a file that is no longer at its path. False where there is nothing to let go of.

    All that it took is brought into it, and its write-ahead log taken away from the path, where another file may be.
    """
    if slot.file is None or not slot.file.is_moved():
        return False
    opened, slot.file = slot.file, None
    try:
        opened.wal.bring_in_if_possible()
        if opened.wal.is_there:
            with folder.lock():
                # Asked again: another process may have taken it away since, and begun a new log there.
                if opened.wal.is_there:
                    folder.drop_journals(file)
    finally:
        opened.close()
    return True


def set_aside(folder: Folder, slot: Slot, file: Path, inode: int, damage: StoreDamaged) -> None:
    """Rename a broken file and its journals out of the way and say so; nothing where somebody else has done it.

    ``inode`` is the broken file's: another one may stand at its path by now.
    """
    if os.name == "nt":  # where an open file can't be renamed
        slot.close()
    with folder.lock():
        if inode_of(file) == inode:
            aside = folder.set_aside(file)
            _note(file).unlink(missing_ok=True)
            _log.warning(
                "%s is damaged (%s): set aside as %s, a new log begins. What was recorded until now is in the old file.",
                file,
                damage.reason,
                aside.name,
            )
    slot.close()


def inode_of(file: Path) -> int:
    """Return a file's inode number, 0 where there is no file."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _note(file: Path) -> Path:
    return Path(f"{file}.suspect")
