"""The rows that contestants of the store keep: a step, its time, and four metrics, in blocks of columns."""

from __future__ import annotations

from array import array
from typing import Literal

import numpy as np

METRICS = ("loss", "accuracy", "learningRate", "gradNorm")

Precision = Literal["float32", "float64"]

START_S = 1_790_000_000.0


def columns(
    first: int, rows: int, *, precision: Precision = "float32", rate: float = 1_000.0
) -> dict[str, array[float]]:
    """Make a block's columns: ``timestamp``, ``currentStep``, and metrics as a training has them, with its noise.

    Frameworks give single precision, which leaves half of a double's digits zero; with ``float64`` all of them are noise.
    """
    source = np.random.default_rng(first)
    steps = np.arange(first, first + rows, dtype=np.float64)
    noise = source.normal(size=(3, rows))
    made = {
        "loss": 2.0 * np.exp(-steps / 50_000.0) + 0.3 + 0.05 * noise[0],
        "accuracy": 0.9 - 0.6 * np.exp(-steps / 40_000.0) + 0.02 * noise[1],
        "learningRate": 1e-3 / (1.0 + steps / 10_000.0),
        "gradNorm": np.exp(0.3 * noise[2]),
    }
    jitter = 1e-4 * source.random(rows) / rate
    found = {"timestamp": START_S + steps / rate + jitter, "currentStep": steps}
    found |= {name: values.astype(precision).astype(np.float64) for name, values in made.items()}
    return {name: array("d", values.tobytes()) for name, values in found.items()}
