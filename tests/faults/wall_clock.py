"""A wall clock of some processes that a test sets while they run, as somebody who corrects a machine's clock does.

The test makes a ``WallClock`` and starts processes in its ``environment``; those call ``follow_orders`` before they import
what reads the clock. The monotonic clock goes on, as it does then. (libfaketime is no way: under it, Python's time.sleep fails.)
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = "FORGE_FAULTS_WALL_CLOCK"


class WallClock:
    """The wall clock of the processes that are started in its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        # What a process has to be started with.
        self.environment = {_FILE: str(file)}
        self.set(0.0)

    def set(self, shift_s: float) -> None:
        """Let it jump to so many seconds off the machine's."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(str(shift_s))
        draft.replace(self._file)

    def set_to_1970(self) -> None:
        """Let it jump to the first minute of 1970."""
        self.set(10 - time.time())


def follow_orders() -> None:
    """Let this process's clock be what the test says; called once, before anybody takes it by its name."""
    path = os.environ.get(_FILE)
    if path is None:
        return
    real, file = time.time, Path(path)
    time.time = lambda: real() + float(file.read_text())
