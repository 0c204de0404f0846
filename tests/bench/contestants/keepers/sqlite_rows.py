"""SQLite, a row a row."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.contestants.keepers import Append, Columns
from tests.bench.contestants.keepers.sqlite import database


def opened() -> Append:
    connection = database()
    connection.execute("CREATE TABLE rows (moment REAL, step REAL, loss REAL, accuracy REAL, rate REAL, norm REAL)")

    def append(blocks: Sequence[Columns]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for block in blocks:
            rows = zip(*block.values(), strict=True)
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")

    return append
