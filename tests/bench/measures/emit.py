"""What one step costs the loop that records it."""

from __future__ import annotations

from tests.bench.harness import Contestant, Outcomes, Role, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json

RECORDERS: tuple[tuple[str, Role, str, str], ...] = (
    ("call with `**metrics`, clock, deque", "floor", "floor", ""),
    ("the same with an explicit signature", "aside", "floor_explicit", ""),
    ("tqdm `update`", "aside", "tqdm_update", "tqdm"),
    ("tqdm `set_postfix`", "aside", "tqdm_postfix", "tqdm"),
    ("trackio", "peer", "trackio_log", "trackio"),
    ("SwanLab", "peer", "swanlab_log", "swanlab"),
    ("TensorBoard", "peer", "tensorboard_scalars", "tensorboard"),
    ("W&B offline", "peer", "wandb_log", "wandb"),
    ("MLflow async", "peer", "mlflow_log", "mlflow"),
    ("Aim", "peer", "aim_track", "aim"),
    ("forge_widgets", "ours", "ours", ""),
)
"""Name, role, file in contestants/recorders/, environment."""

STEPS, LIMIT_S = 20_000, 1.0
DECADES = (1_000, 10_000, 100_000, 1_000_000)


def contestants(names: tuple[str, ...], of: str, *arguments: object, limit_s: float = 60.0) -> list[Contestant]:
    """Make contestants of recorders: the script ``of`` with each recorder and what else it is called with."""
    return [
        Contestant(name, role, script(of, recorder, *arguments), peer, limit_s)
        for name, role, recorder, peer in RECORDERS
        if recorder in names
    ]


def take(settings: Settings) -> Json:
    """Measure bursts of steps, and what a step costs in runs of more and more of them."""
    everybody = tuple(recorder for _, _, recorder, _ in RECORDERS)
    # The slow peers change nothing of what `make bench-quick` compares.
    some = ("floor", "tqdm_postfix", "trackio_log", "ours")
    outcomes = rounds(contestants(some if settings.quick else everybody, "emitting", STEPS, LIMIT_S), settings.runs)
    found: Json = {"rows": _rows(outcomes)}
    if not settings.quick:
        found["growth"] = [_growth()]
    return found


def _rows(outcomes: Outcomes) -> list[Json]:
    goals = [Goal("≤", 1.3, "floor"), Goal("≥", 30.0, "peers")]
    return [
        row("one step with 4 scalars, in the training's thread", _of(outcomes, "wall_us"), goals, unit="µs"),
        row("a core's time of that step, all threads of the process", _of(outcomes, "core_us"), unit="µs"),
    ]


def _of(outcomes: Outcomes, field: str) -> Json:
    return figures(outcomes, "µs", lambda run: float(run[field]))


def _growth() -> Json:
    lines: dict[str, list[tuple[float, float]]] = {}
    for steps in DECADES:
        found = rounds(contestants(("floor", "trackio_log", "ours"), "emitting", steps, 20.0), 1)
        for name, outcome in found.items():
            points = lines.setdefault(name, [])
            points.extend((run["steps"], run["wall_us"]) for run in outcome.runs)
    return growth("One step, in runs of more and more steps", lines, over="steps", unit="µs", most=0.0)


MEASURE = Measure(
    name="emit",
    title="One step",
    words="A loop records steps of four scalars in bursts of 500 (fewer where a step is slow); between them what was recorded "
    "comes to rest, outside the time taken, so that nothing is fast because a ring dropped it. Peers record into local folders. "
    "tqdm stands beside them: it shows, and records nothing.",
    take=take,
    cheap=True,
)
