"""From what a crowd heard to how long things took. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Heard = Mapping[str, Any]
"""What a crowd counted (crowd.py): ``messages``, each with its ``span`` of offsets and ``receipts``, of a viewer and a moment."""


def covered(heard: Heard, numbers: Iterable[int]) -> dict[int, list[float]]:
    """Return for each number when each viewer had it or a later one, a moment for each viewer that did."""
    wanted = sorted(numbers)
    arrived: dict[int, list[float]] = {number: [] for number in wanted}
    for receipts in _of_each_viewer(heard).values():
        place = 0
        for at, newest in sorted(receipts):
            while place < len(wanted) and wanted[place] <= newest:
                arrived[wanted[place]].append(at)
                place += 1
    return arrived


def ages_of_newest(heard: Heard, emitted: Mapping[int, float]) -> list[float]:
    """Return how old the newest row of each frame was at each viewer, in seconds."""
    return [
        at - emitted[newest]
        for receipts in _of_each_viewer(heard).values()
        for at, newest in receipts
        if newest in emitted
    ]


def ages_of_all(heard: Heard, emitted: Mapping[int, float]) -> list[float]:
    """Return how old each row was when each viewer had it, in seconds; those of before the counting and after it left out."""
    newest = [span[1] for span in _spans(heard)]
    within = [number for number in emitted if min(newest) < number <= max(newest)]
    return [at - emitted[number] for number, moments in covered(heard, within).items() for at in moments]


def _of_each_viewer(heard: Heard) -> dict[int, list[tuple[float, int]]]:
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for message in heard["messages"]:
        for viewer, at in message["receipts"]:
            found[viewer].append((at, message["span"][1]))
    return found


def _spans(heard: Heard) -> list[tuple[int, int]]:
    return [(message["span"][0], message["span"][1]) for message in heard["messages"]]
