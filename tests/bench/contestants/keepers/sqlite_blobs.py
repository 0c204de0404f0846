"""SQLite, a block of columns a row, and nothing else: no offsets, no producers, no state."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.contestants.keepers import Append, Columns
from tests.bench.contestants.keepers.sqlite import database


def opened() -> Append:
    connection = database()
    connection.execute("CREATE TABLE blocks (id INTEGER PRIMARY KEY, body BLOB)")

    def append(blocks: Sequence[Columns]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        bodies = ((b"".join(block.values()),) for block in blocks)
        connection.executemany("INSERT INTO blocks (body) VALUES (?)", bodies)
        connection.execute("COMMIT")

    return append
