"""Nobody records."""

from __future__ import annotations

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    return Recorder(nothing, nothing, nothing)
