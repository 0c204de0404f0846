"""A wall clock of one process that a test sets while it runs: by libfaketime where the machine has it, else by ourselves.

The test makes a ``WallClock`` and starts the process in its ``environment``; the process calls ``follow_orders`` before it
imports what reads the clock. The monotonic clock goes on as it does when somebody sets a real one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = "FORGE_FAULTS_WALL_CLOCK"
_LIBRARIES = (
    *sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
    Path("/usr/local/lib/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/faketime/libfaketimeMT.so.1"),
)


class WallClock:
    """The wall clock of the processes that are started in its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.shift_s = 0.0
        self.set(0.0)

    @property
    def library(self) -> Path | None:
        """The libfaketime of this machine."""
        return next((library for library in _LIBRARIES if library.exists()), None)

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to be started with."""
        library = self.library
        if library is None:
            return {_FILE: str(self._file)}
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, shift_s: float) -> None:
        """Let it jump to so many seconds off the machine's."""
        self.shift_s = shift_s
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{int(shift_s):+d}\n")
        draft.replace(self._file)

    def set_to_1970(self) -> None:
        """Let it jump to the first minute of 1970."""
        self.set(10 - int(time.time()))


def follow_orders() -> None:
    """Let this process's clock be what the test says, where no library sees to that."""
    path = os.environ.get(_FILE)
    if path is None:
        return
    real, file = time.time, Path(path)
    time.time = lambda: real() + float(file.read_text())
