"""What a commit of 100 rows takes in a store that holds much: ``commits length ROWS`` or ``commits sessions COUNT``.

In one session that has so many rows already; or in so many sessions, which take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from forge_widgets.core.events import Batch, Producer
from forge_widgets.stores import open_store
from tests.bench.contestants.columns import columns
from tests.bench.contestants.session import block, fill, start

ROWS = 100
COMMITS = 300


def main(what: str, amount: int) -> None:
    """Fill, commit, and print what a commit took."""
    store = open_store("store")
    if what == "length":
        fill(store, "bench-0", amount)
    names = [f"bench-{number}" for number in range(amount if what == "sessions" else 1)]
    producer = Producer(id="p1")
    for name in names:
        start(store, name, producer)
    made = block(columns(1, ROWS))
    turns = max(2, COMMITS // len(names))
    took: list[float] = []
    used = 0.0
    for turn in range(turns):
        if turn == 1:
            # The first commit to each opens its file, or makes it.
            took, used = [], time.process_time()
        for name in names:
            began = time.perf_counter()
            store.append(name, Batch(producer=producer, sequence=2 + turn * ROWS, bodies=[made]))
            took.append(time.perf_counter() - began)
    used = time.process_time() - used
    print(json.dumps({"commit_us": 1e6 * statistics.median(took), "core_us": 1e6 * used / len(took)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
