"""A store of the test's own, and what is recorded there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_widgets.core.document import progress_document
from forge_widgets.core.events import Batch, Event, Record
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Receipt, Store
from forge_widgets.stores.memory import MemoryStore


class Recorded:
    """Reads what a test's training has recorded."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def records(self, session_id: str) -> list[Record]:
        read = self.store.read(session_id, 0)
        return [] if read is None else list(read.records)

    def events(self, session_id: str) -> list[Event]:
        return [record.body for record in self.records(session_id) if isinstance(record.body, Event)]

    def rows(self, session_id: str, attempt: int | None = None) -> list[dict[str, float]]:
        return [
            metrics
            for record in self.records(session_id)
            if not isinstance(record.body, Event) and attempt in (None, record.attempt)
            for _, metrics in record.body.rows()
        ]

    def document(self, session_id: str) -> dict[str, Any]:
        snapshot = self.store.snapshot(session_id)
        assert snapshot is not None
        return progress_document(session_id, snapshot.state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def recorded(folder: Path) -> Iterator[Recorded]:
    store = open_store(folder)
    yield Recorded(store)
    store.close()


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.005)


class FailingStore(MemoryStore):
    """A real store whose disk is full while ``full`` is set."""

    full = False
    # Appends that it did not take.
    refused = 0
    fault: Exception = StoreUnavailable("memory://failing", "the disk is full")

    def append(self, session_id: str, batch: Batch) -> Receipt:
        if self.full:
            self.refused += 1
            raise self.fault
        return super().append(session_id, batch)


@pytest.fixture
def failing() -> FailingStore:
    return FailingStore("failing")
