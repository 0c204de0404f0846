"""How long it takes to open a long session: from the request to its curves, and until they are drawn."""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.harness import SCRATCH, Contestant, Failed, Outcome, figures, run, script, serving
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json, Spread

SHORTEST = 1_000
LENGTHS = (SHORTEST, 10_000, 100_000, 1_000_000, 10_000_000)
QUICK_LENGTHS = (SHORTEST, 1_000_000)
GOALS_MS = {1_000_000: 50.0, 10_000_000: 150.0}
PAINT_MS = 300.0
METRICS = "loss,accuracy,learningRate,gradNorm"
TIMES = 6
FILL_LIMIT_S = 600.0
PAINT_LIMIT_MS = 20_000.0


def take(settings: Settings) -> Json:
    """Fill a store, and open its sessions, each time by a server that has just come up."""
    lengths = QUICK_LENGTHS if settings.quick else LENGTHS
    with _filled(lengths) as store:
        opened = {length: _opened(store, length, settings.runs) for length in lengths}
        rows = [line for length in lengths if length in GOALS_MS for line in _rows(length, opened[length])]
        if settings.quick:
            return {"rows": rows}
        rows.append(_painted(store, settings.runs))
    lines = {
        words: [(float(length), _middle(outcome, field)) for length, outcome in opened.items() if outcome.runs]
        for words, field in (("the first time", "first_ms"), ("again", "again_ms"))
    }
    words = "Four curves of 2,000 points, of more and more rows"
    return {"rows": rows, "growth": [growth(words, lines, over="rows", unit="ms", most=0.0)]}


def _middle(outcome: Outcome, field: str) -> float:
    return statistics.median(float(found[field]) for found in outcome.runs)


@contextmanager
def _filled(lengths: Sequence[int]) -> Iterator[Path]:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        run(Contestant("filling", "aside", script("filling", folder, *lengths), limit_s=FILL_LIMIT_S))
        yield Path(folder)


def _opened(store: Path, rows: int, runs: int) -> Outcome:
    """Open a session of so many rows by a fresh server, run by run."""
    command = ("-m", "forge_widgets.cli", "serve", "--open", "--port", "0", "--store", str(store))
    outcome = Outcome(Contestant("forge_widgets", "ours", command, limit_s=120.0))
    try:
        for _ in range(runs):
            with serving(outcome.contestant) as server:
                url = re.search(r"http://127\.0\.0\.1:\d+/", server.said)
                if url is None:
                    raise Failed(f"the server said {server.said!r}")
                outcome.runs.append(
                    run(Contestant("", "ours", script("opening", url[0], SHORTEST, rows, METRICS, TIMES)))
                )
    except Failed as failure:
        outcome.failed = str(failure)
    return outcome


def _rows(length: int, outcome: Outcome) -> list[Json]:
    words = f"open a session of {length:,} steps: 2,000 points of each of 4 metrics"
    first = figures({"forge_widgets": outcome}, "ms", lambda found: float(found["first_ms"]))
    again = figures({"asked again": outcome}, "ms", lambda found: float(found["again_ms"]))
    fresh = figures(
        {f"the first answer of the server, about {SHORTEST:,} steps": outcome},
        "ms",
        lambda found: float(found["fresh_ms"]),
    )
    beside = {name: {**figure, "role": "aside"} for name, figure in (again | fresh).items()}
    size = figures({"forge_widgets": outcome}, "KB", lambda found: found["bytes"] / 1000.0)
    return [
        row(words, first | beside, [Goal("≤", GOALS_MS[length])], unit="ms"),
        row(f"{words}, bytes", size, unit="KB"),
    ]


def _painted(store: Path, runs: int) -> Json:
    # Playwright is there where the tests are; only this needs it.
    from tests.bench.stage import stage

    longest = max(LENGTHS)
    took = []
    with stage(store) as set_up:
        for _ in range(runs + 1):
            with set_up.page("cell.html", str(longest), set_up.port) as page:
                page.wait_for_function("window.painted !== null", timeout=PAINT_LIMIT_MS)
                took.append(float(page.evaluate("window.painted")))
    # The first page warms the server up, as whoever looked before has.
    spread = {"role": "ours", **Spread.of(took[1:], "ms").json()}
    words = f"a cell of a session of {longest:,} steps, from navigation to the curve"
    return row(words, {"forge_widgets": spread}, [Goal("≤", PAINT_MS)], unit="ms")


MEASURE = Measure(
    name="opening",
    title="Opening a long session",
    words="A server is asked for `GET …/series` of a session that it has not read before: four metrics of at most 2,000 points "
    "each, on a connection that is there; from the request until all of the answer has come. It has answered about another "
    "session once, which takes longer: it loads what it needs then. For the paint Chromium opens a page of the widget, with "
    "nothing of it in its cache, from a server that has shown it before: until the frame in which the curve is drawn.",
    take=take,
    cheap=True,
)
