"""The command line as a person runs it: real processes, with a store and a Jupyter home of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Body, Producer
from forge_widgets.stores import open_store

COMMAND = [sys.executable, "-m", "forge_widgets.cli"]


class CommandLine:
    """Runs ``forge-widgets`` against one store."""

    def __init__(self, store: Path, home: Path) -> None:
        self.store = store
        self.home = home
        self.environment = {
            **os.environ,
            "FORGE_WIDGETS_STORE": os.fspath(store),
            "JUPYTER_DATA_DIR": os.fspath(home / "data"),
            "JUPYTER_RUNTIME_DIR": os.fspath(home / "runtime"),
        }
        self._started: list[subprocess.Popen[str]] = []

    def record(self, session_id: str, *bodies: Body) -> None:
        """Record into the store."""
        store = open_store(self.store)
        store.append(session_id, Batch(producer=Producer(id="test"), sequence=0, bodies=list(bodies)))
        store.close()

    def run(self, *arguments: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command; it ends with the test."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**self.environment, "PYTHONIOENCODING": "utf-8", **environment},
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what still runs, as Ctrl-C would."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[CommandLine]:
    """Give the command line with a fresh store and a fresh Jupyter home."""
    line = CommandLine(tmp_path / "store", tmp_path / "home")
    yield line
    line.end()
