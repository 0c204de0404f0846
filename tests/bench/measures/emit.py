"""What one step costs the loop that records it."""

from __future__ import annotations

from tests.bench.harness import Outcomes, figures, rounds
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json
from tests.bench.measures import recorders as by

EVERYBODY = (
    by.FLOOR,
    by.BARE,
    by.EXPLICIT,
    by.TQDM_UPDATE,
    by.TQDM_POSTFIX,
    by.TRACKIO,
    by.SWANLAB,
    by.TENSORBOARD,
    by.WANDB,
    by.MLFLOW,
    by.AIM,
    by.OURS,
)
QUICK = (by.FLOOR, by.OURS)
GROWING = (by.FLOOR, by.TRACKIO, by.OURS)

STEPS, LIMIT_S = 20_000, 0.7
DECADES, DECADE_LIMIT_S = (1_000, 10_000, 100_000, 1_000_000), 6.0


def take(settings: Settings) -> Json:
    """Measure bursts of steps, and what a step costs in runs of more and more of them."""
    chosen = QUICK if settings.quick else EVERYBODY
    common = rounds(by.contestants(chosen, "emitting", after=(STEPS, LIMIT_S)), settings.runs)
    own = rounds(by.contestants((by.FLOOR, by.OURS), "emitting", after=(STEPS, LIMIT_S, "own")), settings.runs)
    found: Json = {"rows": _rows(common, own)}
    if not settings.quick:
        found["growth"] = [_growth()]
    return found


def _rows(common: Outcomes, own: Outcomes) -> list[Json]:
    goals = [Goal("≤", 1.3, "floor"), Goal("≥", 30.0, "peers")]
    return [
        row("one step with 4 scalars, in the training's thread", _of(common, "wall_us"), goals, unit="µs"),
        row("a step with a loss and 3 scalars of names of its own", _of(own, "wall_us"), unit="µs"),
        row("a core's time of the first, all threads of the process", _of(common, "core_us"), unit="µs"),
    ]


def _of(outcomes: Outcomes, field: str) -> Json:
    return figures(outcomes, "µs", lambda run: float(run[field]))


def _growth() -> Json:
    lines: dict[str, list[tuple[float, float]]] = {}
    for steps in DECADES:
        found = rounds(by.contestants(GROWING, "emitting", after=(steps, DECADE_LIMIT_S)), 1)
        for name, outcome in found.items():
            points = lines.setdefault(name, [])
            points.extend((run["steps"], run["wall_us"]) for run in outcome.runs)
    return growth("One step, in runs of more and more steps", lines, over="steps", unit="µs", most=0.0)


MEASURE = Measure(
    name="emit",
    title="One step",
    words="A loop records steps of four scalars (loss, accuracy, learning rate, norm of the gradients) in bursts of 500, fewer "
    "where a step is slow; between them what was recorded comes to rest, outside the time taken, so that nothing is fast because "
    "a ring dropped it. The floor is a method of the contract's signature that appends all of it to a deque, with the time; "
    "functions that need no object, and know less or all of the names, stand beside it. Peers record into local folders. tqdm "
    "stands beside them: it shows, and records nothing.",
    take=take,
    cheap=True,
)
