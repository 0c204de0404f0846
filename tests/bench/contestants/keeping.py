"""Keeps rows durably for a while and says how many a second: ``keeping KEEPER BLOCKS SECONDS``, so many blocks of 100 a commit."""

from __future__ import annotations

import json
import sys
import time

from tests.bench.contestants.columns import columns
from tests.bench.contestants.keepers import Columns, opened

ROWS = 100
AHEAD = 1_500_000
"""Rows that are made before the clock runs; a keeper that has had all of them ends early."""


def main(name: str, blocks: int, seconds: float) -> None:
    """Append, and print how fast that was."""
    made = _blocks()
    append = opened(name)
    append(made[:1])
    at, began = 1, time.perf_counter()
    used = time.process_time()
    while at < len(made) and time.perf_counter() - began < seconds:
        append(made[at : at + blocks])
        at += blocks
    took, used = time.perf_counter() - began, time.process_time() - used
    rows = ROWS * (min(at, len(made)) - 1)
    print(json.dumps({"rows": rows, "rows_a_s": rows / took, "core_us": 1e6 * used / rows}))


def _blocks() -> list[Columns]:
    whole = columns(1, AHEAD)
    return [{name: values[at : at + ROWS] for name, values in whole.items()} for at in range(0, AHEAD, ROWS)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
