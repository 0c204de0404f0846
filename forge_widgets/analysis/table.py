"""Rows in columns: the step rows of one attempt as they are read, eight bytes and one flag a value.

Grows by blocks and rows in the order of the log; a metric that comes later is filled up in front. History reads it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping

from forge_widgets.core.metrics import DEFAULTS
from forge_widgets.core.steps import StepBlock


class TableColumn:
    """One metric of a table."""

    __slots__ = ("present", "values")

    def __init__(self) -> None:
        # One double a row; NaN stands where the row has none.
        self.values: array[float] = array("d")
        # One byte a row, 1 where the row has the metric: tells a recorded NaN from none.
        self.present = bytearray()

    def fill(self, rows: int) -> None:
        """Fill up to so many rows with rows that don't have the metric."""
        missing = rows - len(self.values)
        if missing > 0:
            self.values.extend(array("d", [math.nan]) * missing)
            self.present.extend(bytes(missing))

    def whole(self) -> bool:
        """Say whether every row has the metric and all of it are whole numbers."""
        return 0 not in self.present and all(value.is_integer() for value in self.values)


class Table:
    """The step rows of one attempt."""

    __slots__ = ("_columns", "thinned", "timestamps")

    def __init__(self) -> None:
        # Seconds since the epoch, one a row.
        self.timestamps: array[float] = array("d")
        # Rows that producers had to drop at a full ring.
        self.thinned = 0
        self._columns: dict[str, TableColumn] = {}

    def __len__(self) -> int:
        return len(self.timestamps)

    def add_block(self, block: StepBlock) -> None:
        """Take the rows of a block."""
        before = len(self)
        self.timestamps.extend(block.timestamps)
        self.thinned += block.thinned
        for name, column in block.columns.items():
            kept = self._grown(name, before)
            kept.values.extend(column.values)
            kept.present.extend(column.present or b"\x01" * len(block))
            if column.present is not None:
                for index, there in enumerate(column.present, before):
                    if not there:
                        kept.values[index] = math.nan

    def add_row(self, timestamp: float, metrics: Mapping[str, float]) -> None:
        """Take one row."""
        before = len(self)
        self.timestamps.append(timestamp)
        for name, value in metrics.items():
            kept = self._grown(name, before)
            kept.values.append(value)
            kept.present.append(1)

    def complete(self, name: str, value: float | None = None) -> None:
        """Make sure that a column is there, and where a value is given, that every row has one."""
        column = self._grown(name, len(self))
        if value is not None:
            for index, there in enumerate(column.present):
                if not there:
                    column.values[index], column.present[index] = value, 1

    def column(self, name: str) -> TableColumn:
        """Return a metric with a value for every row. Raises KeyError for one that no row has."""
        column = self._columns[name]
        column.fill(len(self))
        return column

    def names(self) -> list[str]:
        """Return the metrics that were recorded: the contract's in its order, then the user's as they came."""
        known = [name for name in DEFAULTS if name in self._columns]
        return known + [name for name in self._columns if name not in DEFAULTS]

    def _grown(self, name: str, rows: int) -> TableColumn:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = TableColumn()
        column.fill(rows)
        return column
