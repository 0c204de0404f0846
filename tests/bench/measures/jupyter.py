"""What a Jupyter server pays for sessions that record in it: its loop, its core, its memory."""

from __future__ import annotations

from tests.bench.harness import Contestant, Outcomes, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, row
from tests.bench.measured import Json
from tests.bench.measures.watching import pooled

SESSIONS, VIEWERS = 20, 200
LAG_RATE, CORE_RATE = 100, 10
LAG_S, CORE_S = 8.0, 10.0


def take(settings: Settings) -> Json:
    """Measure a server that is watched, and one that is not."""
    late = rounds(
        [
            Contestant("nothing to do", "floor", script("jupyter_lag", "nothing", SESSIONS, LAG_RATE, VIEWERS, LAG_S)),
            Contestant("forge_widgets", "ours", script("jupyter_lag", "ours", SESSIONS, LAG_RATE, VIEWERS, LAG_S)),
        ],
        settings.runs,
    )
    core = rounds(
        [Contestant("forge_widgets", "ours", script("jupyter_core", SESSIONS, CORE_RATE, CORE_S))], settings.runs
    )
    words = f"loop lag, {SESSIONS} sessions × {LAG_RATE} steps/s, {VIEWERS} viewers"
    rows = [
        row(words, pooled(late, "ms", "late"), [Goal("≤", 10.0, part="p99")], unit="ms"),
        row("the same: of a core", figures(late, "%", lambda run: float(run["core"])), unit="%"),
    ]
    return {
        "rows": [*rows, *_core(core, "nobody", "nobody watching", 0.2), *_core(core, "panel", "the panel open", 0.5)]
    }


def _core(outcomes: Outcomes, watching: str, said: str, most: float) -> list[Json]:
    words = f"{SESSIONS} sessions recording, {said}: of a core"
    core = figures(outcomes, "%", lambda run: float(run[watching]["core"]))
    memory = figures(outcomes, "MB", lambda run: float(run[watching]["mb"]))
    return [
        row(words, core, [Goal("≤", most)], unit="%"),
        row(words.replace("of a core", "memory"), memory, [Goal("≤", 25.0)], unit="MB"),
    ]


MEASURE = Measure(
    name="jupyter",
    title="A Jupyter server",
    words="A real `jupyter server` with our extension. For the loop an extension of the benchmark runs a timer every 5 ms in the "
    "same process and says how late each tick was, the ticks that were due while the loop was held up included; two "
    "processes record, a third has the viewers, as our pages ask, ten on each session. For core and memory a server with "
    "our extension runs beside one without it through the same seconds, while 20 sessions record 10 steps a second; the "
    "figures are the difference. The open panel asks for the list of sessions once a second.",
    take=take,
)
