"""From the training's call to another process's WebSocket."""

from __future__ import annotations

from tests.bench.harness import Contestant, Outcomes, rounds, script
from tests.bench.measure import Goal, Measure, Settings, row
from tests.bench.measured import Json
from tests.bench.measures.watching import pooled

QUIET_S, BUSY_S = 10.0, 5.0
MANY = 200

_OURS, _ROWS, _POLLED = "forge_widgets", "forge_widgets, every row asked for", "polling once a second"
_FLOOR = "commit, look-up, socket"


def take(settings: Settings) -> Json:
    """Measure one viewer and many, a quiet training and a busy one."""
    return {"rows": [*_quiet(settings.runs), *_busy(settings.runs)]}


def _quiet(runs: int) -> list[Json]:
    one = rounds(
        [
            Contestant(_FLOOR, "floor", script("commit_delay", 50)),
            Contestant(_POLLED, "peer", script("stream_delay", "polling 1", "quiet", 1, QUIET_S)),
            Contestant(_OURS, "ours", script("stream_delay", "outline", "quiet", 1, QUIET_S)),
        ],
        runs,
    )
    many = rounds([Contestant(_OURS, "ours", script("stream_delay", "outline", "quiet", MANY, QUIET_S))], runs)
    goals = [Goal("≤", 25.0), Goal("≤", 50.0, part="p99")]
    return [
        row("a step after a quiet second, 1 viewer", pooled(one, "ms", "every"), goals, unit="ms"),
        row(f"a step after a quiet second, {MANY} viewers", pooled(many, "ms", "every"), goals, unit="ms"),
    ]


def _busy(runs: int) -> list[Json]:
    one = rounds(
        [
            Contestant(_POLLED, "peer", script("stream_delay", "polling 1", 100, 1, BUSY_S)),
            Contestant(_OURS, "ours", script("stream_delay", "outline", 100, 1, BUSY_S)),
            Contestant(_ROWS, "aside", script("stream_delay", "rows", 100, 1, BUSY_S)),
        ],
        runs,
    )
    many = rounds(
        [
            Contestant(_OURS, "ours", script("stream_delay", "outline", 100, MANY, BUSY_S)),
            Contestant(_ROWS, "aside", script("stream_delay", "rows", 100, MANY, BUSY_S)),
        ],
        runs,
    )
    return [*_rows(one, "1 viewer"), *_rows(many, f"{MANY} viewers")]


def _rows(outcomes: Outcomes, viewers: str) -> list[Json]:
    # What a poll answers is as new as any frame: what it costs to poll is seen at all that lies between two.
    frames = {name: outcome for name, outcome in outcomes.items() if name != _POLLED}
    newest, every = pooled(frames, "ms", "newest"), pooled(outcomes, "ms", "every")
    return [
        row(f"100 steps/s, the newest row of a frame, {viewers}", newest, [Goal("≤", 25.0)], unit="ms"),
        row(f"100 steps/s, every row, {viewers}", every, [Goal("≤", 100.0, part="p99")], unit="ms"),
    ]


MEASURE = Measure(
    name="delay",
    title="From the training to a viewer",
    words="A training in a process of its own records by our hooks into the store on the disk; `forge-widgets serve` in another; "
    "viewers in a third, on WebSockets, as our pages ask for frames. The moment is that of `emit_step_update`, and that at "
    "which a viewer has the frame, by the same clock. Every sample of all runs counts. A row counts as there when a frame "
    "arrives that stands for it: in an outline that is the newest row, exact, and what the others were between. Polling "
    "asks `GET api/progress/ID` once a second. The floor is a row committed to SQLite, looked up and sent over a socket, "
    "with nobody waiting for anything.",
    take=take,
)
