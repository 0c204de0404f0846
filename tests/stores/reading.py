"""What a session's log holds, read through its store or past it, and seen to fold to its state."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from forge_widgets.core.events import Record
from forge_widgets.core.state import State
from forge_widgets.core.subscription import SessionLog
from forge_widgets.stores.base import Store
from forge_widgets.stores.session_file import SessionFile
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import recorded_steps


def state_of(store: SqliteStore, session_id: str = "s") -> State:
    """Return a session's state after seeing that its records, on top of what was before them, fold to it."""
    snapshot, read = store.snapshot(session_id), store.read(session_id, 0)
    assert snapshot is not None
    assert read is not None
    log = SessionLog(session_id)
    log.apply(read)
    assert log.state == snapshot.state
    assert log.cursor == snapshot.cursor
    return snapshot.state


def steps_in(store: SqliteStore, session_id: str = "s") -> list[float]:
    read = store.read(session_id, 0)
    assert read is not None
    return recorded_steps(read.records)


def steps_in_file(file: Path) -> list[float]:
    """Return the steps in a session's file, wherever it lies."""
    with closing(SessionFile(file, busy_timeout_s=1, wal=True)) as opened:
        return recorded_steps(opened.read(0, 1_000_000).records)


def read_all(store: Store, session_id: str, max_rows: int = 50_000) -> SessionLog:
    """Follow a session to its end as a reader does."""
    log = SessionLog(session_id)
    while (read := store.read(session_id, log.top, max_rows)) is not None and log.apply(read):
        pass
    return log


def read_all_records(store: Store) -> list[Record]:
    read = store.read("s", 0)
    assert read is not None
    return list(read.records)
