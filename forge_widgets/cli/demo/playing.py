"""Plays one part of the demo: its headings in the terminal, its processes, and whether each came to what it should.

The show calls it for each part; whatever ends it early ends the process that runs.
"""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path
from typing import TextIO

from forge_widgets.cli.demo.child import Child
from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.cli.demo.monitor import Monitor
from forge_widgets.cli.demo.parts import Part, Run
from forge_widgets.cli.demo.progress import Follower
from forge_widgets.core.state import State
from forge_widgets.errors import ForgeError
from forge_widgets.stores import ENVIRONMENT
from forge_widgets.stores.base import Store

WIDTH = 100
ONE_CORE = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""What lets NumPy leave the other cores to the server and the browser, where the user has said nothing else."""


class PartFailed(ForgeError):
    """Raised when a training of the demo did not come to what it should."""


class Player:
    """Plays parts into one store, shown by one server."""

    def __init__(
        self, store: Store, server: LabServer, *, logs: Path, workplace: Path, out: TextIO, pause_s: float
    ) -> None:
        """``logs`` takes what the trainings print, ``workplace`` is the folder that they run in.

        ``pause_s`` is how long each of them is left to be looked at when it has ended.
        """
        self._store = store
        self._server = server
        self._logs = logs
        self._workplace = workplace
        self._out = out
        self._pause_s = pause_s
        # Sessions played so far.
        self._sessions: list[str] = []

    def play(self, part: Part, place: str = "") -> None:
        """Play a part, ``place`` (such as "2 of 4") before its title. Raises PartFailed."""
        self._head(part, place)
        self._sessions.append(part.session_id)
        for run in part.runs:
            if run.said:
                self._say(run.said)
            self._train(part, run)
            time.sleep(self._pause_s)

    def _head(self, part: Part, place: str) -> None:
        title = f"{place} · {part.title}" if place else part.title
        self._say(f"\n{_bold(title, self._out)}")
        for line in (part.about, f"Look at: {part.look}"):
            self._say(textwrap.fill(line.replace("`", ""), WIDTH, initial_indent="  ", subsequent_indent="  "))
        if part.code:
            self._say(f"\n{part.code}")

    def _train(self, part: Part, run: Run) -> None:
        environment = {ENVIRONMENT: self._store.url, **{name: os.environ.get(name, "1") for name in ONE_CORE}}
        log = self._logs / "training.log"
        with Child(run.command, log=log, environment=environment, folder=self._workplace) as training:
            if part.monitored:
                Monitor(self._server, self._sessions, self._out).follow(training)
            else:
                Follower(self._store, part.session_id, self._out).follow(training)
        snapshot = self._store.snapshot(part.session_id)
        state = State() if snapshot is None else snapshot.state
        failed = bool(training.returncode)
        if failed == run.fails and state.status == ("error" if run.fails else "completed"):
            if run.fails:
                self._say(f"Failed: {state.error}")
            elif part.code:
                self._say(f"It printed:\n{textwrap.indent(training.tail(), '  ')}")
            return
        if run.fails:
            raise PartFailed(f"{part.title}: the training was to fail, and is {state.status}")
        why = state.error or training.tail() or "it said nothing"
        raise PartFailed(f"{part.title}: the training failed with exit code {training.returncode}: {why}")

    def _say(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def _bold(text: str, out: TextIO) -> str:
    return f"\x1b[1m{text}\x1b[0m" if out.isatty() and not os.environ.get("NO_COLOR") else text
