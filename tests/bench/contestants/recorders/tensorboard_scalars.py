"""TensorBoard's SummaryWriter without torch: tensorboardX."""

from __future__ import annotations

from tensorboardX import SummaryWriter

from tests.bench.contestants.recorders import Recorder


def opened() -> Recorder:
    writer = SummaryWriter("runs")

    def record(step: int, **metrics: float) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    return Recorder(record, writer.flush, writer.close)
