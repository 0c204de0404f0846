"""What a message to many viewers costs the server."""

from __future__ import annotations

from tests.bench.harness import figures, rounds
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json
from tests.bench.measures import watching as by

VIEWERS, MESSAGES = 1_000, 16
QUICK_MESSAGES, QUICK_RUNS = 10, 2
GROWTH = (1, 10, 100, 1_000, 2_000, 4_900)
"""4,900: a server takes 5,000 connections by default."""


def take(settings: Settings) -> Json:
    """Measure a thousand viewers, and more and more of them."""
    by.install()
    if settings.quick:
        outcomes = rounds(by.contestants((by.BARE, by.OURS), "broadcast_cost", VIEWERS, QUICK_MESSAGES), QUICK_RUNS)
    else:
        outcomes = rounds(by.contestants(by.EVERYBODY, "broadcast_cost", VIEWERS, MESSAGES), settings.runs)
    cost = figures(outcomes, "ms", lambda run: float(run["cpu_ms"]))
    idle = figures(outcomes, "ms", lambda run: float(run["idle_ms_per_s"]))
    size = figures(outcomes, "B", lambda run: float(run["bytes"]))
    found: Json = {
        "rows": [
            row(f"one frame of 300 B to {VIEWERS:,} viewers, on the server's core", cost, [Goal("≤", 14.0)], unit="ms"),
            row(f"a second without a frame, {VIEWERS:,} viewers", idle, unit="ms"),
            row("the frame, without the head of its transport", size, unit="B"),
        ]
    }
    if not settings.quick:
        found["growth"] = [_growth()]
    return found


def _growth() -> Json:
    lines: dict[str, list[tuple[float, float]]] = {}
    for viewers in GROWTH:
        kinds = (by.BARE, by.WEBSOCKETS, by.OURS)
        for name, outcome in rounds(by.contestants(kinds, "broadcast_cost", viewers, MESSAGES), 1).items():
            lines.setdefault(name, []).extend((viewers, run["cpu_ms"]) for run in outcome.runs)
    return growth("A frame, to more and more viewers", by.drawable(lines), over="viewers", unit="ms", most=1.0)


MEASURE = Measure(
    name="broadcast",
    title="One frame to a thousand viewers",
    words="A server sends the same message to viewers that one process reads from. Taken is the server's processor time, of all "
    "its threads, from outside and for each message, less what it takes in as long a time when nothing is sent: of a run "
    "the median. Peers send 300 bytes as their documentation says, and do nothing else. Ours is the real server: it looks "
    "into the store, reads a step that a training has committed, folds it, builds a frame and sends it; as text of about "
    "that size, and in brief, as our pages ask for it. Every message must have reached every viewer.",
    take=take,
    cheap=True,
)
