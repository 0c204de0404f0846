"""How many rows a second a store takes, durably."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.harness import Contestant, Role, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json

KEEPERS: tuple[tuple[str, Role, str, str], ...] = (
    ("plain file, fdatasync", "floor", "plain_file", ""),
    ("SQLite, blobs of 100 rows", "peer", "sqlite_blobs", ""),
    ("SQLite, rows", "peer", "sqlite_rows", ""),
    ("Redis XADD", "peer", "redis_stream", "redis"),
    ("DuckDB, rows", "peer", "duckdb_rows", "duckdb"),
    ("DuckDB, Arrow", "peer", "duckdb_arrow", "duckdb"),
    ("forge_widgets", "ours", "ours", ""),
)
"""Name, role, file in contestants/keepers/, environment."""

QUICK = ("plain_file", "sqlite_blobs", "ours")

SECONDS = 1.0
LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
SESSIONS = (1, 10, 100, 1_000)


def take(settings: Settings) -> Json:
    """Measure one block a commit, and ten."""
    keepers = QUICK if settings.quick else tuple(file for _, _, file, _ in KEEPERS)
    one = rounds(_contestants(keepers, 1), settings.runs)
    ten = rounds(_contestants(keepers, 10), settings.runs)
    found: Json = {
        "rows": [
            row(
                "rows into the store, durable, a block of 100 a commit",
                figures(one, "rows/s", lambda run: float(run["rows_a_s"])),
                [Goal("≥", 1.0, "floor")],
                unit="rows/s",
                more=True,
            ),
            row(
                "rows into the store, durable, ten such blocks a commit",
                figures(ten, "rows/s", lambda run: float(run["rows_a_s"])),
                [Goal("≥", 700_000.0)],
                unit="rows/s",
                more=True,
            ),
            row(
                "a core's time of a row, a block of 100 a commit",
                figures(one, "µs", lambda run: run["core_us"]),
                unit="µs",
            ),
        ]
    }
    if not settings.quick:
        found["growth"] = [_growth("length", LENGTHS, "rows"), _growth("sessions", SESSIONS, "sessions")]
    return found


def _contestants(keepers: Sequence[str], blocks: int) -> list[Contestant]:
    return [
        Contestant(name, role, script("keeping", file, blocks, SECONDS), peer)
        for name, role, file, peer in KEEPERS
        if file in keepers
    ]


def _growth(what: str, amounts: Sequence[int], over: str) -> Json:
    """See what a commit takes in a store of more and more."""
    everybody = [Contestant(str(amount), "ours", script("commits", what, amount), limit_s=240.0) for amount in amounts]
    found = rounds(everybody, 1)
    lines = {
        words: [(float(amount), float(run[field])) for amount in amounts for run in found[str(amount)].runs]
        for words, field in (("a commit", "commit_us"), ("a core's time of it", "core_us"))
    }
    said = {
        "rows": "A commit of 100 rows to a session of more and more",
        "sessions": "The same, taking turns among sessions",
    }
    return growth(said[over], lines, over=over, unit="µs", most=0.0)


MEASURE = Measure(
    name="rows",
    title="Rows into the store",
    words="One producer appends rows of a time, a step and four metrics, for a second: a hundred a commit, and a thousand. Each "
    "commit is on the disk before the next begins (`synchronous=FULL`, `appendfsync always`). The blobs are what SQLite takes "
    "for the bytes alone; ours adds offsets, producers, attempts and the state.",
    take=take,
    cheap=True,
)
