"""How many bytes a row takes on the disk."""

from __future__ import annotations

from tests.bench.harness import Contestant, Role, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json

ROWS, SLOW_ROWS = 20_000, 2_000
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)

KEEPERS: tuple[tuple[str, Role, str, int, int], ...] = (
    ("JSON rows in SQLite", "peer", "json", ROWS, 25),
    ("as recorded at 1,000 steps/s", "aside", "ours", ROWS, 25),
    ("as recorded at 10 steps/s", "aside", "ours", SLOW_ROWS, 1),
    ("10 steps/s, compacted", "aside", "compacted", SLOW_ROWS, 1),
    ("forge_widgets, compacted", "ours", "compacted", ROWS, 25),
)
"""Name, role, keeper of contestants/disk.py, how many rows, and how many of them a block."""

PRECISIONS = {"float32": "single precision, as frameworks give them", "float64": "noise in every digit"}


def take(settings: Settings) -> Json:
    """Measure both kinds of values."""
    # The same bytes each time, give or take the times of the rows.
    runs = 1 if settings.quick else settings.runs
    found: Json = {"rows": [_row(precision, words, runs) for precision, words in PRECISIONS.items()]}
    if not settings.quick:
        found["growth"] = [_growth()]
    return found


def _row(precision: str, words: str, runs: int) -> Json:
    everybody = [
        Contestant(name, role, script("disk", keeper, rows, block_rows, precision), limit_s=120.0)
        for name, role, keeper, rows, block_rows in KEEPERS
    ]
    found = figures(rounds(everybody, runs), "B", lambda run: float(run["bytes"]))
    # Four metrics of noise are 32 bytes by themselves: nothing can be asked of that.
    goals = [Goal("≤", 20.0)] if precision == "float32" else []
    return row(f"bytes on disk a row of 4 metrics, {words}", found, goals, unit="B")


def _growth() -> Json:
    everybody = [
        Contestant(str(rows), "ours", script("disk", "compacted", rows, 8_192, "float32"), limit_s=120.0)
        for rows in LENGTHS
    ]
    found = rounds(everybody, 1)
    points = [(float(rows), rows * run["bytes"] / 1e6) for rows in LENGTHS for run in found[str(rows)].runs]
    return growth("All bytes of a session, compacted", {"forge_widgets": points}, over="rows", unit="MB", most=1.0)


MEASURE = Measure(
    name="disk",
    title="Bytes on the disk",
    words=f"A session of {ROWS:,} rows (at 10 steps/s {SLOW_ROWS:,}: what the file itself takes weighs more there) of a time, a "
    "step and four metrics: all of its file once it is closed, indexes and state included. A loss falls, with noise; so does an "
    "accuracy rise; a learning rate falls smoothly; a norm is noise.",
    take=take,
    cheap=True,
)
