"""Compaction: few large blocks in the place of many small ones, and nobody notices."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.events import Body, Event, Record, length
from forge_widgets.core.overview import FAN_OUT, Overview, overview_of
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import MAX_BLOCK_ROWS, block_of
from forge_widgets.stores import compaction
from forge_widgets.stores.base import Compacting
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import START, batch, event, recorded_steps, steps
from tests.stores.reading import read_all, state_of, steps_in


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 100)


def record(store: SqliteStore, blocks: int, rows: int = 10, *, first: int = 0, producer: str = "p") -> None:
    """Record blocks of so many rows, a commit each."""
    for number in range(first, first + blocks):
        store.append("s", batch(producer, 1 + number * rows, steps(number * rows, rows)))


def compact(store: SqliteStore, *, whole: bool = False) -> int:
    """Compact all that there is; return how many ranges that were."""
    count = 0
    while store.compact("s", whole=whole):
        count += 1
    return count


def test_small_blocks_become_large_ones_with_the_same_rows_offsets_and_state(sqlite: SqliteStore) -> None:
    assert isinstance(sqlite, Compacting)
    sqlite.append("s", batch("p", 1, event("training_started")))
    for number in range(25):
        sqlite.append("s", batch("p", 2 + number * 10, steps(number * 10, 10)))
    before, version = state_of(sqlite), sqlite.version("s")
    assert compact(sqlite) == 2
    assert _shapes(sqlite) == [(1, 1), (2, 100), (102, 100), *[(202 + 10 * n, 10) for n in range(5)]]
    assert steps_in(sqlite) == [float(step) for step in range(250)]
    assert (state_of(sqlite), sqlite.version("s")) == (before, version)
    assert compact(sqlite, whole=True) == 1
    assert _shapes(sqlite)[-1] == (202, 50)
    assert state_of(sqlite) == before


def test_nothing_is_done_where_there_is_nothing_to_do(sqlite: SqliteStore) -> None:
    assert not sqlite.compact("s", whole=True)
    record(sqlite, 5)
    assert not sqlite.compact("s")
    assert compact(sqlite, whole=True) == 1
    assert not sqlite.compact("s", whole=True)


def test_a_store_that_is_opened_later_compacts_what_another_has_recorded(sqlite: SqliteStore, folder: Path) -> None:
    record(sqlite, 12)
    sqlite.close()
    other = SqliteStore(folder)
    assert compact(other, whole=True) == 2
    assert steps_in(other) == [float(step) for step in range(120)]
    other.close()


def test_a_producer_goes_on_after_a_compaction_and_what_it_repeats_is_passed_over(sqlite: SqliteStore) -> None:
    record(sqlite, 10)
    compact(sqlite)
    receipt = sqlite.append("s", batch("p", 91, steps(90, 20)))
    assert (receipt.repeated, receipt.top) == (10, 110)
    assert steps_in(sqlite) == [float(step) for step in range(110)]


def test_who_reads_on_from_within_a_block_that_was_made_meanwhile_gets_each_row_once(
    sqlite: SqliteStore, folder: Path
) -> None:
    record(sqlite, 10)
    reader = SqliteStore(folder)
    log = read_all(reader, "s", 1)
    first = reader.read("s", 0, 45)
    assert first is not None
    record(sqlite, 10, first=10)
    compact(sqlite)
    assert log.top == 100
    read = reader.read("s", log.top)
    assert read is not None
    assert log.apply(read)
    snapshot = reader.snapshot("s")
    assert snapshot is not None
    assert (log.state, log.top) == (snapshot.state, 200)
    assert log.state.rows == 200
    # Half of the first range was read before it was one record.
    rest = reader.read("s", first.records[-1].last)
    assert rest is not None
    assert rest.records[0].after(first.records[-1].last).offset == first.records[-1].last + 1
    reader.close()


VALUES = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308, 2.0**53])
BODIES = st.one_of(
    st.builds(event, st.sampled_from(["control", "alert", "step_update", "model_completed"])),
    st.builds(
        lambda first, count, model, metrics, thinned: block_of(
            [
                (START + (first + n) / 10, {"currentStep": float(first + n), **metrics[n % len(metrics)], **model})
                for n in range(count)
            ],
            thinned,
        ),
        st.integers(0, 40),
        st.integers(1, 30),
        st.sampled_from([{}, {"currentModel": 1.0}, {"currentModel": 2.0, "totalSteps": 50.0}]),
        st.lists(st.dictionaries(st.sampled_from(["loss", "mine", "accuracy"]), VALUES), min_size=1, max_size=4),
        st.sampled_from([0, 0, 3]),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(written=st.lists(st.tuples(st.sampled_from("pq"), BODIES), min_size=1, max_size=40), whole=st.booleans())
def test_whatever_is_recorded_folds_to_the_same_state_and_draws_the_same_rows(
    sqlite: SqliteStore, written: list[tuple[str, Body]], whole: bool
) -> None:
    sqlite.delete("s")
    sequences = {"p": 1, "q": 1}
    for producer, body in written:
        sqlite.append("s", batch(producer, sequences[producer], body))
        sequences[producer] += length(body)
    # As text, in which NaN is NaN and zero has its sign.
    before, rows = repr(sqlite.snapshot("s")), list(map(repr, _rows(sqlite)))
    compact(sqlite, whole=whole)
    snapshot = sqlite.snapshot("s")
    assert snapshot is not None
    assert repr(snapshot) == before
    assert list(map(repr, _rows(sqlite))) == rows
    assert repr(fold_all(State(), _records(sqlite))) == repr(snapshot.state)


def test_a_large_block_behind_small_ones_is_still_one_that_can_be_read(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 8_192)
    sqlite.append("s", batch("p", 1, steps(0, 50), steps(50, 8_000), steps(8_050, MAX_BLOCK_ROWS)))
    assert compact(sqlite, whole=True) == 1
    assert _shapes(sqlite) == [(1, 8_050), (8_051, MAX_BLOCK_ROWS)]
    assert steps_in(sqlite) == [float(step) for step in range(8_050 + MAX_BLOCK_ROWS)]


def test_rows_that_were_dropped_stay_where_they_were_dropped(sqlite: SqliteStore) -> None:
    rows = [(START + n, {"currentStep": float(n)}) for n in range(40)]
    sqlite.append("s", batch("p", 1, block_of(rows[:20]), block_of(rows[20:], thinned=7)))
    compact(sqlite, whole=True)
    assert [(part.offset, getattr(part.body, "thinned", None)) for part in _records(sqlite)] == [(1, 0), (21, 7)]


def test_a_log_that_was_trimmed_is_compacted_from_its_floor_on(sqlite: SqliteStore) -> None:
    record(sqlite, 30)
    compact(sqlite)
    before = state_of(sqlite)
    assert sqlite.trim("s", 130) == 131
    assert state_of(sqlite) == before
    # What the cut overview stood for is drawn of its rows.
    curves = sqlite.series("s", SeriesQuery(max_points=8))
    assert curves is not None
    assert curves.curves[0].steps[0] == 130.0
    record(sqlite, 30, first=30)
    compact(sqlite, whole=True)
    assert steps_in(sqlite) == [float(step) for step in range(130, 600)]


def test_overviews_make_a_pyramid(sqlite: SqliteStore, folder: Path) -> None:
    record(sqlite, 10 * FAN_OUT * FAN_OUT)
    compact(sqlite)
    (file,) = (folder / "sessions").glob("*.sqlite")
    connection = apsw.Connection(str(file))
    levels = connection.execute("SELECT level, count(*), sum(rows) FROM overviews GROUP BY level").fetchall()
    connection.close()
    rows = 100 * FAN_OUT * FAN_OUT
    assert levels == [(0, FAN_OUT * FAN_OUT, rows), (1, FAN_OUT, rows), (2, 1, rows)]


def test_a_compaction_that_somebody_overtakes_changes_nothing(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(sqlite, 10)
    other, before = SqliteStore(folder), state_of(sqlite)
    overtaken: list[bool] = []

    def overtake(records: Sequence[Record]) -> Overview:
        if not overtaken:
            overtaken.append(True)
            assert other.compact("s")
        return overview_of(records)

    monkeypatch.setattr("forge_widgets.stores.compaction.overview_of", overtake)
    assert sqlite.compact("s")
    assert not sqlite.compact("s")
    assert _shapes(sqlite) == [(1, 100)]
    assert state_of(sqlite) == before
    other.close()


def test_a_writer_and_a_compactor_lose_nothing_between_them(sqlite: SqliteStore, folder: Path) -> None:
    other, over = SqliteStore(folder), threading.Event()

    def compacting() -> None:
        while not over.is_set():
            other.compact("s")

    beside = threading.Thread(target=compacting)
    beside.start()
    rng, sequence = random.Random(3), 1
    for _ in range(150):
        rows = rng.randint(1, 20)
        sqlite.append("s", batch("p", sequence, steps(sequence - 1, rows)))
        sequence += rows
    over.set()
    beside.join()
    compact(other)
    other.close()
    assert steps_in(sqlite) == [float(step) for step in range(sequence - 1)]
    assert state_of(sqlite).rows == sequence - 1


def test_a_compacted_log_takes_less_room(sqlite: SqliteStore) -> None:
    record(sqlite, 400, 5)
    before = sqlite.bytes_on_disk("s")
    compact(sqlite, whole=True)
    sqlite.close()
    assert sqlite.bytes_on_disk("s") < before / 2


def _records(store: SqliteStore) -> list[Record]:
    read = store.read("s", 0, 1_000_000)
    assert read is not None
    return list(read.records)


def _shapes(store: SqliteStore) -> list[tuple[int, int]]:
    return [(part.offset, length(part.body)) for part in _records(store)]


def _rows(store: SqliteStore) -> list[object]:
    """Return what stands at each offset: where, whose, and what."""
    rows: list[object] = []
    for part in _records(store):
        if isinstance(part.body, Event):
            rows.append((part.offset, part.attempt, part.producer, part.sequence, part.body))
            continue
        assert recorded_steps([part])
        rows += [
            (part.offset + at, part.attempt, part.producer, part.sequence + at, timestamp, sorted(row.items()))
            for at, (timestamp, row) in enumerate(part.body.rows())
        ]
    return rows
