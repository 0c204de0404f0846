"""How much slower a training is for being recorded."""

from __future__ import annotations

from tests.bench.harness import figures, rounds
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json
from tests.bench.measures import recorders as by

EVERYBODY = (by.NOBODY, by.POLLED, by.TRACKIO, by.TENSORBOARD, by.WANDB, by.OURS)
QUICK = (by.NOBODY, by.OURS)

LOOPS = {"numpy": "NumPy", "python": "pure Python"}
SECONDS = 3.0
RATES = (100, 300, 1_000, 3_000)


def take(settings: Settings) -> Json:
    """Measure both loops."""
    chosen = QUICK if settings.quick else EVERYBODY
    rows = []
    for loop, words in LOOPS.items():
        outcomes = rounds(by.contestants(chosen, "training", before=(loop,), after=(SECONDS,)), settings.runs)
        slower = figures(outcomes, "%", lambda run: float(run["slower"]))
        core = figures(outcomes, "%", lambda run: float(run["core"]))
        rows.append(row(f"a {words} loop at 1,000 steps/s: slower by", slower, [Goal("≤", 1.0)], unit="%"))
        rows.append(row(f"a {words} loop at 1,000 steps/s: more of a core", core, unit="%"))
    return {"rows": rows} if settings.quick else {"rows": rows, "growth": [_growth()]}


def _growth() -> Json:
    """See what recording takes of a core at more and more steps a second."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for loop, words in LOOPS.items():
        for rate in RATES:
            (outcome,) = rounds(
                by.contestants((by.OURS,), "training", before=(loop,), after=(SECONDS, rate)), 1
            ).values()
            lines.setdefault(f"{words} loop", []).extend((float(rate), float(run["core"])) for run in outcome.runs)
    return growth("What recording takes of a core", lines, over="steps a second", unit="%", most=1.0)


MEASURE = Measure(
    name="slowed",
    title="A training, slowed",
    words="A loop of a millisecond a step records four scalars with each. Stretches of a tenth of a second with and without "
    "recording take turns in one process, in an order that changes, and each is compared with the one beside it; what was "
    "recorded comes to rest between them. With nobody who records, what is left is the noise. More of a core counts all threads "
    "and processes of the training, and what comes to rest after the stretch.",
    take=take,
    cheap=True,
)
