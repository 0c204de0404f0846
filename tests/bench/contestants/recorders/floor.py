"""The floor: a call with metrics of any name, the clock, and an append to a deque that is emptied now and then."""

from __future__ import annotations

from collections import deque
from time import monotonic

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    items: deque[object] = deque()

    def record(step: int, loss: float, **metrics: float) -> None:
        items.append((monotonic(), step, loss, metrics))

    return Recorder(record, items.clear, nothing)
