"""The progress bar in the terminal: a reader of the store like any other.

Redraws one line in a terminal; elsewhere (a pipe, a log) writes a plain line now and then. The demo calls it.
"""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from forge_widgets.cli import words
from forge_widgets.cli.demo.child import Child
from forge_widgets.core.eta import progress_share, time_left
from forge_widgets.core.numbers import format_number
from forge_widgets.core.state import State
from forge_widgets.stores.base import Store

REDRAW_S = 0.2
PLAIN_LINE_S = 5.0
BAR_CELLS = 24


class Follower:
    """Shows a session in a terminal while its training runs."""

    def __init__(self, store: Store, session_id: str, out: TextIO) -> None:
        self._store = store
        self._session_id = session_id
        self._out = out
        self._live = out.isatty()
        # The plain lines' last moment, how many models were completed then, and the newest line.
        self._written_at = -PLAIN_LINE_S
        self._completed = 0
        self._line = ""

    def follow(self, training: Child) -> State | None:
        """Show progress until the training's process ends; return the last state, None where nothing was recorded."""
        # What another process has recorded before is not this one's progress.
        before, ended, state = self._state(), False, None
        while not ended:
            ended = training.wait(REDRAW_S)
            state = self._state()
            if state is not None and (ended or state != before):
                self._show(state, last=ended)
        if state is not None and state.status == "completed":
            self._write(f"{final_line(state)}\n")
        return state

    def _state(self) -> State | None:
        snapshot = self._store.snapshot(self._session_id)
        return None if snapshot is None else snapshot.state

    def _show(self, state: State, *, last: bool) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            line = progress_line(state, unicode=_unicode(self._out))[:width]
            self._write(f"\r\x1b[2K{line}" + ("\n" if last else ""))
            return
        completed = sum(model.completed for model in state.models)
        now = time.monotonic()
        if last or completed > self._completed or now - self._written_at >= PLAIN_LINE_S:
            self._completed, self._written_at = completed, now
            before, self._line = self._line, progress_line(state, unicode=_unicode(self._out))
            if self._line != before:
                self._write(f"{self._line}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def progress_line(state: State, *, unicode: bool) -> str:
    """Write a state as one line: model, bar, step, loss, held-out accuracy, pace and what is left."""
    step, steps = state.value("currentStep"), state.value("totalSteps")
    model, models = state.value("currentModel"), state.value("totalModels")
    done = progress_share(state) or 0.0
    parts = [
        f"model {format_number(model)} of {format_number(models)} {_bar(done, unicode=unicode)} {100 * done:3.0f} %",
        f"step {format_number(step)} of {format_number(steps)}",
    ]
    if "loss" in state.metrics:
        parts.append(f"loss {format_number(state.value('loss'))}")
    if "accuracy" in state.metrics:
        parts.append(f"held-out {100 * state.value('accuracy'):.0f} %")
    left = time_left(state)
    if left is not None:
        parts.append(f"{format_number(left.steps_per_second)} steps/s")
        parts.append(f"~ {words.duration(left.seconds)} left")
    if state.status not in ("running", "waiting"):
        parts.append(state.status)
    return "  ".join(parts)


def final_line(state: State) -> str:
    """Write what came out of a training: its length and each model's loss."""
    losses = ", ".join("none" if model.loss is None else format_number(model.loss) for model in state.models)
    took = words.duration(max(0.0, state.updated_at - state.started_at))
    final = f"; final loss {losses}" if losses else ""
    return f"Trained {format_number(float(state.rows))} steps in {took}{final}."


def _bar(done: float, *, unicode: bool) -> str:
    full = round(done * BAR_CELLS)
    filled, empty = ("━", "─") if unicode else ("#", "-")
    return filled * full + empty * (BAR_CELLS - full)


def _unicode(out: TextIO) -> bool:
    return (out.encoding or "").lower().replace("-", "") == "utf8"
