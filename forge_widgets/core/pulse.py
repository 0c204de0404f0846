"""Do a training's steps come as they usually do? Judged by its own pace, never by a fixed limit alone.

Pure: time is an argument. Lists and the command line ask here; ui/src/stream/pulse.ts is the same for live views, and
tests/vectors/pulse.json holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from forge_widgets.core.eta import sample_rates
from forge_widgets.core.state import Pace, State

Pulse = Literal["running", "slow", "stalled"]

Standing = Literal["waiting", "running", "slow", "stalled", "paused", "completed", "error", "lost"]
"""How a session stands, in one word: its status, or what is wrong with one that runs."""

SLOW_WAITS, SLOW_S = 4.0, 5.0
STALLED_WAITS, STALLED_S = 12.0, 30.0
"""Without a step for so many of the longest usual waits, and at least so many seconds, a run is slow, then stalled."""

SLOW_FACTOR = 3.0
RECENT_SAMPLES = 3
MIN_USUAL_SAMPLES = 6
"""Steps that take SLOW_FACTOR times as long as usual are slow: over the newest samples, once there are enough to compare."""


def standing(state: State, now: float) -> Standing:
    """Say in one word how a session stands at ``now``, in seconds since the epoch."""
    if state.lost and state.status in ("running", "paused"):
        return "lost"
    return pulse(state, now) if state.status == "running" else state.status


def pulse(state: State, now: float) -> Pulse:
    """Say whether the steps of a running training come as usual at ``now``, in seconds since the epoch."""
    idle = now - (state.stepped_at or state.updated_at)
    wait = usual_wait(state.pace)
    if idle > max(STALLED_S, STALLED_WAITS * wait):
        return "stalled"
    if idle > max(SLOW_S, SLOW_WAITS * wait):
        return "slow"
    usual, recent = usual_rate(state.pace), recent_rate(state.pace)
    return "slow" if usual is not None and recent is not None and recent * SLOW_FACTOR < usual else "running"


def usual_wait(pace: Sequence[Pace]) -> float:
    """Return the longest wait from sample to sample but for the longest tenth: evaluations in between are usual, too."""
    waits = sorted(after.timestamp - before.timestamp for before, after in pairwise(pace))
    return waits[int(0.9 * (len(waits) - 1))] if waits else 0.0


def usual_rate(pace: Sequence[Pace]) -> float | None:
    """Return the steps a second that are usual: the median from sample to sample; None where nothing moved yet."""
    rates = sample_rates(pace)
    return rates[len(rates) // 2] if rates else None


def recent_rate(pace: Sequence[Pace]) -> float | None:
    """Return the steps a second that were usual of late: one evaluation does not make a run slow.

    None where there are too few samples to compare, or nothing moves.
    """
    return None if len(pace) < MIN_USUAL_SAMPLES else usual_rate(pace[-1 - RECENT_SAMPLES :])
