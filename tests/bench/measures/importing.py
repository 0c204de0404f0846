"""How long it takes until a script that imports it can begin."""

from __future__ import annotations

from tests.bench.harness import Contestant, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, row
from tests.bench.measured import Json

CONTESTANTS = (
    Contestant("python -c pass", "floor", ("-c", "pass")),
    Contestant("trackio", "peer", ("-c", "import trackio"), "trackio"),
    Contestant("W&B", "peer", ("-c", "import wandb"), "wandb"),
    Contestant("tqdm", "peer", ("-c", "import tqdm"), "tqdm"),
    Contestant("forge_widgets", "ours", ("-c", "import forge_widgets")),
    Contestant("forge_widgets, hooks made, first step durable", "aside", script("first_step")),
)


def take(settings: Settings) -> Json:
    """Measure whole processes, from their start to their end."""
    chosen = [one for one in CONTESTANTS if not (settings.quick and one.peer)]
    outcomes = rounds(chosen, 2 * settings.runs)
    wall = figures(outcomes, "ms", lambda run: 1000.0 * run["wall_s"])
    core = figures(outcomes, "ms", lambda run: 1000.0 * run["cpu_s"])
    return {
        "rows": [
            row("`import forge_widgets`", wall, [Goal("≤", 50.0)], unit="ms"),
            row("the same, on a core", core, unit="ms"),
        ]
    }


MEASURE = Measure(
    name="import",
    title="`import forge_widgets`",
    words="A Python that imports the package and ends: the whole process, from start to end, the interpreter's own included. "
    "Public names are loaded on first use: so a process that makes hooks, records a step and waits until that is on the disk "
    "stands beside it.",
    take=take,
    cheap=True,
)
