"""How far apart the viewers of a session get the same frame."""

from __future__ import annotations

from tests.bench.harness import figures, rounds
from tests.bench.measure import Goal, Measure, Settings, row
from tests.bench.measured import Json
from tests.bench.measures import watching as by

VIEWERS, SECONDS, QUICK_SECONDS = 200, 5.0, 3.0


def take(settings: Settings) -> Json:
    """Measure two hundred viewers."""
    by.install()
    kinds, seconds = ((by.BARE, by.OURS), QUICK_SECONDS) if settings.quick else (by.EVERYBODY, SECONDS)
    outcomes = rounds(by.contestants(kinds, "broadcast_spread", VIEWERS, seconds), settings.runs)
    spread = figures(outcomes, "ms", lambda run: float(run["spread"]["p99"]))
    middle = figures(outcomes, "ms", lambda run: float(run["spread"]["median"]))
    last = figures(outcomes, "ms", lambda run: float(run["last"]["p99"]))
    words = f"{VIEWERS} viewers at 20 frames/s"
    return {
        "rows": [
            row(f"{words}, p99 from the first receipt to the last", spread, [Goal("≤", 8.0)], unit="ms"),
            row("the same, median frame", middle, unit="ms"),
            row(f"{words}, p99 from the call to the last receipt", last, unit="ms"),
        ]
    }


MEASURE = Measure(
    name="spread",
    title="Two hundred viewers at 20 frames a second",
    words="The same servers send 20 messages a second to viewers that one process reads from. Of each message the time from the "
    "first viewer's receipt to the last one's, and from the call that sends it to the last receipt. Ours is called by a "
    "training's `emit_step_update` in another process: so the second row has its commit and the server's looking in it.",
    take=take,
)
