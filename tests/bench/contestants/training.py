"""A training loop that now records and now does not: ``training KIND RECORDER SECONDS [RATE]``.

KIND: ``numpy`` (small matrix products) or ``python`` (arithmetic in pure Python), about RATE steps a second (1,000).
Stretches of 0.1 s with and without recording take turns in one process, in an order that changes: so that whatever else
differs between two processes, or two moments, does not. What was recorded comes to rest between them.

``slower`` and ``core`` are what recording adds to the loop's time, and of a core to all processes, in per cent: the median of the
pairs, and all of them together.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable

from tests.bench.contestants.group import core_s
from tests.bench.contestants.recorders import Record, Recorder, nothing, opened

STRETCH_S = 0.1

Step = Callable[[int], float]


def numpy_step(products: int) -> Step:
    """Make a step of gradient descent on a small least-squares problem: so many matrix products, and their errors."""
    import numpy as np

    source = np.random.default_rng(0)
    inputs, wanted = source.normal(size=(256, 96)), source.normal(size=(256, 24))
    weights = np.zeros((96, 24))

    def step(_: int) -> float:
        errors = inputs @ weights - wanted
        for _ in range(products):
            weights[:] -= 1e-3 * (inputs.T @ errors)
            errors = inputs @ weights - wanted
        return float((errors**2).mean())

    return step


def python_step(terms: int) -> Step:
    """Make a step of arithmetic in pure Python: it holds the interpreter's lock throughout."""

    def step(number: int) -> float:
        total = 0.0
        for term in range(1, terms):
            total += 1.0 / (term + number)
        return total

    return step


def paced(make: Callable[[int], Step], size: int, rate: float) -> Step:
    """Make a step that takes as long as it may at such a rate, from the size of one that is measured."""
    step = make(size)
    least = math.inf
    for number in range(50):
        began = time.perf_counter()
        step(number)
        least = min(least, time.perf_counter() - began)
    return make(max(1, round(size / rate / least)))


def main(kind: str, name: str, seconds: float, rate: float = 1_000.0) -> None:
    """Train, and print what recording cost."""
    step = paced(numpy_step, 11, rate) if kind == "numpy" else paced(python_step, 10_000, rate)
    steps = max(1, round(STRETCH_S * rate))
    recorder = opened(name)
    for record in (recorder.record, nothing):
        _stretch(step, steps, record, recorder)
    order = random.Random(7)
    pairs: list[tuple[float, float]] = []
    with_it = without = recording = resting = 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for records in order.sample((True, False), 2):
            took, on_core = _stretch(step, steps, recorder.record if records else nothing, recorder)
            if records:
                with_it, recording = took, recording + on_core
            else:
                without, resting = took, resting + on_core
        pairs.append((with_it, without))
    recorder.close()
    bare = sum(without for _, without in pairs)
    found = {
        "step_ms": 1000.0 * bare / len(pairs) / steps,
        "slower": 100.0 * statistics.median(with_it / without - 1.0 for with_it, without in pairs),
        "core": 100.0 * (recording - resting) / bare,
    }
    print(json.dumps(found))


def _stretch(step: Step, steps: int, record: Record, recorder: Recorder) -> tuple[float, float]:
    """Return how long the loop took, and how long all threads were on a core until everything was at rest; seconds."""
    core, began = core_s(), time.perf_counter()
    for number in range(steps):
        loss = step(number)
        record(number, loss=loss, accuracy=0.25, learning_rate=1e-3, grad_norm=1.5)
    took = time.perf_counter() - began
    recorder.settle()
    return took, core_s() - core


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:]))
