"""SwanLab, offline."""

from __future__ import annotations

import swanlab

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    swanlab.init(project="bench", mode="offline", logdir="swanlog")

    def record(step: int, **metrics: float) -> None:
        swanlab.log(metrics, step=step)

    return Recorder(record, nothing, swanlab.finish)
