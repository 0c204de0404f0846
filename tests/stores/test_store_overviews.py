"""Curves of a compacted log against all of its rows: nothing is lost at the ends of a part, nor to a damaged overview."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_widgets.core import overview
from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.downsampling import Lines
from forge_widgets.core.events import Event
from forge_widgets.core.steps import Row, block_of
from forge_widgets.stores import compaction, curve_reading
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import START, batch, event, steps
from tests.stores.reading import read_all_records, state_of

Curve = list[tuple[float, float]]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pyramid of several levels stand over some hundred rows."""
    monkeypatch.setattr(compaction, "RANGE_ROWS", 32)
    for module in (overview, curve_reading):
        monkeypatch.setattr(module, "BUCKET_ROWS", 4)
    for module in (overview, curve_reading, compaction):
        monkeypatch.setattr(module, "FAN_OUT", 2)


def compact_all(store: SqliteStore) -> None:
    while store.compact("s", whole=True):
        pass


def lines_of(store: SqliteStore, attempt: int, query: SeriesQuery) -> Lines:
    """Return what is gathered before points are chosen of it."""
    with closing(apsw.Connection(str(store._path("s")))) as connection:
        return curve_reading.CurveReader(connection, attempt, query).lines(1, 2**62)


def rows_by_line(store: SqliteStore, attempt: int, query: SeriesQuery) -> dict[tuple[str, int], Curve]:
    """Return the finite points of each line, of all rows one by one."""
    lines: dict[tuple[str, int], Curve] = {}
    for record in read_all_records(store):
        rows = [] if isinstance(record.body, Event) else [row for _, row in record.body.rows()]
        for row in rows if record.attempt == attempt else []:
            step, model = row.get("currentStep", math.nan), row.get("currentModel", 1.0)
            if not math.isfinite(step) or not query.overlaps(step, step):
                continue
            for name in row.keys() & {"loss", "mine"}:
                if math.isfinite(row[name]):
                    lines.setdefault((name, int(model)), []).append((step, row[name]))
    return lines


def is_part_of(part: Curve, whole: Curve) -> bool:
    """Say whether points are among others, in their order."""
    others = iter(whole)
    return all(point in others for point in part)


VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -0.0, 5e-324, 1.7e308, -1.7e308]))
METRICS = st.fixed_dictionaries(
    {}, optional={"loss": VALUES, "mine": VALUES, "currentModel": st.sampled_from([1.0, 2.0])}
)
RUNS = st.lists(
    st.tuples(st.sampled_from("pq"), st.integers(-30, 20), st.lists(METRICS, min_size=1, max_size=30)),
    min_size=1,
    max_size=25,
)
"""Whose rows, how far from where the last ended they begin, and their metrics."""

ENDS = st.one_of(st.none(), st.integers(-10, 400).map(float))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    runs=RUNS,
    bare=st.sampled_from([0, 7]),
    asked=st.lists(st.tuples(st.sampled_from([8, 16, 64, 2_000]), ENDS, ENDS), min_size=1, max_size=4),
)
def test_no_point_of_a_part_is_lost_that_is_the_least_the_greatest_the_first_or_the_last(
    sqlite: SqliteStore,
    runs: list[tuple[str, int, list[dict[str, float]]]],
    bare: int,
    asked: list[tuple[int, float, float]],
) -> None:
    sqlite.delete("s")
    at, sequences = 0, {"p": 1, "q": 1}
    for number, (producer, moved, told) in enumerate(runs):
        at = max(0, at + moved)
        rows: list[Row] = [
            (START + number, row if bare and n % bare == 3 else {"currentStep": float(at + n), **row})
            for n, row in enumerate(told)
        ]
        sqlite.append("s", batch(producer, sequences[producer], block_of(rows)))
        sequences[producer] += len(rows)
        at += len(rows)
    compact_all(sqlite)
    for most, first, last in asked:
        query = SeriesQuery(max_points=most, from_step=first, to_step=last)
        for attempt in (1, 2):
            lines, expected = lines_of(sqlite, attempt, query), rows_by_line(sqlite, attempt, query)
            assert lines.keys() == expected.keys()
            for name, parts in lines.items():
                points = [
                    (step, value)
                    for part in parts
                    for step, value in zip(part.steps.tolist(), part.values.tolist(), strict=True)
                ]
                values, whole = [value for _, value in points], [value for _, value in expected[name]]
                assert is_part_of(points, expected[name])
                assert (min(values), max(values)) == (min(whole), max(whole))
                assert (points[0], points[-1]) == (expected[name][0], expected[name][-1])
                assert sum(part.rows for part in parts) == len(whole)


