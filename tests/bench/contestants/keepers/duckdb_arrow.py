"""DuckDB, a block a statement, by Arrow."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from tests.bench.contestants.keepers import Append, Columns
from tests.bench.contestants.keepers.duckdb_rows import TABLE


def opened() -> Append:
    connection = duckdb.connect("rows.duckdb")
    connection.execute(TABLE)

    def append(blocks: Sequence[Columns]) -> None:
        connection.begin()
        for block in blocks:
            connection.register("block", pa.table({name: np.frombuffer(values) for name, values in block.items()}))
            connection.execute("INSERT INTO rows SELECT * FROM block")
        connection.commit()

    return append
