"""What got worse since the last committed results. Ratios to the floor of the same run are compared, since machines differ."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measured import Json
from tests.bench.verdict import best_peer, figure_of, ratio

WORSE = 0.25
"""How much worse is said: what noise on a busy machine does not do to a ratio of medians."""


def worse(before: Json, after: Json) -> Iterator[str]:
    """Yield a line for each row of ours that got worse by more than a quarter; rows that only one side has are passed over."""
    for name, measure in after["measures"].items():
        known = {row["words"]: row for row in before.get("measures", {}).get(name, {}).get("rows", ())}
        for row in measure.get("rows", ()):
            if row["words"] not in known:
                continue
            was, now = standing(known[row["words"]]), standing(row)
            if was is None or now is None or was[1] != now[1]:
                continue
            change = was[0] / now[0] if row["better"] == "more" else now[0] / was[0]
            if change > 1.0 + WORSE:
                yield f"{name}: {row['words']}: {was[0]:.3g} → {now[0]:.3g} {now[1]} ({change:.2f} times worse)"


def standings(found: Json) -> Iterator[str]:
    """Yield a line for each row: where ours stands."""
    for name, measure in found["measures"].items():
        if "failed" in measure:
            yield f"{name}: {measure['failed']}"
        for row in measure.get("rows", ()):
            now = standing(row)
            yield f"{name}: {row['words']}: {'not measured' if now is None else f'{now[0]:.3g} {now[1]}'}"


def standing(row: Json) -> tuple[float, str] | None:
    """Return where ours stands, and in what: times the floor, times the best peer, or the bare figure. None: not measured.

    A bare figure that is far below its goal stands at a quarter of it: half a per cent instead of a tenth is nothing to tell.
    """
    ours = figure_of(row, "ours")
    if ours is None:
        return None
    to_floor = ratio(row, ours)
    if to_floor is not None:
        return to_floor, "× floor"
    peer = best_peer(row)
    if peer is not None and peer["median"] > 0.0:
        return ours["median"] / peer["median"], "× the best peer"
    small = [goal["value"] / 4 for goal in row["goals"] if not goal["against"] and goal["op"] == "≤"]
    bare = max([float(ours["median"]), *small])
    return (bare, row["unit"]) if bare > 0.0 else None
