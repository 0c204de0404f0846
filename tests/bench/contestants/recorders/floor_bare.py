"""Less than the floor: a function of a step, a loss and metrics of any name, which no object has to be asked for."""

from __future__ import annotations

from collections import deque
from time import monotonic

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    items: deque[object] = deque()

    def record(step: int, loss: float, **metrics: float) -> None:
        items.append((monotonic(), step, loss, metrics))

    return Recorder(record, items.clear, nothing)
