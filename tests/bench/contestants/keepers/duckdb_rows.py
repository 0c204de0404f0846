"""DuckDB, a row a row."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from tests.bench.contestants.keepers import Append, Columns

TABLE = "CREATE TABLE rows (moment DOUBLE, step DOUBLE, loss DOUBLE, accuracy DOUBLE, rate DOUBLE, norm DOUBLE)"


def opened() -> Append:
    connection = duckdb.connect("rows.duckdb")
    connection.execute(TABLE)

    def append(blocks: Sequence[Columns]) -> None:
        connection.begin()
        for block in blocks:
            rows = list(zip(*block.values(), strict=True))
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()

    return append
