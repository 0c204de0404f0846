"""Compaction of one session's log: many small blocks become few large ones, and an overview of them is kept beside.

Works on a session file's connection, called by session_file alone. Offsets, sequences and the fold of the log stay what they
were: whoever reads or appends meanwhile notices nothing. Goes through a log once, range by range, from its floor on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import apsw
from msgspec.structs import replace

from forge_widgets.core.events import Event, Record, length
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.overview import (
    FAN_OUT,
    Overview,
    decode_overview,
    encode_overview,
    overview_of,
    overview_of_overviews,
    rows_of,
    steps_of,
)
from forge_widgets.core.steps import MAX_BLOCK_ROWS, StepBlock, encode_compact, joined_blocks
from forge_widgets.errors import InvalidInput
from forge_widgets.stores import codec
from forge_widgets.stores.ledger import note_sequences
from forge_widgets.stores.schema import transaction

RANGE_ROWS = 8_192
"""Rows and events that one overview stands for, or a few more. Blocks of so many rows deflate as well as larger ones."""

WORTH_ROWS = 64
"""Rows of a single block from which on it takes less when it is compacted."""

_PART = "offset, attempt, kind, producer, sequence, body, received"
_COVERED = "SELECT max(last) FROM overviews WHERE level = 0"


def compact(connection: apsw.Connection, *, whole: bool) -> bool:
    """Compact the oldest range that is not compacted, in one durable transaction. False where there is none.

    With ``whole`` a last range of fewer rows, too. What it takes is read and encoded before anybody is locked out.
    """
    with transaction(connection, "DEFERRED"):
        mark = _mark(connection)
        rows = list(_range_after(connection, max(mark[1] - 1, mark[2] or 0)))
    records = [codec.decode_record(row[:6]) for row in rows]
    if not records or (not whole and sum(length(record.body) for record in records) < RANGE_ROWS):
        return False
    encoded = [
        (run, _encoded(run, rows[start + len(run) - 1][6])) for start, run in _runs(records) if _is_worth_it(run)
    ]
    overview = overview_of(records)
    with transaction(connection, "IMMEDIATE"):
        if _mark(connection) != mark:  # trimmed, or compacted by somebody else meanwhile
            return True
        note_sequences(connection)  # a record that begins before the snapshot and ends after it is not looked at
        for run, row in encoded:
            connection.execute("DELETE FROM records WHERE offset BETWEEN ? AND ?", (run[0].offset, run[-1].offset))
            connection.execute(codec.INSERT_RECORD, row)
        _add_overview(connection, 0, records[0].offset, records[-1].last, overview)
    return True


def forget_overviews(connection: apsw.Connection, floor: int) -> None:
    """Drop the overviews of what lies below a floor, in part or in whole, within the caller's transaction."""
    connection.execute("DELETE FROM overviews WHERE first < ?", (floor,))


def _mark(connection: apsw.Connection) -> tuple[Any, ...]:
    """Return what must not have changed where a range is put in place of what was read: epoch, floor, and where ranges end."""
    return connection.execute(f"SELECT epoch, floor, ({_COVERED}) FROM meta").fetchall()[0]  # noqa: S608 - constant


def _range_after(connection: apsw.Connection, offset: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the next range of records."""
    taken = 0
    for row in connection.execute(
        f"SELECT {_PART}, last FROM records WHERE offset > ? ORDER BY offset",  # noqa: S608 - constant columns
        (offset,),
    ):
        yield row[:7]
        taken += row[7] + 1 - row[0]
        if taken >= RANGE_ROWS:
            return


def _runs(records: Sequence[Record]) -> Iterator[tuple[int, list[Record]]]:
    """Yield the runs of records that may become one, each with the place of its first."""
    start = rows = 0
    for place in range(1, len(records) + 1):
        rows += length(records[place - 1].body)
        # A large block behind many small ones would make one that is too large to be read back.
        if (
            place < len(records)
            and rows + length(records[place].body) <= MAX_BLOCK_ROWS
            and _goes_on(records[place - 1], records[place])
        ):
            continue
        yield start, list(records[start:place])
        start, rows = place, 0


def _goes_on(before: Record, after: Record) -> bool:
    """Say whether two blocks fold as one: a producer's next rows, none dropped between, all with their place on the axes."""
    one, other = before.body, after.body
    if isinstance(one, Event) or isinstance(other, Event) or other.thinned:
        return False
    if (before.attempt, before.producer) != (after.attempt, after.producer):
        return False
    if before.sequence + len(one) != after.sequence or other.timestamps[0] < one.timestamps[-1]:
        return False
    places = COORDINATES & one.columns.keys()
    return places == COORDINATES & other.columns.keys() and all(
        block.columns[name].present is None for block in (one, other) for name in places
    )


def _is_worth_it(run: Sequence[Record]) -> bool:
    """Say whether a run takes less in the place of its records: a few rows by themselves don't."""
    body = run[0].body
    return len(run) > 1 or (isinstance(body, StepBlock) and len(body) >= WORTH_ROWS)


def _encoded(run: Sequence[Record], received: float) -> tuple[Any, ...]:
    """Build the row of the record that takes the place of a run."""
    blocks = [record.body for record in run if isinstance(record.body, StepBlock)]
    record = replace(run[0], body=joined_blocks(blocks))
    *place_in_log, _ = codec.encode_record(record, received)
    return (*place_in_log, encode_compact(record.body))  # type: ignore[arg-type]


def _add_overview(connection: apsw.Connection, level: int, first: int, last: int, overview: Overview) -> None:
    """Add an overview, and one of the next level for each FAN_OUT that have none."""
    connection.execute(
        "INSERT INTO overviews(level, first, last, rows, low, high, body) VALUES(?, ?, ?, ?, ?, ?, ?)",
        (level, first, last, rows_of(overview), *steps_of(overview), encode_overview(overview)),
    )
    below: list[Any] = connection.execute(
        "SELECT first, last, CAST(body AS BLOB) FROM overviews WHERE level = ?1"
        " AND first > coalesce((SELECT max(last) FROM overviews WHERE level = ?1 + 1), 0) ORDER BY first",
        (level,),
    ).fetchall()
    if len(below) >= FAN_OUT:
        joined = overview_of_overviews(_intact(connection, level, *each) for each in below)
        _add_overview(connection, level + 1, below[0][0], below[-1][1], joined)


def _intact(connection: apsw.Connection, level: int, first: int, last: int, body: object) -> Overview:
    """Decode an overview; of one that is damaged make it anew of what it stands for."""
    with suppress(InvalidInput):
        return decode_overview(body)
    if level:
        below: list[Any] = connection.execute(
            "SELECT first, last, CAST(body AS BLOB) FROM overviews WHERE level = ? AND first >= ? AND last <= ? ORDER BY first",
            (level - 1, first, last),
        ).fetchall()
        return overview_of_overviews([_intact(connection, level - 1, *each) for each in below])
    rows = connection.execute(
        f"SELECT {codec.COLUMNS} FROM records WHERE offset BETWEEN ? AND ? ORDER BY offset",  # noqa: S608 - constant columns
        (first, last),
    )
    return overview_of(map(codec.decode_record, rows))
