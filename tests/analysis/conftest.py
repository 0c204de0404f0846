"""A store on disk for the tests of this folder, and a way to record into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Body, Producer
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a SQLite store of the test's own."""
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


class Recorder:
    """Appends bodies to a session, as a producer each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, session_id: str, producer: str, bodies: Sequence[Body]) -> None:
        batch = Batch(producer=Producer(id=producer), sequence=0, bodies=list(bodies))
        self._store.append(session_id, batch)


@pytest.fixture
def record(store: Store) -> Recorder:
    """Give what records into the store."""
    return Recorder(store)
