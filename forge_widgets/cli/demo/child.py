"""A process that the demo starts and ends: the Jupyter server, the training.

Runs in a session of its own, so that Ctrl-C in the terminal reaches the demo alone, which then ends its children in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE_S = 10.0
TAIL_LINES = 12


class Child:
    """A process whose output goes to a log file that only the user can read; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
        ends_on: signal.Signals = signal.SIGINT,
    ) -> None:
        """Start a command in a folder, None for the one that this process is in; ``ends_on`` ends it in good order."""
        self._log = log
        self._ends_on = ends_on
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
                cwd=folder,
                start_new_session=sys.platform != "win32",
            )
        finally:
            os.close(file)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the end, at most so long (None: for ever). True once it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End the process in good order; by force where that takes too long, or where a second Ctrl-C says so."""
        if self.returncode is not None:
            return
        try:
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else self._ends_on)
            self.wait(PATIENCE_S)
        finally:
            if self.returncode is None:
                self._process.kill()
                self._process.wait()

    def tail(self) -> str:
        """Return the last lines that it wrote."""
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
