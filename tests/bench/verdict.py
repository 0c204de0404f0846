"""What the findings say: ratios, goals met or not, and how fast a cost grows. Pure, from JSON alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from tests.bench.measured import Json

TOLERANCE = 0.1
"""How much more than its work a cost may seem to grow, in the exponent: what noise does to a slope over three decades."""


def figure_of(row: Json, role: str) -> Json | None:
    """Return the one figure of a role (``floor``, ``ours``) that was measured; None where none was."""
    return next((one for one in row["figures"].values() if one["role"] == role and "median" in one), None)


def best_peer(row: Json) -> Json | None:
    """Return the best peer's figure; those beside (``aside``) are none."""
    peers = [one for one in row["figures"].values() if one["role"] == "peer" and "median" in one]
    choose = max if row["better"] == "more" else min
    return choose(peers, key=lambda one: float(one["median"]), default=None)


def ratio(row: Json, figure: Json) -> float | None:
    """Return how many times the floor's median a figure's is; None without a floor."""
    floor = figure_of(row, "floor")
    return float(figure["median"] / floor["median"]) if floor is not None and floor["median"] else None


def reached(row: Json, goal: Json) -> float | None:
    """Return what a goal is about; None where it can't be said, because a contestant failed."""
    ours = figure_of(row, "ours")
    if ours is None:
        return None
    value = float(ours[goal["part"]])
    if not goal["against"]:
        return value
    other = figure_of(row, "floor") if goal["against"] == "floor" else best_peer(row)
    if other is None or not value or not other[goal["part"]]:
        return None
    through = value / float(other[goal["part"]])
    ahead = goal["against"] == "peers" and row["better"] == "less"
    return 1.0 / through if ahead else through


def met(row: Json, goal: Json) -> bool | None:
    """Say whether a goal is met; None where that can't be said."""
    value = reached(row, goal)
    if value is None:
        return None
    return bool(value <= goal["value"] if goal["op"] == "≤" else value >= goal["value"])


def exponent(points: Sequence[Sequence[float]]) -> float:
    """Return the slope of the least-squares line through log-log points: 1.0 is linear. Two or more, all positive."""
    logs = [(math.log(amount), math.log(cost)) for amount, cost in points]
    return statistics.linear_regression(*zip(*logs, strict=True)).slope


def outgrows(growth: Json, name: str) -> bool:
    """Say whether a line of a growth plot rises faster than its work."""
    most: float = growth["most"]
    return exponent(growth["lines"][name]) > most + TOLERANCE
