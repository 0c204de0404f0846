"""Train one cognate: a network that learns modular addition, memorising first and grokking later.

Owns the loop and the random numbers of one cognate; reports each step and knows nothing of sessions, hooks or screens.
The integration drives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forge_widgets.training.cognate.adamw import AdamW
from forge_widgets.training.cognate.network import QuadraticNetwork
from forge_widgets.training.cognate.settings import CognateSettings
from forge_widgets.training.cognate.task import ModularAddition


@dataclass(frozen=True, slots=True)
class StepReport:
    """Say how one step of training went; all but ``learning_rate`` are of the weights that the step began with."""

    step: int
    """Number of the step, from 1."""
    loss: float
    """Mean cross-entropy over the pairs trained on, in nats."""
    accuracy: float
    """Share of the held-out pairs answered right, 0 to 1."""
    train_accuracy: float
    """Share of the pairs trained on answered right, 0 to 1."""
    learning_rate: float
    """AdamW's step size at this step."""
    grok_progress: int
    """How far from guessing (0) to knowing every held-out pair (100) the cognate is."""


def train(settings: CognateSettings, *, seed: int, steps: int | None = None) -> Iterator[StepReport]:
    """Train one cognate and yield a report of each step; stopping early is leaving the loop.

    ``steps`` None means ``settings.steps``. Split, initial weights and so every report are given by the seed (0 or
    more): bit for bit on one machine whatever its number of cores, and to rounding elsewhere.
    """
    rng = np.random.default_rng(seed)
    task = ModularAddition.split(settings.modulus, settings.train_fraction, rng)
    network = QuadraticNetwork(task, settings.width, settings.init_scale, rng)
    optimizer = AdamW(network.weights, settings.weight_decay)
    for step in range(1, (settings.steps if steps is None else steps) + 1):
        found = network.evaluate()
        learning_rate = settings.learning_rate * min(1.0, step / settings.warmup_steps)
        optimizer.update(found.gradients, learning_rate)
        yield StepReport(
            step=step,
            loss=found.loss,
            accuracy=found.accuracy,
            train_accuracy=found.train_accuracy,
            learning_rate=learning_rate,
            grok_progress=grok_progress(found.accuracy, task.chance),
        )


def grok_progress(accuracy: float, chance: float) -> int:
    """Scale a held-out accuracy so that guessing is 0 and knowing everything is 100, rounded down."""
    return math.floor(100.0 * max(0.0, accuracy - chance) / (1.0 - chance))
