"""Fewer points of the same curve: what a picture of so many pixels can show, with every extreme that it has room for.

Pure. Key frames that travel through a kernel and static faces call it; what is kept of a log is never thinned here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)


def thin(points: Sequence[tuple[Number, Number]], most: int) -> list[tuple[Number, Number]]:
    """Return at most ``most`` (4 or more) of the points, in order, the first and the last among them.

    Runs of equally many points each leave their least and their greatest; of equals the earliest.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    runs = max(1, (most - 2) // 2)
    kept = [points[0]]
    for run in range(runs):
        part = inner[run * len(inner) // runs : (run + 1) * len(inner) // runs]
        least = min(range(len(part)), key=lambda index: part[index][1])
        greatest = max(range(len(part)), key=lambda index: part[index][1])
        kept.extend(part[index] for index in sorted({least, greatest}))
    kept.append(points[-1])
    return kept
