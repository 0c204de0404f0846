"""One session's database file: its log, read and appended to over one connection.

Not safe for threads: SqliteStore holds a lock for each session while it calls. Raises apsw's errors as they come;
the store says them in the interface's words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ctypes import addressof, c_int
from pathlib import Path
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from forge_widgets.core.events import Batch, Event, Record, length
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.subscription import Cursor, Slice
from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.stores import codec
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.placing import Known, Placed, place
from forge_widgets.stores.schema import VERSION, migrate, transaction, version_of

SNAPSHOT_EVERY = 64
"""Records between two snapshots in a file: what opening a session folds at most, give or take a batch."""

CHECKED_WHOLE_BYTES = 4 * 1024 * 1024
"""Up to this size a file is checked page by page when it is opened first; of a larger one only header and tables are."""

_COLUMNS = "offset, attempt, kind, producer, sequence, body"


class Folded(Struct, frozen=True):
    """The fold of a log up to an offset, as a connection remembers it."""

    epoch: str
    floor: int
    top: int
    state: State
    # Records folded since the snapshot in the file.
    since: int


class SessionFile:
    """A connection to one session's file."""

    def __init__(self, path: Path, session_id: str, *, busy_timeout_s: float, wal: bool) -> None:
        self.path = path
        self._session_id = session_id
        self._wal = wal
        self._folded: Folded | None = None
        self._made = False
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.set_busy_timeout(int(busy_timeout_s * 1000))
        self._execute("PRAGMA synchronous = FULL")
        if sys.platform == "darwin":
            self._execute("PRAGMA fullfsync = 1")
            self._execute("PRAGMA checkpoint_fullfsync = 1")

    @property
    def made(self) -> bool:
        """Whether the file has its tables: one that another process is just making is as good as none for a reader."""
        self._made = self._made or self._version() > 0
        return self._made

    def make(self) -> None:
        """Set the journal's mode, and make the tables or bring them up to date."""
        mode = "wal" if self._wal else "delete"
        if self._one("PRAGMA journal_mode")[0] != mode:
            self._execute(f"PRAGMA journal_mode = {mode}")
        if self._version() < VERSION:
            migrate(self._connection, str(self.path), self._session_id)
        self._made = True

    def check(self) -> None:
        """Check the file: all of its pages where it is small, else its header and tables. Raises StoreDamaged."""
        if not self.made:
            return
        if self.path.stat().st_size <= CHECKED_WHOLE_BYTES:
            self.check_pages()
        else:
            self._execute("SELECT 1 FROM meta, snapshot, records, producers, keys LIMIT 1")

    def check_pages(self) -> None:
        """Check every page. Raises StoreDamaged."""
        found = self._one("PRAGMA quick_check(1)")[0]
        if found != "ok":
            raise StoreDamaged(str(self.path), str(found))

    def is_moved(self) -> bool:
        """Say whether the file that this connection writes to is no longer the one at its path."""
        moved = c_int(0)
        self._connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, addressof(moved))
        return moved.value != 0

    def append(self, batch: Batch, received: float) -> Receipt:
        """Append a batch in one durable transaction. Raises SequenceGap."""
        with transaction(self._connection, "IMMEDIATE"):
            folded = self._catch_up()
            placed = place(batch, _Log(self._connection, folded))
            since = self._write(batch, placed, folded, received)
        self._folded = Folded(folded.epoch, folded.floor, placed.top, placed.state, since)
        return Receipt(folded.epoch, placed.top, placed.sequence, placed.attempt, placed.repeated)

    def read(self, after: int, max_rows: int) -> Slice:
        """Read records after an offset."""
        with transaction(self._connection, "DEFERRED"):
            epoch, floor, top = self._position()
            records = list(_up_to(max_rows, self._records(after)))
        return Slice(epoch, floor, top, records)

    def snapshot(self) -> Snapshot:
        """Fold the log to its newest state."""
        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
        return Snapshot(Cursor(folded.epoch, folded.top), folded.state)

    def version(self) -> tuple[str, int, int]:
        """Return epoch, floor and top."""
        return self._position()

    def summary(self) -> Summary:
        """Return the session as lists show it, by the id that the file holds."""
        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
            session_id, created = self._one("SELECT session_id, created FROM meta")
            newest = self._rows("SELECT timestamp FROM records ORDER BY offset DESC LIMIT 1")
        updated = newest[0][0] if newest else folded.state.updated_at
        return Summary(session_id, created or 0.0, updated, folded.state.attempt, folded.state)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _version(self) -> int:
        version = version_of(self._connection, str(self.path))
        if version > VERSION:
            raise StoreUnavailable(
                str(self.path), f"a newer forge-widgets made it (format {version}, known up to {VERSION}): upgrade"
            )
        return version

    def _position(self) -> tuple[str, int, int]:
        """Return epoch, floor and top, read at one moment."""
        epoch, floor, last = self._one(
            "SELECT epoch, floor, (SELECT last FROM records ORDER BY offset DESC LIMIT 1) FROM meta"
        )
        return epoch, floor, floor - 1 if last is None else last

    def _catch_up(self) -> Folded:
        """Return the fold of all records, within the caller's transaction: what is remembered and what came since."""
        epoch, floor, top = self._position()
        folded = self._folded
        if folded is None or folded.epoch != epoch or folded.top > top:
            folded = self._snapshot_in_file(epoch, floor)
        if folded.top == top:
            return folded
        records = list(self._records(folded.top))
        state = fold_all(folded.state, records)
        return Folded(epoch, floor, top, state, folded.since + len(records))

    def _snapshot_in_file(self, epoch: str, floor: int) -> Folded:
        rows = self._rows("SELECT offset, state FROM snapshot WHERE format = ?", codec.STATE_FORMAT)
        with suppress(msgspec.DecodeError):  # as good as none: the records have it all
            for offset, state in rows:
                return Folded(epoch, floor, offset, codec.decode_state(state), 0)
        base = self._one("SELECT base FROM meta")[0]
        return Folded(epoch, floor, floor - 1, State() if base is None else codec.decode_state(base), 0)

    def _records(self, after: int) -> Iterator[Record]:
        """Yield records from the one that holds offset ``after + 1`` on."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM records WHERE last > ?1 AND offset >= coalesce("  # noqa: S608 - constant columns
            "(SELECT offset FROM records WHERE offset <= ?1 + 1 ORDER BY offset DESC LIMIT 1), 0) ORDER BY offset",
            (after,),
        )
        return map(codec.decode_record, rows)

    def _write(self, batch: Batch, placed: Placed, folded: Folded, received: float) -> int:
        """Write what was placed; return how many records the snapshot in the file lacks then."""
        records, producer = placed.records, batch.producer
        if placed.attempt and placed.advances:
            self._execute(
                "INSERT INTO producers(id, grp, attempt, sequence) VALUES(?1, ?2, ?3, ?4)"
                " ON CONFLICT(id) DO UPDATE SET attempt = ?3, sequence = ?4",
                producer.id,
                producer.group or producer.id,
                placed.attempt,
                placed.sequence,
            )
        if not records:
            return folded.since
        if folded.top < folded.floor:
            self._execute("UPDATE meta SET created = ? WHERE created IS NULL", codec.first_timestamp(records[0].body))
        self._connection.executemany(
            "INSERT INTO records(offset, last, attempt, kind, producer, sequence, timestamp, received, body)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(record, received) for record in records],
        )
        for record in records:
            if isinstance(record.body, Event) and record.body.key:
                self._execute("INSERT INTO keys(key, offset) VALUES(?, ?)", record.body.key, record.offset)
        since = folded.since + len(records)
        if since < SNAPSHOT_EVERY and placed.state.attempt == folded.state.attempt:
            return since
        self._execute(
            "INSERT OR REPLACE INTO snapshot(one, offset, format, state) VALUES(1, ?, ?, ?)",
            placed.top,
            codec.STATE_FORMAT,
            codec.encode_state(placed.state),
        )
        return 0

    def _execute(self, sql: str, *values: Any) -> None:
        self._connection.execute(sql, values)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str) -> tuple[Any, ...]:
        """Return the one row of a question that has one. Raises StoreDamaged where it has none."""
        rows = self._rows(sql)
        if len(rows) != 1:
            raise StoreDamaged(str(self.path), "it has lost the row that names its session")
        return rows[0]


class _Log:
    """What placing asks of a file, within the append's transaction."""

    def __init__(self, connection: apsw.Connection, folded: Folded) -> None:
        self._connection = connection
        self.top = folded.top
        self.state = folded.state

    def producer(self, producer_id: str) -> Known | None:
        rows: list[Any] = self._connection.execute(
            "SELECT attempt, sequence FROM producers WHERE id = ?", (producer_id,)
        ).fetchall()
        return Known(*rows[0]) if rows else None

    def group(self, name: str) -> int | None:
        rows: list[Any] = self._connection.execute(
            "SELECT max(attempt) FROM producers WHERE grp = ?", (name,)
        ).fetchall()
        return rows[0][0] if rows else None

    def has_key(self, key: str) -> bool:
        return bool(self._connection.execute("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchall())


def _row(record: Record, received: float) -> tuple[Any, ...]:
    kind, body = codec.encode_body(record.body)
    timestamp = codec.last_timestamp(record.body)
    place_in_log = (record.offset, record.last, record.attempt, kind, record.producer, record.sequence)
    return (*place_in_log, timestamp, received, body)


def _up_to(max_rows: int, records: Iterable[Record]) -> Iterator[Record]:
    """Yield records until they have so many rows, at least one record."""
    rows = 0
    for record in records:
        yield record
        rows += length(record.body)
        if rows >= max_rows:
            return
