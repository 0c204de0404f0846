"""One session's database file: its log, read and appended to over one connection.

Not safe for threads: SqliteStore holds a lock for each session while it calls. Raises apsw's errors as they come;
the store says them in the interface's words.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import apsw
from msgspec.structs import replace

from forge_widgets.core.curves import Curves, SeriesQuery
from forge_widgets.core.events import Batch, Record, is_lifecycle, length
from forge_widgets.core.series import MAX_BUCKETS
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.subscription import MAX_EVENTS, MAX_ROWS, Cursor, Opening, Slice
from forge_widgets.errors import InvalidInput, StoreDamaged, StoreUnavailable
from forge_widgets.stores import codec, schema
from forge_widgets.stores.appender import Appender, Folded
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.compaction import compact
from forge_widgets.stores.schema import Beginning, transaction
from forge_widgets.stores.trimming import drop, give_back
from forge_widgets.stores.wal import WriteAheadLog

CHECKED_WHOLE_BYTES = 4 * 1024 * 1024
"""Up to this size a file is checked page by page when it is opened first; of a larger one only header and tables are."""


Undisturbed = Callable[[], AbstractContextManager[None]]
"""Holds off whoever would put another file at this one's path."""


class SessionFile:
    """A connection to one session's file."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float,
        wal: bool,
        immutable: bool = False,
        undisturbed: Undisturbed = nullcontext,
    ) -> None:
        self.path = path
        # What the connection is closed within.
        self._undisturbed = undisturbed
        # True for a file on a read-only file system: it must not change while it is open.
        self.immutable = immutable
        self._uses_wal = wal
        self._folded: Folded | None = None
        # The state before the floor, and of which epoch and floor.
        self._based = ("", 0, State())
        self._made = False
        # The inode of the file, once it is known to be the one at its path.
        self.inode = 0
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI if immutable else apsw.SQLITE_OPEN_READWRITE
        self._connection = apsw.Connection(f"{path.as_uri()}?immutable=1" if immutable else str(path), flags=flags)
        self._connection.set_busy_timeout(int(busy_timeout_s * 1000))
        self._appender = Appender(self._connection)
        self.wal = WriteAheadLog(path, self._connection)
        # With a rollback journal only EXTRA outlives a power cut: it syncs the folder after the journal is gone.
        self._execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")
        if sys.platform == "darwin":
            self._execute("PRAGMA fullfsync = 1")
            self._execute("PRAGMA checkpoint_fullfsync = 1")

    @property
    def made(self) -> bool:
        """Whether the file has its tables: one that another process is just making is as good as none for a reader."""
        if not self._made and self._version() > 0:
            self._made = True
            self.wal.note()
        return self._made

    @property
    def outdated(self) -> bool:
        """Whether an older release made the file."""
        return 0 < self._version() < schema.VERSION

    def is_settled(self) -> bool:
        """Say whether this connection is whole, once, before it is used; one that is not is closed.

        SQLite opens a write-ahead log at the first read only. Where another file has come to the path by then, moved there
        by hand perhaps, it may be the other's.
        """
        try:
            self._execute("PRAGMA user_version")
            self.inode = self.path.stat().st_ino
            settled = not self.is_moved()
        except BaseException:
            self.close()
            raise
        if not settled:
            self.close()
        return settled

    def make(self, beginning: Beginning) -> None:
        """Set the journal's mode, and make the tables or bring them up to date; one process at a time."""
        mode = "wal" if self._uses_wal else "delete"
        if self._one("PRAGMA journal_mode")[0] != mode:
            self._execute(f"PRAGMA journal_mode = {mode}")
        schema.migrate(self._connection, str(self.path), beginning)
        self._made = True
        self.wal.note()

    def check(self) -> None:
        """Check the file: all of its pages where it is small, else its header and tables. Raises StoreDamaged."""
        if not self.made:
            return
        if self.path.stat().st_size <= CHECKED_WHOLE_BYTES:
            self._check_pages()
        else:
            self._position()
            for table in ("snapshot", "producers", "keys"):
                self._execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - constant names

    def read_whole(self) -> None:
        """Read every page and every record from the disk. Raises StoreDamaged."""
        again = SessionFile(self.path, busy_timeout_s=1.0, wal=self._uses_wal, undisturbed=self._undisturbed)
        with closing(again) as fresh:
            fresh._check_pages()
            for _ in fresh._records(0):
                pass
            epoch, _, top = fresh._position()
        if self._folded is not None and (epoch != self._folded.epoch or top < self._folded.top):
            raise StoreDamaged(str(self.path), f"records up to {self._folded.top} were durable, {top} are there")

    def is_moved(self) -> bool:
        """Say whether the file that this connection writes to is no longer the one at its path."""
        return self.wal.file_is_moved()

    def look_at_wal(self) -> None:
        """See that nobody has cut or removed the write-ahead log, where it lies. Raises StoreDamaged."""
        if self._uses_wal and self.wal.is_cut():
            # Fails where pages are missing; else all that the log holds is in the database now.
            self.wal.bring_in()
            if self.wal.is_gone:  # ours goes on under no name, and others write to one that we don't see
                raise StoreDamaged(str(self.path), "its write-ahead log was removed")
            self.read_whole()  # a checkpoint from outside may cut it to nothing
            self.wal.note_growth()

    @property
    def state(self) -> State:
        """The fold of the log as it was last appended to over this connection."""
        return State() if self._folded is None else self._folded.state

    def append(self, batch: Batch, received: float) -> Receipt:
        """Append a batch in one durable transaction. Raises SequenceGap."""
        done = None if self._folded is None else self._appender.go_on(batch, self._folded, received)
        self._folded, receipt = done or self._appender.append(batch, self._catch_up, received)
        self.wal.note_growth()
        return receipt

    def read(self, after: int, max_rows: int) -> Slice:
        """Read records after an offset."""
        with transaction(self._connection, "DEFERRED"):
            epoch, floor, top = self._position()
            records = list(_up_to(max_rows, self._records(after)))
            base = self._base(epoch, floor)
        return Slice(epoch, floor, top, records, base)

    def snapshot(self) -> Snapshot:
        """Fold the log to its newest state."""
        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
        return Snapshot(Cursor(folded.epoch, folded.top), folded.state)

    def series(self, query: SeriesQuery) -> Curves:
        """Return curves of one attempt."""
        # Both load numpy, which a training's process may never need.
        from forge_widgets.core.downsampling import curves_of
        from forge_widgets.stores.curve_reading import CurveReader

        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
            attempt = folded.state.attempt if query.attempt is None else query.attempt
            lines = CurveReader(self._connection, attempt, query).lines(folded.floor, folded.top)
        return Curves(folded.epoch, folded.top, attempt, curves_of(lines, query))

    def opening(self, least_rows: int) -> Opening | None:
        """Return where the log stands, with curves of what came before; None where it has fewer rows and events."""
        from forge_widgets.core.downsampling import extremes_of
        from forge_widgets.stores.curve_reading import CurveReader

        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
            epoch, floor, top, state = folded.epoch, folded.floor, folded.top, folded.state
            if top + 1 - floor < least_rows:
                return None
            query = SeriesQuery(max_points=2 * MAX_BUCKETS)
            lines = CurveReader(self._connection, state.attempt, query).lines(floor, top)
            newest = f"SELECT {codec.COLUMNS} FROM records WHERE kind = 0 ORDER BY offset DESC LIMIT ?"  # noqa: S608 - constant
            rows = self._rows(newest, MAX_EVENTS)
            tail = list(self._records_after(max(floor - 1, top - MAX_ROWS)))
            base = self._base(epoch, floor)
        events = [codec.decode_record(row) for row in reversed(rows)]
        return Opening(
            epoch=epoch,
            top=top,
            state=state,
            base=base,
            curves=extremes_of(lines, MAX_BUCKETS),
            events=[record for record in events if is_lifecycle(record)],
            eventful_from=events[0].offset if len(events) == MAX_EVENTS else floor - 1,
            tail=tail,
        )

    def trim(self, upto: int) -> int:
        """Drop the records up to an offset in one durable transaction, the state before the floor kept; return the floor.

        What is dropped is folded before anybody is locked out. Pages go back to the disk once they are worth the copying.
        """
        while True:
            with transaction(self._connection, "DEFERRED"):
                epoch, floor, top = self._position()
                upto = min(upto, top)
                if upto < floor:
                    return floor
                base = self._state_at(epoch, floor, upto)
            with transaction(self._connection, "IMMEDIATE"):
                if self._position()[:2] == (epoch, floor):
                    drop(self._connection, upto, base)
                    break
        give_back(self._connection)
        return upto + 1

    def compact(self, *, whole: bool) -> bool:
        """Compact the oldest range that is not; False where there is none. See compaction.compact."""
        done = compact(self._connection, whole=whole)
        if whole and not done:
            give_back(self._connection)
        return done

    @contextmanager
    def held_at(self, end: Cursor) -> Iterator[bool]:
        """Keep everybody from appending while the block runs; say whether the log ends there."""
        with transaction(self._connection, "IMMEDIATE"):
            epoch, _, top = self._position()
            yield (epoch, top) == (end.epoch, end.offset)

    def clear(self, end: Cursor) -> bool:
        """Drop all records and forget who wrote them, where the log ends there; the state before its floor stays."""
        with transaction(self._connection, "IMMEDIATE"):
            epoch, floor, top = self._position()
            if (epoch, top) != (end.epoch, end.offset):
                return False
            drop(self._connection, top, self._state_at(epoch, floor, top))
            self._execute("DELETE FROM producers")
            self._execute("DELETE FROM keys")
        give_back(self._connection)
        return True

    def version(self) -> tuple[str, int, int]:
        """Return epoch, floor and top."""
        return self._position()

    def summary(self) -> Summary:
        """Return the session as lists show it, by the id that the file holds."""
        with transaction(self._connection, "DEFERRED"):
            self._folded = folded = self._catch_up()
            session_id, created, newest = self._one(
                "SELECT session_id, created, (SELECT timestamp FROM records ORDER BY offset DESC LIMIT 1) FROM meta"
            )
        updated = folded.state.updated_at if newest is None else newest
        times = (created or 0.0, updated)
        if not isinstance(session_id, str) or not all(isinstance(at, float) and math.isfinite(at) for at in times):
            raise StoreDamaged(str(self.path), "what names its session can't be read")
        return Summary(session_id, created or 0.0, updated, folded.state.attempt, folded.state)

    def leave_whole(self) -> None:
        """Bring what was written into the file itself, as far as readers let it: one that stays holds on to the log."""
        if self._uses_wal and not self.is_moved():
            with suppress(apsw.Error):
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close the connection."""
        with self._undisturbed():
            self._connection.close()

    def _check_pages(self) -> None:
        found = self._one("PRAGMA quick_check(1)")[0]
        if found != "ok":
            raise StoreDamaged(str(self.path), str(found))

    def _version(self) -> int:
        version = schema.version_of(self._connection, str(self.path))
        if version > schema.VERSION:
            raise StoreUnavailable(
                str(self.path),
                f"a newer forge-widgets made it (format {version}, known up to {schema.VERSION}): upgrade",
            )
        return version

    def _position(self) -> tuple[str, int, int]:
        """Return epoch, floor and top, read at one moment."""
        epoch, floor, last = self._one(
            "SELECT epoch, floor, (SELECT last FROM records ORDER BY offset DESC LIMIT 1) FROM meta"
        )
        if not isinstance(epoch, str) or type(floor) is not int or type(last) not in (int, type(None)):
            raise StoreDamaged(str(self.path), "what says where its log stands can't be read")
        return epoch, floor, floor - 1 if last is None else last

    def _catch_up(self) -> Folded:
        """Return the fold of all records, within the caller's transaction: what is remembered and what came since."""
        epoch, floor, top = self._position()
        folded = self._folded
        # What lay between a fold that ends before the floor and the floor itself is gone.
        if folded is None or folded.epoch != epoch or not floor - 1 <= folded.top <= top:
            folded = self._snapshot_in_file(epoch, floor)
        if folded.top == top:
            return replace(folded, floor=floor)
        if folded is self._folded:
            folded = self._snapshot_in_file(epoch, floor, folded)
        records = list(self._records_after(folded.top))
        state = fold_all(folded.state, records)
        return Folded(epoch, floor, top, state, folded.since + len(records))

    def _snapshot_in_file(self, epoch: str, floor: int, known: Folded | None = None) -> Folded:
        """Return the snapshot in the file, or what is known where that is newer.

        A list asks once a second for a running session: it folds 5 records then, not 40.
        """
        at_least = -1 if known is None else known.top + 1
        rows = self._rows(
            "SELECT offset, state FROM snapshot WHERE format = ? AND offset >= ?", codec.STATE_FORMAT, at_least
        )
        with suppress(InvalidInput):  # as good as none: the records have it all
            for offset, state in rows:
                if type(offset) is not int:
                    break
                return Folded(epoch, floor, offset, codec.decode_state(state), 0)
        return known or Folded(epoch, floor, floor - 1, self._base(epoch, floor), 0)

    def _base(self, epoch: str, floor: int) -> State:
        """Return the state just before the floor, within the caller's transaction."""
        if self._based[:2] != (epoch, floor):
            encoded = self._one("SELECT base FROM meta")[0]
            self._based = (epoch, floor, State() if encoded is None else codec.decode_state(encoded))
        return self._based[2]

    def _state_at(self, epoch: str, floor: int, offset: int) -> State:
        """Fold the log up to an offset, within the caller's transaction."""
        folded = self._snapshot_in_file(epoch, floor)
        if folded.top > offset:
            folded = Folded(epoch, floor, floor - 1, self._base(epoch, floor), 0)
        before = takewhile(lambda record: record.offset <= offset, self._records_after(folded.top))
        return fold_all(folded.state, (record.up_to(offset) for record in before))

    def _records(self, after: int) -> Iterator[Record]:
        """Yield records from the one that holds offset ``after + 1`` on."""
        rows = self._connection.execute(
            f"SELECT {codec.COLUMNS} FROM records WHERE last > ?1 AND offset >= coalesce("  # noqa: S608 - constant columns
            "(SELECT offset FROM records WHERE offset <= ?1 + 1 ORDER BY offset DESC LIMIT 1), 0) ORDER BY offset",
            (after,),
        )
        return map(codec.decode_record, rows)

    def _records_after(self, offset: int) -> Iterator[Record]:
        """Yield what lies after an offset alone: since it was known, its record may have become a part of a larger one."""
        return (record.after(offset) for record in self._records(offset))

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


def _up_to(max_rows: int, records: Iterable[Record]) -> Iterator[Record]:
    """Yield records until they have so many rows, at least one record."""
    rows = 0
    for record in records:
        yield record
        rows += length(record.body)
        if rows >= max_rows:
            return
