"""The store that forgets: sessions in this process's memory, for tests and trials.

Keeps what the interface promises as long as the process lives. Stores by name are shared within the process.
"""

from __future__ import annotations

import secrets
import threading
from bisect import bisect_left

from forge_widgets.core.curves import Curves, SeriesQuery
from forge_widgets.core.events import Batch, Event, Record, length
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.subscription import Cursor, Slice
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.codec import first_timestamp, last_timestamp
from forge_widgets.stores.forks import watch_forks
from forge_widgets.stores.placing import Known, place


class MemoryLog:
    """One session's log in memory; its store holds the lock."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        # The oldest offset still kept, with the state just before it; the newest, with the state there.
        self.floor = 1
        self.base = State()
        self.top = 0
        self.state = State()
        self.records: list[Record] = []
        # Seconds since the epoch of the first and the newest record.
        self.created_at = 0.0
        self.updated_at = 0.0
        self._producers: dict[str, Known] = {}
        self._groups: dict[str, int] = {}
        self._keys: set[str] = set()

    def producer(self, producer_id: str) -> Known | None:
        """Return what is known of a producer."""
        return self._producers.get(producer_id)

    def group(self, name: str) -> int | None:
        """Return the attempt of a producer group."""
        return self._groups.get(name)

    def has_key(self, key: str) -> bool:
        """Say whether an event of this key is recorded."""
        return key in self._keys

    def append(self, batch: Batch) -> Receipt:
        """Append a batch. Raises SequenceGap."""
        placed = place(batch, self)
        self.records.extend(placed.records)
        self._keys.update(
            record.body.key for record in placed.records if isinstance(record.body, Event) and record.body.key
        )
        self.top, self.state = placed.top, placed.state
        if placed.records:
            self.created_at = self.created_at or first_timestamp(placed.records[0].body)
            self.updated_at = last_timestamp(placed.records[-1].body)
        if placed.attempt:
            self._groups[batch.producer.group or batch.producer.id] = placed.attempt
            self._producers[batch.producer.id] = Known(placed.attempt, placed.sequence)
        return Receipt(self.epoch, placed.top, placed.sequence, placed.attempt, placed.repeated)

    def read(self, after: int, max_rows: int) -> Slice:
        """Read records after an offset."""
        start = bisect_left(self.records, after + 1, key=lambda record: record.last)
        rows, stop = 0, start
        while stop < len(self.records) and rows < max(1, max_rows):
            rows += length(self.records[stop].body)
            stop += 1
        return Slice(self.epoch, self.floor, self.top, self.records[start:stop], self.base)

    def trim(self, upto: int) -> int:
        """Drop the records up to an offset; return the floor."""
        upto = min(upto, self.top)
        if upto >= self.floor:
            self.base = fold_all(self.base, (record.up_to(upto) for record in self.records if record.offset <= upto))
            self.records = [record.after(upto) for record in self.records if record.last > upto]
            self.floor = upto + 1
        return self.floor


class MemoryStore:
    """Sessions in memory."""

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name or secrets.token_hex(4)}"
        self._store_id = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._logs: dict[str, MemoryLog] = {}
        self._beats: dict[str, dict[str, Heartbeat]] = {}
        watch_forks(self)

    @property
    def store_id(self) -> str:
        """Random id of this store."""
        return self._store_id

    def fork_locks(self) -> list[threading.Lock]:
        """Return the lock to hold during a fork: the child gets a whole copy."""
        return [self._lock]

    def after_fork_in_child(self) -> None:
        """Start afresh with a lock of its own."""
        self._lock = threading.Lock()

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append a producer's batch."""
        check_session_id(session_id)
        with self._lock:
            log = self._logs.get(session_id) or MemoryLog()
            receipt = log.append(batch)
            self._logs[session_id] = log
            return receipt

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read records after an offset."""
        with self._lock:
            log = self._logs.get(check_session_id(session_id))
            return None if log is None else log.read(after, max_rows)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Return the session's newest state."""
        with self._lock:
            log = self._logs.get(check_session_id(session_id))
            return None if log is None else Snapshot(Cursor(log.epoch, log.top), log.state)

    def series(self, session_id: str, query: SeriesQuery) -> Curves | None:
        """Return curves of one attempt."""
        from forge_widgets.core.downsampling import curves_of, gather, points_of

        with self._lock:
            log = self._logs.get(check_session_id(session_id))
            if log is None:
                return None
            epoch, top, records = log.epoch, log.top, list(log.records)
            attempt = log.state.attempt if query.attempt is None else query.attempt
        gathered = gather(
            found for record in records if record.attempt == attempt for found in points_of(record, query)
        )
        return Curves(epoch, top, attempt, curves_of(gathered, query))

    def version(self, session_id: str) -> object:
        """Return the log's epoch, floor and top."""
        with self._lock:
            log = self._logs.get(check_session_id(session_id))
            return None if log is None else (log.epoch, log.floor, log.top)

    def trim(self, session_id: str, upto: int) -> int | None:
        """Drop the records up to an offset; return the floor."""
        with self._lock:
            log = self._logs.get(check_session_id(session_id))
            return None if log is None else log.trim(upto)

    def summaries(self) -> list[Summary]:
        """List the sessions, newest update first."""
        with self._lock:
            listed = [
                Summary(session_id, log.created_at, log.updated_at, log.state.attempt, log.state)
                for session_id, log in self._logs.items()
            ]
        return sorted(listed, key=lambda summary: summary.updated_at, reverse=True)

    def delete(self, session_id: str) -> bool:
        """Delete a session."""
        with self._lock:
            self._beats.pop(check_session_id(session_id), None)
            return self._logs.pop(session_id, None) is not None

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Keep a producer's heartbeat."""
        with self._lock:
            beats = self._beats.setdefault(check_session_id(session_id), {})
            beats[heartbeat.producer] = heartbeat

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the newest heartbeat of each producer."""
        with self._lock:
            return list(self._beats.get(check_session_id(session_id), {}).values())

    def close(self) -> None:
        """Do nothing: a named store lives as long as the process."""


class NamedStores:
    """The memory stores of a process by name: ``memory://name`` means the same one everywhere in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: dict[str, MemoryStore] = {}

    def get(self, name: str) -> MemoryStore:
        """Return the store of a name, making it at first."""
        with self._lock:
            return self._stores.setdefault(name, MemoryStore(name))


NAMED = NamedStores()
"""The one piece of state that belongs to a process and not to an object: sharing by name within it is what it is for."""
