"""What the server's HTTP routes say of the demo's sessions, as a table in the terminal: what any client would be told.

Redrawn in place in a terminal; elsewhere (a pipe, a log) written once all sessions are known, and at the end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Any, TextIO

from msgspec import Struct

from forge_widgets.cli import words
from forge_widgets.cli.demo.child import Child
from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.core.document import parse_time
from forge_widgets.core.numbers import format_number

LOOK_S = 0.5
HEAD = ("SESSION", "STATUS", "MODEL", "STEP", "LOSS", "VIEWERS", "UPDATED")


class Answers(Struct, frozen=True):
    """What a server said in one look."""

    health: str
    active: int
    total: int
    # A line of cells for each session that was asked for and is known.
    rows: tuple[tuple[str, ...], ...]


class Monitor:
    """Asks a server for its health, its sessions, and the progress of some of them."""

    def __init__(self, server: LabServer, session_ids: Sequence[str], out: TextIO) -> None:
        self._server = server
        self._session_ids = tuple(session_ids)
        self._out = out
        self._live = out.isatty()
        # Lines of the table that stand in the terminal; 0 before the first.
        self._drawn = 0

    def follow(self, training: Child) -> None:
        """Show the table until a training's process ends. Raises OSError where the server does not answer then."""
        while not training.wait(LOOK_S):
            try:
                answers = self.ask()
            except OSError:
                continue  # busy, perhaps; the last look will tell
            if self._live or (not self._drawn and len(answers.rows) == len(self._session_ids)):
                self._draw(answers)
        self._draw(self.ask())

    def ask(self) -> Answers:
        """Ask the server. Raises OSError where it does not answer."""
        documents = [self._server.ask(f"forge/api/progress/{name}") for name in self._session_ids]
        listed = self._server.ask("forge/api/sessions")
        health = self._server.ask("forge/api/health")
        rows = tuple(_cells(document, time.time()) for document in documents if document is not None)
        return Answers(health["status"], health["active_sessions"], listed["total"], rows)

    def _draw(self, answers: Answers) -> None:
        lines = self._lines(answers)
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            back = f"\x1b[{self._drawn}A" if self._drawn else ""
            self._out.write(back + "".join(f"\x1b[2K{line[:width]}\n" for line in lines))
        else:
            self._out.write("".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)
        self._out.flush()

    def _lines(self, answers: Answers) -> list[str]:
        table = [HEAD, *answers.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
        return [
            f"  {self._server.url}forge/api/health      {answers.health}, {answers.active} active",
            f"  {self._server.url}forge/api/sessions    {answers.total} in all",
            f"  {self._server.url}forge/api/progress/…",
            *("    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table),
        ]


def _cells(document: Any, now: float) -> tuple[str, ...]:
    metrics = document["metrics"]
    return (
        document["sessionId"],
        document["status"],
        f"{_number(metrics['currentModel'])}/{_number(metrics['totalModels'])}",
        f"{_number(metrics['currentStep'])}/{_number(metrics['totalSteps'])}",
        _number(metrics["loss"]),
        str(document["connection_count"]),
        words.ago(now - parse_time(document["last_update"])),
    )


def _number(value: float | None) -> str:
    # A number that JSON has none for comes as null.
    return "NaN" if value is None else format_number(value)
