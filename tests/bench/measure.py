"""What a measure is: the words, the goals, and what it finds, in the one shape that page, plots and comparison are made of.

As JSON a measure's findings are ``{"rows": [row, ...], "growth": [growth, ...]}``; see row() and growth().
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from tests.bench.measured import Json

Operator = Literal["≤", "≥"]
Against = Literal["", "floor", "peers"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What ours must be."""

    op: Operator
    value: float
    # "": the figure itself; "floor": ours through the floor; "peers": how many times ours is ahead of the best peer.
    against: Against = ""
    # Which figure of the spread is meant: median, p99, …
    part: str = "median"


@dataclass(frozen=True, slots=True)
class Settings:
    """How thoroughly to measure."""

    # Rounds, each of every contestant once.
    runs: int
    # True: a look of seconds for `make bench-quick`. Less of everything, and no growth.
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure; each file in measures/ holds one as MEASURE."""

    # Names it on the command line, in JSON, and in reasons.md.
    name: str
    title: str
    # What is measured, and how: a paragraph of Markdown.
    words: str
    take: Callable[[Settings], Json]
    # Whether `make bench-quick` takes it.
    cheap: bool = False


def row(words: str, figures: Json, goals: Sequence[Goal] = (), *, unit: str, more: bool = False) -> Json:
    """Make one line of the page's table.

    Args:
        words: what it is, in the table.
        figures: by contestant, see harness.figures.
        goals: what ours must be.
        unit: of the figures.
        more: True where more is better.
    """
    return {
        "words": words,
        "unit": unit,
        "better": "more" if more else "less",
        "figures": figures,
        "goals": [asdict(goal) for goal in goals],
    }


Points = Sequence[tuple[float, float]]


def growth(words: str, lines: Mapping[str, Points], *, over: str, unit: str, most: float) -> Json:
    """Make one plot: how a figure grows with what it depends on.

    Args:
        words: what grows, as the plot's title.
        lines: points (how much of it, figure) by contestant. On logarithmic axes nothing has no place: points that are not
            positive are left out, and lines of which less than two are left.
        over: what it grows over: "steps".
        unit: of the figures.
        most: the exponent that the work itself has: 1.0 where twice the steps are twice the work, 0.0 for a cost a step.
    """
    positive = {name: [[amount, cost] for amount, cost in points if cost > 0.0] for name, points in lines.items()}
    drawn = {name: points for name, points in positive.items() if len(points) > 1}
    return {"words": words, "over": over, "unit": unit, "most": most, "lines": drawn}
