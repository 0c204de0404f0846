"""Appends to one session's log: the statements of a commit, and what a connection remembers between two of them.

Made and called by session_file, which knows how to read a log; what goes where is said by placing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
from msgspec import Struct

from forge_widgets.core.events import Batch, Event
from forge_widgets.core.state import State
from forge_widgets.stores import codec
from forge_widgets.stores.base import Receipt
from forge_widgets.stores.ledger import Ledger, note_sequences
from forge_widgets.stores.placing import Known, Placed, place, place_rows
from forge_widgets.stores.schema import transaction

SNAPSHOT_EVERY = 64
"""Records between two snapshots in a file: what opening a session folds at most, give or take a batch."""

SNAPSHOT_S = 0.125
"""Seconds after which an append writes a snapshot all the same: what a list of running sessions folds at most."""

MAX_KNOWN = 64
"""Producers of which a connection remembers where they stand."""

# A record that follows what is remembered. Where the log is another one by now, a column that must not be NULL would be, and
# nothing is inserted: to ask within the statement takes 3 µs, to ask before it in the same transaction 9.
_INSERT_NEXT = (
    "INSERT OR IGNORE INTO records(offset, last, attempt, kind, producer, sequence, timestamp, received, body)"
    " VALUES(?1, (SELECT ?2 FROM meta WHERE epoch = ?10 AND floor = ?11"
    " AND (SELECT last FROM records ORDER BY offset DESC LIMIT 1) = ?12), ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
)


class Folded(Struct, frozen=True):
    """The fold of a log up to an offset, as a connection remembers it."""

    epoch: str
    floor: int
    top: int
    state: State
    # Records folded since the snapshot in the file.
    since: int


class Appender:
    """Appends over one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        # Epoch, floor and top of the log after the last append here, and where the producers that wrote stood then.
        self._at = ("", 0, 0)
        self._known: dict[str, Known] = {}
        # The store's clock at the last snapshot that was written here.
        self._snapshot_at = 0.0

    def go_on(self, batch: Batch, folded: Folded, received: float) -> tuple[Folded, Receipt] | None:
        """Append rows of a producer that goes on where this connection knows it to stand, durably.

        None, and nothing is written, for any other batch, and where somebody else has changed the log since ``folded``.
        """
        known = self._known.get(batch.producer.id)
        if known is None or self._at != (folded.epoch, folded.floor, folded.top):
            return None
        placed = place_rows(batch, known, folded.top, folded.state)
        if placed is None:
            return None
        first, *more = [codec.encode_record(record, received) for record in placed.records]
        snapshot = self._is_due(placed, folded, received)
        # Nearly always one statement, for which the interpreter's lock is let go of once.
        if not more and not snapshot:
            if not self._follows(first, folded):
                return None
        else:
            with transaction(self._connection, "IMMEDIATE"):
                if not self._follows(first, folded):
                    return None
                if more:
                    self._connection.executemany(codec.INSERT_RECORD, more)
                if snapshot:
                    self._write_snapshot(placed)
        return self._appended(batch, placed, folded, received, snapshot=snapshot)

    def append(self, batch: Batch, catch_up: Callable[[], Folded], received: float) -> tuple[Folded, Receipt]:
        """Append any batch in one durable transaction, in which ``catch_up`` folds all that is there. Raises SequenceGap."""
        with transaction(self._connection, "IMMEDIATE"):
            folded = catch_up()
            placed = place(batch, Ledger(self._connection, folded.top, folded.state))
            snapshot = self._write(batch, placed, folded, received)
        # Somebody else has appended, as any of those that are known here perhaps; or cleared the log, which forgets them all.
        if self._at != (folded.epoch, folded.floor, folded.top):
            self._known.clear()
        return self._appended(batch, placed, folded, received, snapshot=snapshot)

    def _follows(self, row: tuple[Any, ...], folded: Folded) -> bool:
        """Insert a record's row where the log is still as it was folded; say whether it is there."""
        self._connection.execute(_INSERT_NEXT, (*row, folded.epoch, folded.floor, folded.top))
        return self._connection.changes() == 1

    def _write(self, batch: Batch, placed: Placed, folded: Folded, received: float) -> bool:
        """Write what was placed; return whether a snapshot was."""
        records, producer = placed.records, batch.producer
        if placed.attempt and placed.advances:
            self._connection.execute(
                "INSERT INTO producers(id, grp, attempt, sequence) VALUES(?1, ?2, ?3, ?4)"
                " ON CONFLICT(id) DO UPDATE SET attempt = ?3, sequence = ?4",
                (producer.id, producer.group or producer.id, placed.attempt, placed.sequence),
            )
        if not records:
            return False
        if folded.top < folded.floor:
            created = codec.first_timestamp(records[0].body)
            self._connection.execute("UPDATE meta SET created = ? WHERE created IS NULL", (created,))
        self._connection.executemany(codec.INSERT_RECORD, [codec.encode_record(record, received) for record in records])
        for record in records:
            if isinstance(record.body, Event) and record.body.key:
                self._connection.execute("INSERT INTO keys(key, offset) VALUES(?, ?)", (record.body.key, record.offset))
        snapshot = self._is_due(placed, folded, received)
        if snapshot:
            self._write_snapshot(placed)
        return snapshot

    def _is_due(self, placed: Placed, folded: Folded, received: float) -> bool:
        """Say whether a snapshot goes with an append: a status is never older in the file than in the log."""
        state, before = placed.state, folded.state
        return (
            folded.since + len(placed.records) >= SNAPSHOT_EVERY
            or not 0 <= received - self._snapshot_at < SNAPSHOT_S
            or (state.attempt, state.status) != (before.attempt, before.status)
        )

    def _write_snapshot(self, placed: Placed) -> None:
        note_sequences(self._connection)
        write_snapshot(self._connection, placed.top, placed.state)

    def _appended(
        self, batch: Batch, placed: Placed, folded: Folded, received: float, *, snapshot: bool
    ) -> tuple[Folded, Receipt]:
        """Remember what is durable now."""
        if placed.attempt:
            self._known[batch.producer.id] = Known(placed.attempt, placed.sequence)
            if len(self._known) > MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
        if snapshot:
            self._snapshot_at = received
        self._at = (folded.epoch, folded.floor, placed.top)
        since = 0 if snapshot else folded.since + len(placed.records)
        receipt = Receipt(folded.epoch, placed.top, placed.sequence, placed.attempt, placed.repeated)
        return Folded(folded.epoch, folded.floor, placed.top, placed.state, since), receipt


def write_snapshot(connection: apsw.Connection, top: int, state: State) -> None:
    """Keep the state at an offset in the file, within the caller's transaction; call ``note_sequences`` before."""
    connection.execute(
        "INSERT OR REPLACE INTO snapshot(one, offset, format, state) VALUES(1, ?, ?, ?)",
        (top, codec.STATE_FORMAT, codec.encode_state(state)),
    )
