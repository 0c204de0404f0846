"""trackio, into its local folder."""

from __future__ import annotations

import trackio

from tests.bench.contestants.recorders import Recorder, nothing


def opened() -> Recorder:
    trackio.init(project="bench", embed=False)

    def record(step: int, **metrics: float) -> None:
        trackio.log(metrics, step=step)

    return Recorder(record, nothing, trackio.finish)
