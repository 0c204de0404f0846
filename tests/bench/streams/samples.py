"""Samples as a contestant prints them: few of many, and their quantiles as they were."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 1_000


def ranked(seconds: Iterable[float]) -> list[float]:
    """Return milliseconds, sorted; of more than a thousand every so many-th, so that each stands for as many."""
    ordered = sorted(1000.0 * value for value in seconds)
    if len(ordered) <= MOST:
        return [round(value, 3) for value in ordered]
    return [round(ordered[(2 * place + 1) * len(ordered) // (2 * MOST)], 3) for place in range(MOST)]
