"""Curves of a recorded session for a picture of so many pixels: what is asked, and the answer (docs/PROTOCOL.md, "Series").

Types only. Stores answer (core.downsampling chooses the points); the server's route and the readers of long logs ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

MAX_POINTS = 2_000
"""Points a metric where nobody says how many."""

LEAST_POINTS = 8
"""The fewest that may be asked for, and that each line of a metric keeps, however many models share what was asked for."""

MOST_POINTS = 20_000
"""Points a metric that may be asked for: more than any screen has pixels."""


class SeriesQuery(Struct, frozen=True, kw_only=True):
    """Which curves, and how finely."""

    # None: every metric that is a curve.
    metrics: tuple[str, ...] | None = None
    # Points of one metric, all of its models together; each line keeps LEAST_POINTS.
    max_points: int = MAX_POINTS
    # Steps, both ends included; None: from the first, to the last.
    from_step: float | None = None
    to_step: float | None = None
    # None: the latest.
    attempt: int | None = None

    def wants(self, metric: str) -> bool:
        """Say whether a metric is asked for."""
        return self.metrics is None or metric in self.metrics

    def overlaps(self, first: float, last: float) -> bool:
        """Say whether steps from first to last lie in what is asked for, at least in part."""
        return (self.to_step is None or first <= self.to_step) and (self.from_step is None or last >= self.from_step)

    def encloses(self, first: float, last: float) -> bool:
        """Say whether all steps from first to last lie in what is asked for."""
        return (self.to_step is None or last <= self.to_step) and (self.from_step is None or first >= self.from_step)

    def share_of(self, first: float, last: float) -> float:
        """Return how much of the steps from first to last lies in what is asked for, 0 to 1."""
        if not self.overlaps(first, last):
            return 0.0
        if self.encloses(first, last):
            return 1.0
        begin = first if self.from_step is None else max(first, self.from_step)
        end = last if self.to_step is None else min(last, self.to_step)
        return (end - begin) / (last - first)


class Curve(Struct, frozen=True):
    """One metric of one model."""

    metric: str
    # From 1.
    model: int
    # Of the model, in the order of the log, and the metric's finite values there.
    steps: Sequence[float]
    values: Sequence[float]
    # Step rows that they stand for; more than there are points where some were left out.
    rows: int


class Curves(Struct, frozen=True):
    """The curves of one attempt, as its log was at one moment."""

    epoch: str
    # The newest offset then.
    top: int
    attempt: int
    # ``loss`` first, models in order.
    curves: Sequence[Curve]
