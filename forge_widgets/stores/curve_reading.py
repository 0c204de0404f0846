"""Curves of one session's log, read of as little of it as a picture needs: overviews where there are many rows, rows where few.

Works on a session file's connection within its transaction, called by session_file alone. What it reads grows with the points
that are asked for, not with the length of the log: 1,000,000 rows take as long as 10,000,000.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import apsw
from msgspec import Struct

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.downsampling import Lines, Points, gather, points_of, points_of_overview
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.overview import BUCKET_ROWS, FAN_OUT, Overview, decode_overview, rows_of, steps_of
from forge_widgets.errors import InvalidInput
from forge_widgets.stores import codec

MOST_APART = 32
"""Overviews that are read more finely because what is asked for begins or ends in them: two a level, where steps only rise.
Where they go back again and again it might be all of them; then buckets at the ends are drawn by those extremes that lie inside."""

_log = logging.getLogger(__name__)


class _Place(Struct, frozen=True):
    """Where an overview lies, and what it stands for."""

    first: int
    last: int
    rows: int
    low: float
    high: float


_PLACE = (int, int, int, float, float)


class CurveReader:
    """One question about one log."""

    def __init__(self, connection: apsw.Connection, attempt: int, query: SeriesQuery) -> None:
        self._connection = connection
        self._attempt = attempt
        self._query = query
        # Columns that are read of rows; None: all.
        self._only = None if query.metrics is None else COORDINATES | set(query.metrics)
        # A file of an older release that nobody has written to since has no overviews.
        self._has_overviews = bool(self._rows("SELECT 1 FROM sqlite_schema WHERE name = 'overviews'"))
        self._apart = 0

    def lines(self, floor: int, top: int) -> Lines:
        """Return the points of each line, several times as many as were asked for where there are so many."""
        return gather(self._between(floor, top, self._level()))

    def _level(self) -> int:
        """Return the highest level whose buckets, two points each, give as many as are asked for; -1: rows."""
        levels = self._rows("SELECT max(level) FROM overviews")[0][0] if self._has_overviews else None
        for level in range(-1 if levels is None else levels, -1, -1):
            places = self._places(level, 0, 2**62)
            wanted = sum(place.rows * self._query.share_of(place.low, place.high) for place in places)
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
                yield from self._of_place(level, place)
            at = place.last + 1
        yield from self._between(at, last, level - 1)

    def _of_place(self, level: int, place: _Place) -> Iterator[tuple[str, int, Points]]:
        """Yield the points of an overview, or of what it stands for where only a part is asked for, or it is damaged."""
        if not self._query.encloses(place.low, place.high) and self._apart < MOST_APART:
            self._apart += 1
            return self._between(place.first, place.last, level - 1)
        overview = self._overview(level, place)
        if overview is None:
            return self._between(place.first, place.last, level - 1)
        return points_of_overview(overview, self._attempt, self._query, range(place.first, place.last + 1))

    def _overview(self, level: int, place: _Place) -> Overview | None:
        """Return an overview; None for one that is damaged: all that it tells is in the rows, too."""
        # Cast, because a broken page may hold text that is none.
        sql = "SELECT CAST(body AS BLOB) FROM overviews WHERE level = ? AND first = ?"
        body = self._rows(sql, level, place.first)[0][0]
        try:
            overview = decode_overview(body)
        except InvalidInput as error:
            reason = str(error)
        else:
            if (rows_of(overview), *steps_of(overview)) == (place.rows, place.low, place.high):
                return overview
            reason = "it stands for other rows than it says"
        file = self._connection.filename
        _log.warning("%s: the overview of %d to %d is read anew of its rows: %s", file, place.first, place.last, reason)
        return None

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
        """Return where overviews lie between two offsets, in order; one that can't lie there is passed over, its rows are read."""
        if not self._has_overviews:
            return []
        found = self._rows(
            "SELECT first, last, rows, low, high FROM overviews WHERE level = ? AND first >= ? AND last <= ? ORDER BY first",
            level, first, last,
        )  # fmt: skip
        places, at = [], first
        for row in found:
            if tuple(map(type, row)) == _PLACE and at <= row[0] <= row[1]:
                places.append(_Place(*row))
                at = row[1] + 1
        return places

    def _is_wanted(self, place: _Place) -> bool:
        return self._query.overlaps(place.low, place.high)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()
