"""Nobody records."""

from __future__ import annotations

from tests.bench.contestants.recorders import Recorder, nothing


def _pass(step: int, **metrics: float) -> None:
    """Take a step and do nothing with it."""


def opened() -> Recorder:
    return Recorder(_pass, nothing, nothing)