@pytest.fixture
def compacted(sqlite: SqliteStore) -> SqliteStore:
    sqlite.append("s", batch("p", 1, event("training_started")))
    for first in range(0, 640, 10):
        sqlite.append("s", batch("p", 2 + first, steps(first, 10)))
    compact_all(sqlite)
    return sqlite


@pytest.mark.parametrize(("first", "last"), [(0, 9), (100, 112), (317, 317), (630, 700), (125, 140)])
def test_a_small_part_is_drawn_row_by_row_however_few_points_are_asked_for(
    compacted: SqliteStore, first: int, last: int
) -> None:
    found = compacted.series("s", SeriesQuery(max_points=16, from_step=first, to_step=last))
    assert found is not None
    (curve,) = found.curves
    assert list(curve.steps) == [float(step) for step in range(first, min(last, 639) + 1)]
    assert curve.rows == len(curve.steps)


@pytest.mark.parametrize(("first", "last"), [(640, 700), (-9, -1), (300, 200)])
def test_a_part_in_which_nothing_is_has_no_curves(compacted: SqliteStore, first: int, last: int) -> None:
    found = compacted.series("s", SeriesQuery(max_points=8, from_step=first, to_step=last))
    assert found is not None
    assert found.curves == []


def test_of_steps_that_go_back_again_and_again_not_all_rows_are_read(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody counts the steps of each epoch from 0 on."""
    monkeypatch.setattr(curve_reading, "MOST_APART", 2)
    for epoch in range(20):
        sqlite.append("s", batch("p", 1 + 100 * epoch, steps(0, 100)))
    compact_all(sqlite)
    (parts,) = lines_of(sqlite, 1, SeriesQuery(max_points=64, from_step=10.0, to_step=90.0)).values()
    told = [step for part in parts for step in part.steps]
    assert 10.0 <= min(told) < 20.0 < 80.0 < max(told) <= 90.0
    assert 64 <= len(told) < 20 * 81 / 2


# --- damage --------------------------------------------------------------------------------------

HARMS = [
    "body = substr(body, 1, 20) || x'00' || substr(body, 22)",
    "body = x''",
    "body = 7",
    "rows = rows + 1",
    "high = 1e9",
    "low = 'none'",
    "last = first - 1",
    "last = 'none'",
]


@pytest.fixture
def connection(compacted: SqliteStore) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(compacted._path("s")))) as opened:
        yield opened


@pytest.mark.parametrize("where", ["level = 0 AND first > 100", "level = 1", "level >= 0"])
@pytest.mark.parametrize("harm", HARMS)
def test_of_a_damaged_overview_the_rows_are_read(
    compacted: SqliteStore, connection: apsw.Connection, where: str, harm: str, folder: Path
) -> None:
    before = compacted.opening("s", 10), state_of(compacted)
    connection.execute(f"UPDATE overviews SET {harm} WHERE {where}")
    with closing(SqliteStore(folder)) as fresh:
        assert (fresh.opening("s", 10), state_of(fresh)) == before
        for most in (8, 64):
            query = SeriesQuery(max_points=most)
            (parts,) = lines_of(fresh, 1, query).values()
            assert sum(part.rows for part in parts) == 640
            assert max(value for part in parts for value in part.values) == 1.0
    assert not Path(f"{compacted._path('s')}.suspect").exists()


def test_a_damaged_overview_is_said(
    compacted: SqliteStore, connection: apsw.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("UPDATE overviews SET body = x'00'")
    with caplog.at_level(logging.WARNING):
        assert compacted.series("s", SeriesQuery(max_points=8)) is not None
    assert "s.sqlite: the overview of 1 to " in caplog.text
    assert "another checksum" in caplog.text


def test_a_pyramid_grows_on_over_a_damaged_overview(compacted: SqliteStore, connection: apsw.Connection) -> None:
    connection.execute("UPDATE overviews SET body = x'00'")
    for first in range(640, 2_000, 10):
        compacted.append("s", batch("p", 2 + first, steps(first, 10)))
    compact_all(compacted)
    intact = "SELECT max(level) > (SELECT max(level) FROM overviews WHERE body = x'00') FROM overviews"
    assert connection.execute(intact).fetchall() == [(1,)]
    (parts,) = lines_of(compacted, 1, SeriesQuery(max_points=8)).values()
    assert sum(part.rows for part in parts) == 2_000
    assert (parts[0].steps[0], parts[-1].steps[-1]) == (0.0, 1_999.0)
