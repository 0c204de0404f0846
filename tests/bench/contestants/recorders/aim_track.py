"""Aim, into its local repository."""

from __future__ import annotations

from aim import Run

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    run = Run(repo=".", system_tracking_interval=None, capture_terminal_logs=False)

    def record(step: int, **metrics: float) -> None:
        run.track(metrics, step=step)

    return Recorder(record, nothing, run.close)
