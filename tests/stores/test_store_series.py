"""Curves of a log, whichever way they are read: of rows, of overviews, or of both; and how a reader begins with a long log."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.events import Event, Producer
from forge_widgets.core.steps import Row, StepBlock, block_of
from forge_widgets.core.subscription import Cursor, SessionLog
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores import compaction, open_store, opening
from forge_widgets.stores.base import Store
from forge_widgets.stores.opening import begin, compact_some
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import START, batch, event, steps
from tests.stores.reading import read_all

WAVE_ROWS = 40_000


def wave(first: int, rows: int, *, model: int = 1) -> StepBlock:
    """Make rows of a wave with one spike in it."""
    told: list[Row] = []
    for step in range(first, first + rows):
        loss = 50.0 if step == 12_345 else math.sin(step / 3_000.0)
        row = {"currentStep": float(step), "currentModel": float(model), "loss": loss, "mine": float(step % 7)}
        told.append((START + step / 1_000, row))
    return block_of(told)


@pytest.fixture
def long(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    """Give a store with a session of 40,000 rows, the first 30,000 of which are compacted."""
    monkeypatch.setattr(compaction, "RANGE_ROWS", 2_048)
    sqlite.append("s", batch("p", 1, event("training_started")))
    for first in range(0, 30_000, 1_000):
        sqlite.append("s", batch("p", 2 + first, wave(first, 1_000)))
    while sqlite.compact("s"):
        pass
    for first in range(30_000, WAVE_ROWS, 1_000):
        sqlite.append("s", batch("p", 2 + first, wave(first, 1_000)))
    return sqlite


def test_a_store_draws_a_session_s_metrics_of_its_latest_attempt(store: Store) -> None:
    store.append("s", batch("p", 1, event("training_started"), steps(0, 10)))
    store.append("s", batch("q", 1, event("training_started", at=9), steps(5, 3)))
    latest, first, none = (store.series("s", SeriesQuery(attempt=attempt)) for attempt in (None, 1, 7))
    assert latest is not None
    assert first is not None
    assert none is not None
    snapshot = store.snapshot("s")
    assert snapshot is not None
    assert (latest.epoch, latest.top, latest.attempt) == (snapshot.cursor.epoch, 15, 2)
    assert [(curve.metric, curve.model, curve.rows) for curve in latest.curves] == [("loss", 1, 3)]
    assert list(latest.curves[0].steps) == [5.0, 6.0, 7.0]
    assert list(latest.curves[0].values) == [1 / 6, 1 / 7, 1 / 8]
    assert list(first.curves[0].steps) == [float(step) for step in range(10)]
    assert (list(none.curves), none.attempt) == ([], 7)


def test_a_metric_may_have_any_name(store: Store) -> None:
    row = {"currentStep": 1.0, "a,b": 2.0, "c&d=é%2C": 3.0, "loss": 1.0}
    store.append("s", batch("p", 1, block_of([(START, row)])))
    found = store.series("s", SeriesQuery(metrics=("a,b", "c&d=é%2C"), from_step=0.5, to_step=1.5))
    assert found is not None
    assert [(curve.metric, list(curve.values)) for curve in found.curves] == [("a,b", [2.0]), ("c&d=é%2C", [3.0])]


@pytest.mark.parametrize("most", [8, 100, 2_000, 20_000])
def test_of_overviews_and_rows_a_curve_has_all_rows_behind_it_and_its_peaks(long: SqliteStore, most: int) -> None:
    found = long.series("s", SeriesQuery(metrics=("loss",), max_points=most))
    assert found is not None
    (curve,) = found.curves
    assert curve.rows == WAVE_ROWS
    assert min(most, 100) <= len(curve.steps) <= max(most, 8)
    assert (curve.steps[0], curve.steps[-1]) == (0.0, WAVE_ROWS - 1)
    assert list(curve.steps) == sorted(curve.steps)
    assert max(curve.values) == 50.0 or most == 8
    assert all(value in (50.0, math.sin(step / 3_000.0)) for step, value in zip(curve.steps, curve.values, strict=True))


@pytest.mark.parametrize("most", [50, 100, 400])
def test_points_lie_as_close_where_a_log_is_compacted_as_where_it_is_not_yet(long: SqliteStore, most: int) -> None:
    found, begun = long.series("s", SeriesQuery(metrics=("mine",), max_points=most)), long.opening("s", 1)
    assert found is not None
    assert begun is not None
    for curve in (*found.curves, *(curve for curve in begun.curves if curve.metric == "mine")):
        in_quarters = [
            sum(first <= step < first + 10_000 for step in curve.steps) for first in range(0, WAVE_ROWS, 10_000)
        ]
        assert max(in_quarters) <= 1.5 * min(in_quarters), in_quarters


@pytest.mark.parametrize(("first", "last"), [(12_000, 13_000), (29_900, 30_100), (0, 5), (39_990, 50_000)])
def test_a_part_is_drawn_row_by_row(long: SqliteStore, first: int, last: int) -> None:
    found = long.series("s", SeriesQuery(metrics=("loss",), from_step=first, to_step=last))
    assert found is not None
    (curve,) = found.curves
    expected = range(first, min(last, WAVE_ROWS - 1) + 1)
    assert list(curve.steps) == [float(step) for step in expected]
    assert list(curve.values) == [50.0 if step == 12_345 else math.sin(step / 3_000.0) for step in expected]


@pytest.mark.parametrize("most", [8, 20])
def test_a_part_of_few_rows_is_drawn_of_these_however_few_points_are_asked_for(long: SqliteStore, most: int) -> None:
    found = long.series("s", SeriesQuery(metrics=("loss",), from_step=12_300, to_step=12_400, max_points=most))
    assert found is not None
    (curve,) = found.curves
    assert (len(curve.steps), curve.rows) == (most, 101)
    assert (curve.steps[0], curve.steps[-1], max(curve.values)) == (12_300, 12_400, 50.0)


def test_a_part_of_many_rows_is_drawn_of_what_lies_in_it_alone(long: SqliteStore) -> None:
    found = long.series("s", SeriesQuery(metrics=("mine",), from_step=5_000, to_step=29_000, max_points=20))
    assert found is not None
    (curve,) = found.curves
    assert 5_000 <= min(curve.steps) <= max(curve.steps) <= 29_000
    assert {min(curve.values), max(curve.values)} == {0.0, 6.0}


def test_a_metric_that_few_rows_have_stands_for_these_alone(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 2_048)
    rows: list[Row] = [
        (START, {"currentStep": float(n), "loss": 1.0 / (n + 1), **({"rare": float(n)} if n % 100 == 0 else {})})
        for n in range(20_000)
    ]
    sqlite.append("s", batch("p", 1, *(block_of(rows[first : first + 1_000]) for first in range(0, len(rows), 1_000))))
    while sqlite.compact("s", whole=True):
        pass
    found = sqlite.series("s", SeriesQuery(max_points=8))
    assert found is not None
    assert [(curve.metric, curve.rows) for curve in found.curves] == [("loss", 20_000), ("rare", 200)]


def test_two_trainings_at_once_are_never_drawn_as_one(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 500)
    for part in range(10):
        for attempt, producer in enumerate(("p", "q"), 1):
            start = [event("training_started")] if part == 0 else []
            rows = block_of(
                (START + step, {"currentStep": float(step), "loss": float(attempt)})
                for step in range(part * 100, part * 100 + 100)
            )
            sqlite.append("s", batch(producer, 1 if part == 0 else 2 + 100 * part, *start, rows))
    while sqlite.compact("s", whole=True):
        pass
    for attempt in (1, 2):
        for most in (8, 2_000):
            found = sqlite.series("s", SeriesQuery(attempt=attempt, max_points=most))
            assert found is not None
            (curve,) = found.curves
            assert (set(curve.values), curve.rows) == ({float(attempt)}, 1_000)


# --- openings ------------------------------------------------------------------------------------


def test_a_long_log_is_begun_with_an_opening_and_followed_as_if_it_had_been_read(
    long: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    begun, read = SessionLog("s"), read_all(long, "s")
    begin(long, begun)
    assert (begun.cursor, begun.state) == (read.cursor, read.state)
    assert _drawn(begun) == {("loss", 1), ("mine", 1)}
    (metric, _, points), _ = begun.series.lines()
    assert metric == "loss"
    assert max(value for _, value in points) == 50.0
    assert (points[0][0], points[-1]) == (0.0, (WAVE_ROWS - 1, math.sin((WAVE_ROWS - 1) / 3_000.0)))
    long.append("s", batch("p", 2 + WAVE_ROWS, wave(WAVE_ROWS, 50), event("phase_completed", message="done")))
    for log in (begun, read):
        part = long.read("s", log.top)
        assert part is not None
        assert log.apply(part)
    assert (begun.cursor, begun.state) == (read.cursor, read.state)
    for behind in (1, 51, 1_000):
        frames = [log.frame(Cursor(log.epoch, log.top - behind)) for log in (begun, read)]
        assert frames[0] == frames[1]
    begin(long, begun)  # nothing happens to a log that was begun
    assert (begun.cursor, begun.state) == (read.cursor, read.state)


def test_who_comes_back_to_a_log_that_was_begun_so_hears_of_every_event(
    long: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    log, read = SessionLog("s"), read_all(long, "s")
    begin(long, log)
    for offset in (0, 1, 20_000):
        frames = [one.frame(Cursor(one.epoch, offset)) for one in (log, read)]
        assert frames[0] is not None
        assert frames[0] == frames[1]
    assert log.newest_event == read.newest_event == 1
    # The states at events that were not folded here are not known.
    assert log.happenings_after(Cursor(log.epoch, 0)) is None
    assert log.happenings_after(log.cursor) == []


def test_only_so_many_events_are_held_of_a_long_log(long: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    monkeypatch.setattr("forge_widgets.stores.session_file.MAX_EVENTS", 3)
    top = 2 + WAVE_ROWS
    long.append("s", batch("p", top, *[event("control"), event("alert"), event("step_update"), event("annotation")]))
    log = SessionLog("s")
    begin(long, log)
    assert log.events_after(Cursor(log.epoch, top)) is None
    events = log.events_after(Cursor(log.epoch, top + 1))
    assert events is not None
    assert [record.body.event_type for record in events if isinstance(record.body, Event)] == ["annotation"]


def test_a_short_log_and_one_that_no_store_can_open_are_read(sqlite: SqliteStore) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 10)))
    memory = open_store("memory://short")
    memory.append("s", batch("p", 1, steps(0, 10)))
    for store in (sqlite, memory):
        for session_id in ("s", "nobody"):
            log = SessionLog(session_id)
            begin(store, log)
            assert log.cursor == Cursor("", 0)


def test_what_a_killed_training_has_left_is_compacted_bit_by_bit(
    long: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, before = read_all(long, "s"), long.snapshot("s")
    assert not compact_some(long, log)  # it is short
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    ranges = 0
    while compact_some(long, log):
        ranges += 1
    assert ranges >= 3
    assert long.snapshot("s") == before
    assert not compact_some(open_store("memory://left"), log)


class Locked(SqliteStore):
    """A store that nobody can write to."""

    def compact(self, session_id: str, *, whole: bool = False) -> bool:
        raise StoreUnavailable(self.url, "attempt to write a readonly database")


def test_what_can_not_be_compacted_is_left_as_it_is(
    long: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    locked = Locked(folder)
    assert not compact_some(locked, read_all(long, "s"))
    locked.close()


def test_a_trimmed_log_is_begun_at_its_floor(long: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONG_ROWS", 10_000)
    long.trim("s", 20_000)
    log = SessionLog("s")
    begin(long, log)
    frame = log.frame(None)
    assert frame is not None
    assert (frame.trimmed, frame.state.rows) == (19_999, WAVE_ROWS)
    (_, _, points), _ = log.series.lines()
    assert points[0][0] == 19_999.0


def test_a_session_that_is_posted_step_by_step_is_drawn_too(sqlite: SqliteStore, folder: Path) -> None:
    bare = Producer(id="curl", bare=True)
    for step in range(5):
        told = Event(
            event_type="step_update", timestamp=START, metrics={"currentStep": float(step), "loss": 1.0}, message="m"
        )
        sqlite.append("s", batch(bare, 0, told))
    for _ in range(2):
        found = sqlite.series("s", SeriesQuery())
        assert found is not None
        assert [curve.rows for curve in found.curves] == [5]
        sqlite.compact("s", whole=True)


def _drawn(log: SessionLog) -> set[tuple[str, int]]:
    return {(metric, model) for metric, model, _ in log.series.lines()}
