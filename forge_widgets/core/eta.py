"""How long it still takes: an estimate from the pace of the newest samples.

Pure. The TypeScript client estimates the same way (ui/src/stream/eta.ts); tests/vectors/eta.json holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from forge_widgets.core.state import Pace, State

MIN_SAMPLES = 3


class Estimate(Struct, frozen=True, rename="camel"):
    """What is left of a training."""

    # Steps a second over the samples.
    steps_per_second: float
    # Seconds left at that pace, and between the quartiles of the paces from sample to sample.
    seconds: float
    low: float
    high: float


def overall_total(state: State) -> float | None:
    """Return the steps of all models together; None where nobody said how many there are."""
    if "totalSteps" not in state.metrics:
        return None
    models = state.value("totalModels" if "totalModels" in state.metrics else "currentModel")
    total = state.value("totalSteps") * max(1.0, models)
    return total if 0 < total < math.inf else None


def progress_share(state: State) -> float | None:
    """Return how much of all models' steps is done, 0 to 1; None where no total is known."""
    if state.status == "completed":
        return 1.0
    total = overall_total(state)
    if total is None:
        return None
    done = (state.value("currentModel") - 1) * state.value("totalSteps") + state.value("currentStep")
    return None if math.isnan(done) else min(1.0, max(0.0, done / total))


def time_left(state: State) -> Estimate | None:
    """Estimate what is left of a running training; None where it is over, or its length or pace is not known."""
    total = overall_total(state)
    return None if state.status != "running" or total is None else estimate(state.pace, total)


def estimate(pace: Sequence[Pace], total: float) -> Estimate | None:
    """Estimate what is left of ``total`` steps; None with under three samples or where nothing moves forward."""
    if len(pace) < MIN_SAMPLES:
        return None
    elapsed, done = pace[-1].timestamp - pace[0].timestamp, pace[-1].steps - pace[0].steps
    rates = sample_rates(pace)
    if not rates or elapsed <= 0 or done <= 0:
        return None
    rate = done / elapsed
    left = max(0.0, total - pace[-1].steps)
    slow, fast = rates[len(rates) // 4], rates[(3 * len(rates)) // 4]
    return Estimate(rate, left / rate, left / max(fast, rate), left / min(slow, rate))


def sample_rates(pace: Sequence[Pace]) -> list[float]:
    """Return the steps a second from sample to sample where it went forward, slowest first."""
    return sorted(
        (after.steps - before.steps) / (after.timestamp - before.timestamp)
        for before, after in pairwise(pace)
        if after.timestamp > before.timestamp and after.steps > before.steps
    )
