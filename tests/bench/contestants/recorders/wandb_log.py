"""W&B, offline (WANDB_MODE)."""

from __future__ import annotations

import wandb

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    run = wandb.init(project="bench", mode="offline")

    def record(step: int, **metrics: float) -> None:
        run.log(metrics, step=step)

    return Recorder(record, nothing, run.finish)
