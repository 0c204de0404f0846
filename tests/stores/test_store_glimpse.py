"""That a session was written to is seen at a glance, by whichever process and however its file goes on."""

from __future__ import annotations

from pathlib import Path

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.stores.glimpse import Glimpsed
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.sqlite import SqliteStore


def append(store: SqliteStore, session_id: str) -> None:
    body = Event(event_type="annotation", timestamp=1.0)
    store.append(session_id, Batch(producer=Producer(id="p"), sequence=0, bodies=[body]))


def test_each_commit_shows_and_nothing_else_does(tmp_path: Path) -> None:
    store, other = SqliteStore(tmp_path), SqliteStore(tmp_path)
    glimpse = store.glimpses("a")
    assert glimpse is not None
    seen = [glimpse()]
    assert seen == [None]
    for writer in (store, other, store):
        append(writer, "a")
        seen.append(glimpse())
        append(writer, "b")
        assert glimpse() == seen[-1]
    assert len(set(seen)) == 4
    # The last to close brings the write-ahead log into the file.
    for one in (store, other):
        one.close()
    assert glimpse() not in seen
    store.delete("a")
    assert glimpse() is None


def test_a_store_on_a_network_or_without_files_shows_nothing_at_a_glance(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store._folder._wal = False
    assert store.glimpses("a") is None
    assert isinstance(store, Glimpsed)
    assert not isinstance(MemoryStore(), Glimpsed)
