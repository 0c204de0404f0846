"""A training compacts what it records, when it has time."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import forge_widgets as forge
from forge_widgets.core.events import Body, length
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores import compaction, open_store
from forge_widgets.stores.sqlite import SqliteStore
from forge_widgets.training import compactor
from forge_widgets.training.compactor import Compactor
from tests.stores.batches import batch, recorded_steps, steps


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 100)
    monkeypatch.setattr(compactor, "EVERY_ROWS", 100)
    monkeypatch.setattr(compactor, "WORTH_ROWS", 50)


class Recording:
    """A session that is recorded ten rows at a time."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        self.compactor = Compactor("s")
        self._rows = 0

    def record(self, blocks: int) -> None:
        for _ in range(blocks):
            body: Body = steps(self._rows, 10)
            self.store.append("s", batch("p", 1 + self._rows, body))
            self._rows += 10
            self.compactor.note(length(body))

    def blocks(self) -> list[int]:
        read = self.store.read("s", 0)
        assert read is not None
        return [length(record.body) for record in read.records]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


def test_nothing_is_compacted_before_there_is_enough(recording: Recording) -> None:
    recording.record(9)
    recording.compactor.compact_some(recording.store)
    assert recording.blocks() == [10] * 9
    recording.record(2)
    recording.compactor.compact_some(recording.store)
    assert recording.blocks() == [100, 10]


def test_after_a_compaction_it_waits_for_its_share_of_the_time(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 0.0, 1.0, 19.0, 21.0, 21.0, 22.0])
    monkeypatch.setattr("forge_widgets.training.compactor.time.monotonic", lambda: next(moments))
    recording.record(20)
    recording.compactor.compact_some(recording.store)
    recording.compactor.compact_some(recording.store)
    assert recording.blocks() == [100, *[10] * 10]
    recording.compactor.compact_some(recording.store)
    assert recording.blocks() == [100, 100]


def test_at_the_end_the_rest_is_compacted_however_short(recording: Recording) -> None:
    recording.record(25)
    recording.compactor.compact_rest(recording.store, math.inf)
    assert recording.blocks() == [100, 100, 50]


def test_at_the_end_of_a_short_training_or_without_time_nothing_is(recording: Recording) -> None:
    recording.record(4)
    recording.compactor.compact_rest(recording.store, math.inf)
    recording.record(4)
    recording.compactor.compact_rest(recording.store, -math.inf)
    assert recording.blocks() == [10] * 8


def test_a_store_that_keeps_no_small_blocks_is_left_alone() -> None:
    one = Compactor("s")
    one.note(1_000)
    one.compact_some(open_store("memory://left-alone"))


class Busy(SqliteStore):
    """A store in which somebody else writes."""

    def compact(self, session_id: str, *, whole: bool = False) -> bool:
        raise StoreUnavailable(self.url, "database is locked")


def test_a_store_that_can_not_compact_now_is_asked_again_later(tmp_path: Path) -> None:
    one, store = Compactor("s"), Busy(tmp_path)
    one.note(1_000)
    one.compact_some(store)
    one.compact_rest(store, math.inf)
    store.close()


def test_a_training_leaves_a_compact_log_with_every_step_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with forge.run("s", total_steps=500, store=tmp_path) as run:
        for step in range(1, 501):
            run.log(loss=1.0 / step)
            if step % 10 == 0:
                run.flush()
    store = SqliteStore(tmp_path)
    read = store.read("s", 0)
    assert read is not None
    assert recorded_steps(read.records) == [float(step) for step in range(1, 501)]
    assert len(read.records) < 12
    store.close()
