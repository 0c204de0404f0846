"""Curves of one session's log, read of as little of it as a picture needs: overviews where there are many rows, rows where few.

Works on a session file's connection within its transaction, called by session_file alone. What it reads grows with the points
that are asked for, not with the length of the log: 1,000,000 rows take as long as 10,000,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
from msgspec import Struct

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.downsampling import Lines, Points, gather, points_of, points_of_overview
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.overview import BUCKET_ROWS, FAN_OUT, decode_overview
from forge_widgets.stores import codec


class _Place(Struct, frozen=True):
    """Where an overview lies, and what it stands for."""

    first: int
    last: int
    rows: int
    low: float
    high: float


class CurveReader:
    """One question about one log."""

    def __init__(self, connection: apsw.Connection, attempt: int, query: SeriesQuery) -> None:
        self._connection = connection
        self._attempt = attempt
        self._query = query
        # Columns that are read of rows; None: all.
        self._only = None if query.metrics is None else COORDINATES | set(query.metrics)

    def lines(self, floor: int, top: int) -> Lines:
        """Return the points of each line, several times as many as were asked for where there are so many."""
        return gather(self._between(floor, top, self._level()))

    def _level(self) -> int:
        """Return the highest level whose buckets, two points each, give as many as are asked for; -1: rows."""
        levels = self._rows("SELECT max(level) FROM overviews")[0][0]
        for level in range(-1 if levels is None else levels, -1, -1):
            wanted = sum(place.rows for place in self._places(level, 0, 2**62) if self._is_wanted(place))
            if 2 * wanted >= self._query.max_points * BUCKET_ROWS * FAN_OUT**level:
                return level
        return -1

    def _between(self, first: int, last: int, level: int) -> Iterator[tuple[str, int, Points]]:
        """Yield the points between two offsets, of overviews of a level; what these leave out, of the next below."""
        if first > last:
            return
        if level < 0:
            yield from self._of_rows(first, last)
            return
        at = first
        for place in self._places(level, first, last):
            yield from self._between(at, place.first - 1, level - 1)
            if self._is_wanted(place):
                yield from self._of_overview(level, place)
            at = place.last + 1
        yield from self._between(at, last, level - 1)

    def _of_overview(self, level: int, place: _Place) -> Iterator[tuple[str, int, Points]]:
        body = self._rows("SELECT body FROM overviews WHERE level = ? AND first = ?", level, place.first)[0][0]
        return points_of_overview(decode_overview(body), self._attempt, self._query)

    def _of_rows(self, first: int, last: int) -> Iterator[tuple[str, int, Points]]:
        """Yield the points of records; those that an overview says lie elsewhere on the axis are not read."""
        at = first
        for place in self._places(0, first, last):
            if not self._is_wanted(place):
                yield from self._of_records(at, place.first - 1)
                at = place.last + 1
        yield from self._of_records(at, last)

    def _of_records(self, first: int, last: int) -> Iterator[tuple[str, int, Points]]:
        for row in self._rows(
            "SELECT offset, attempt, kind, producer, sequence, body FROM records"
            " WHERE offset BETWEEN ? AND ? AND attempt = ? ORDER BY offset",
            first, last, self._attempt,
        ):  # fmt: skip
            yield from points_of(codec.decode_record(row, self._only), self._query)

    def _places(self, level: int, first: int, last: int) -> list[_Place]:
        found = self._rows(
            "SELECT first, last, rows, low, high FROM overviews WHERE level = ? AND first >= ? AND last <= ? ORDER BY first",
            level, first, last,
        )  # fmt: skip
        return [_Place(*row) for row in found]

    def _is_wanted(self, place: _Place) -> bool:
        return self._query.overlaps(place.low, place.high)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()
