"""What more and more sessions that record cost a server."""

from __future__ import annotations

from tests.bench.harness import Contestant, rounds, script
from tests.bench.measure import Measure, Settings, growth, row
from tests.bench.measured import Json, Spread
from tests.bench.measures.watching import drawable

GROWTH = (1, 10, 100, 1_000)
SECONDS = 6.0


def take(_: Settings) -> Json:
    """Measure once, until it fails."""
    runs: dict[int, Json] = {}
    failed = ""
    for sessions in GROWTH:
        contestant = Contestant("forge_widgets", "ours", script("session_growth", sessions, SECONDS), limit_s=300.0)
        outcome = rounds([contestant], 1)[contestant.name]
        if outcome.failed:
            failed = f"{sessions:,} sessions: {outcome.failed}"
            break
        runs[sessions] = outcome.runs[0]
    return {"rows": _rows(runs, failed), "growth": _growths(runs)}


def _rows(runs: dict[int, Json], failed: str) -> list[Json]:
    words = "{:,} sessions recording, nobody looks: of a core"
    found = []
    for sessions in GROWTH[-2:]:
        figure = Spread.of([runs[sessions]["core_unwatched"]], "%").json() if sessions in runs else {"failed": failed}
        found.append(row(words.format(sessions), {"forge_widgets": {"role": "ours", **figure}}, unit="%"))
    return found


def _growths(runs: dict[int, Json]) -> list[Json]:
    took = {"forge_widgets": [(sessions, found["list_ms"]) for sessions, found in runs.items()]}
    core = {"forge_widgets": [(sessions, found["core_listed"]) for sessions, found in runs.items()]}
    return [
        growth(
            "The list of all sessions, from request to answer", drawable(took), over="sessions", unit="ms", most=1.0
        ),
        growth(
            "A server whose list is asked for once a second",
            drawable(core),
            over="sessions",
            unit="% of a core",
            most=1.0,
        ),
    ]


MEASURE = Measure(
    name="sessions",
    title="More and more sessions",
    words="Sessions that record a step in ten seconds each, all in one process by hooks of their own, and the stand-alone server: "
    "its processor time while nobody looks, and while somebody asks for the list of all once a second; and how long that takes.",
    take=take,
)
