"""What rows take on the disk: ``disk KEEPER ROWS BLOCK PRECISION``; KEEPER is ``json``, ``ours`` or ``compacted``.

``ours`` appends blocks of so many rows, a commit each, as a publisher does at 40 commits a second; ``compacted`` lets the
store work on them afterwards, as it does by itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from forge_widgets.stores import open_store
from forge_widgets.stores.sqlite import SqliteStore
from tests.bench.contestants.columns import Precision, columns
from tests.bench.contestants.keepers.sqlite import database
from tests.bench.contestants.session import fill

COMMITS_A_S = 40


def main(keeper: str, rows: int, block_rows: int, precision: Precision) -> None:
    """Append, close, and print bytes a row."""
    rate = float(COMMITS_A_S * block_rows) if block_rows > 1 else 10.0
    if keeper == "json":
        taken = _as_json(rows, precision, rate)
    else:
        taken = _by_us(rows, block_rows, precision, rate, compacted=keeper == "compacted")
    print(json.dumps({"bytes": taken / rows}))


def _as_json(rows: int, precision: Precision, rate: float) -> int:
    """A row a JSON object, as it would go over the wire: the contract's names, and the time as text."""
    connection = database()
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, body TEXT)")
    made = columns(1, rows, precision=precision, rate=rate)
    names = tuple(made)
    bodies = (
        (json.dumps({"sessionId": "bench", "eventType": "step_update", "metrics": dict(zip(names, row, strict=True))}),)
        for row in zip(*made.values(), strict=True)
    )
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO events (body) VALUES (?)", bodies)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return Path("rows.sqlite").stat().st_size


def _by_us(rows: int, block_rows: int, precision: Precision, rate: float, *, compacted: bool) -> int:
    store = open_store("store")
    assert isinstance(store, SqliteStore)
    fill(store, "bench", rows, block_rows=block_rows, blocks=1, precision=precision, rate=rate)
    while compacted and store.compact("bench", whole=True):
        pass
    store.close()
    return store.bytes_on_disk("bench")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "float64" if sys.argv[4] == "float64" else "float32")
