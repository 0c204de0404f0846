"""Records steps in bursts and says what the loop's thread paid: ``emitting RECORDER STEPS LIMIT_S [own]``.

Between bursts what was recorded comes to rest, so that no ring runs full: nothing is fast because it was dropped. Ends
early where the limit is reached. With ``own`` the metrics beside the loss have names that nobody can know beforehand.
Times are microseconds a step, the median of the bursts; ``core_us`` is of all threads.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from tests.bench.contestants.recorders import Record, opened

BURST = 500
WARM = 20


def main(name: str, steps: int, limit_s: float, names: str) -> None:
    """Record, and print what it took."""
    burst_of = _burst_of_own if names == "own" else _burst_of_common
    recorder = opened(name)
    warm, _ = _timed(burst_of, recorder.record, 0, WARM)
    # At most 50 ms of a slow one, so that there are many bursts.
    burst = min(BURST, max(WARM, int(50_000.0 / warm)))
    recorder.settle()
    walls, cores = [], []
    done = 0
    used, began = time.process_time(), time.perf_counter()
    while done < steps and time.perf_counter() - began < limit_s:
        wall, core = _timed(burst_of, recorder.record, WARM + done, burst)
        walls.append(wall)
        cores.append(core)
        done += burst
        recorder.settle()
    found = {"steps": done, "wall_us": statistics.median(walls), "thread_us": statistics.median(cores)}
    print(json.dumps({**found, "core_us": 1e6 * (time.process_time() - used) / done}), flush=True)
    # What it still has to save takes seconds for some, and the loop nothing.
    os._exit(0)


Burst = Callable[[Record, range], None]


def _timed(burst_of: Burst, record: Record, first: int, steps: int) -> tuple[float, float]:
    """Return microseconds a step: by the clock, and of this thread on a core."""
    wall, core = time.perf_counter(), time.thread_time()
    burst_of(record, range(first, first + steps))
    core, wall = time.thread_time() - core, time.perf_counter() - wall
    return 1e6 * wall / steps, 1e6 * core / steps


def _burst_of_common(record: Record, steps: range) -> None:
    for step in steps:
        record(step, loss=0.5, accuracy=0.25, learning_rate=1e-3, grad_norm=1.5)


def _burst_of_own(record: Record, steps: range) -> None:
    for step in steps:
        record(step, loss=0.5, dice=0.25, temperature=1e-3, spread=1.5)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), "".join(sys.argv[4:]))
