"""What recording costs a training: the same loop without us, with us, and with a server in the training that is polled.

Fresh processes, in turns: each round has one of every kind, in an order that changes, and only ratios within a round count.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile

from tests.bench.measured import Json, Spread
from tests.bench.stage import HERE

RECORDERS = ("nothing", "hooks", "polled")


def measure(rounds: int, steps: int) -> Json:
    """Measure so many rounds of so many steps; times are of the loop alone."""
    found: Json = {}
    order = random.Random(5)
    for kind in ("numpy", "python"):
        taken: dict[str, list[Json]] = {name: [] for name in RECORDERS}
        for _ in range(rounds):
            for name in order.sample(RECORDERS, len(RECORDERS)):
                taken[name].append(_loop(kind, name, steps))
        bare = taken["nothing"]
        found[kind] = {
            "milliseconds a step": Spread.of([1000.0 * run["seconds"] / steps for run in bare], "ms").json(),
            "milliseconds to start": Spread.of([1000.0 * run["start"] for run in taken["hooks"]], "ms").json(),
            **{name: _slower(taken[name], bare) for name in RECORDERS[1:]},
        }
    return found


def _slower(runs: list[Json], bare: list[Json]) -> Json:
    """Compare runs with those beside them: how much longer the loop took, and the whole process on a core, in per cent."""
    return {
        field: Spread.of(
            [100.0 * (run[of] / other[of] - 1.0) for run, other in zip(runs, bare, strict=True)], "%"
        ).json()
        for field, of in (("slower", "seconds"), ("more of a core", "core_seconds"))
    }


def _loop(kind: str, name: str, steps: int) -> Json:
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as store:
        command = [sys.executable, str(HERE / "loop.py"), kind, name, str(steps)]
        environment = {**os.environ, "FORGE_WIDGETS_STORE": store, "OPENBLAS_NUM_THREADS": "1"}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    run: Json = json.loads(said.stdout)
    return run
