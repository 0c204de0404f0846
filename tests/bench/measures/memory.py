"""How much memory a long training takes for being recorded."""

from __future__ import annotations

from tests.bench.harness import Contestant, Outcomes, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json
from tests.bench.measures import recorders as by

PEERS = (by.TRACKIO, by.SWANLAB, by.TENSORBOARD, by.WANDB, by.MLFLOW, by.AIM)

STEPS, LIMIT_S = 1_000_000, 60.0
PEER_STEPS, PEER_LIMIT_S = 100_000, 2.5


def take(settings: Settings) -> Json:
    """Measure a million steps of ours, and as many of the peers' as they get to."""
    everybody = [
        *by.contestants(PEERS, "remembering", after=(PEER_STEPS, PEER_LIMIT_S)),
        Contestant(by.OURS.name, "ours", script("remembering", "ours", STEPS, LIMIT_S), limit_s=2 * LIMIT_S),
    ]
    outcomes = rounds(everybody, settings.runs)
    return {
        "rows": [
            row(
                "memory after 1,000,000 steps (peers: as many as they get to)",
                figures(outcomes, "MB", lambda run: float(run["mb"])),
                [Goal("≤", 10.0)],
                unit="MB",
            ),
            row(
                "the same, a 100,000 steps",
                figures(outcomes, "MB", lambda run: 1e5 * run["mb"] / run["steps"]),
                unit="MB",
            ),
            row(
                "steps recorded for it",
                figures(outcomes, "steps", lambda run: float(run["steps"])),
                unit="steps",
                more=True,
            ),
        ],
        "growth": [_growth(outcomes)],
    }


def _growth(outcomes: Outcomes) -> Json:
    """Take the first runs' decades, and one more of ours to ten million."""
    long = Contestant(by.OURS.name, "ours", script("remembering", "ours", 10 * STEPS, 3 * LIMIT_S), limit_s=4 * LIMIT_S)
    runs = {name: outcome.runs for name, outcome in outcomes.items()} | {
        by.OURS.name: rounds([long], 1)[by.OURS.name].runs
    }
    lines = {name: found[0]["decades"] for name, found in runs.items() if found}
    return growth("All that is resident", lines, over="steps", unit="MB", most=0.0)


MEASURE = Measure(
    name="memory",
    title="Memory",
    words="What is resident after the last step beyond what was after the first thousand, all processes of the training together. "
    "Ours records a million steps of four scalars; peers record for 2.5 seconds, at most 100,000 steps: the last table "
    "says how many.",
    take=take,
)
