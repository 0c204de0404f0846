"""Curves for a picture: as many points as were asked for, in order, of the rows that were asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forge_widgets.core.curves import LEAST_POINTS, Curve, SeriesQuery
from forge_widgets.core.downsampling import (
    Lines,
    curves_of,
    extremes_of,
    gather,
    points_of,
    points_of_block,
    points_of_overview,
)
from forge_widgets.core.events import Body, Event, Record
from forge_widgets.core.overview import overview_of
from forge_widgets.core.steps import Row, StepBlock, block_of

ALL = SeriesQuery()


def block(rows: int, *, models: int = 1) -> StepBlock:
    """Make rows of a wave for each model, one model after the other."""
    return block_of(
        (float(row), {"currentStep": float(step), "currentModel": float(model), "loss": math.sin(step / 20.0)})
        for model in range(1, models + 1)
        for row, step in enumerate(range(rows))
    )


def curves(of: StepBlock, query: SeriesQuery = ALL) -> list[Curve]:
    return curves_of(gather(points_of_block(of, query)), query)


def test_few_points_come_as_they_are() -> None:
    (curve,) = curves(block(100))
    assert (curve.metric, curve.model, curve.rows) == ("loss", 1, 100)
    assert list(curve.steps) == [float(step) for step in range(100)]
    assert list(curve.values) == [math.sin(step / 20.0) for step in range(100)]


def test_of_many_points_as_many_are_left_as_were_asked_for_both_ends_among_them() -> None:
    (curve,) = curves(block(5_000), SeriesQuery(max_points=100))
    assert (len(curve.steps), curve.rows) == (100, 5_000)
    assert (curve.steps[0], curve.steps[-1]) == (0.0, 4_999.0)
    assert list(curve.steps) == sorted(curve.steps)
    assert all(value == math.sin(step / 20.0) for step, value in zip(curve.steps, curve.values, strict=True))


def test_models_share_the_points_of_a_metric_and_keep_a_few_each() -> None:
    found = curves(block(1_000, models=4), SeriesQuery(max_points=100))
    assert [(curve.model, len(curve.steps)) for curve in found] == [(1, 25), (2, 25), (3, 25), (4, 25)]
    found = curves(block(1_000, models=20), SeriesQuery(max_points=20))
    assert {len(curve.steps) for curve in found} == {LEAST_POINTS}


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        (SeriesQuery(from_step=10.0), 10.0, 99.0),
        (SeriesQuery(to_step=20.5), 0.0, 20.0),
        (SeriesQuery(from_step=10.0, to_step=20.0), 10.0, 20.0),
    ],
)
def test_only_steps_that_were_asked_for_are_there(query: SeriesQuery, first: float, last: float) -> None:
    (curve,) = curves(block(100), query)
    assert (curve.steps[0], curve.steps[-1]) == (first, last)
    surveyed = [
        step
        for _, _, points in points_of_overview(overview_of([_record(block(100))]), 1, query, range(100))
        for step in points.steps
    ]
    assert all(first <= step <= last for step in surveyed)


def test_nothing_is_there_of_metrics_and_steps_that_nobody_has() -> None:
    assert curves(block(10), SeriesQuery(metrics=("mine",))) == []
    assert curves(block(10), SeriesQuery(from_step=100.0)) == []
    assert curves(block_of([(1.0, {"loss": 1.0})])) == []
    assert list(points_of_overview(overview_of([_record(block(10))]), 2, ALL, range(10))) == []


def test_loss_comes_first_and_axes_are_no_curves() -> None:
    found = curves(block_of([(1.0, {"accuracy": 1.0, "currentStep": 1.0, "totalSteps": 5.0, "loss": 2.0})]))
    assert [curve.metric for curve in found] == ["loss", "accuracy"]


def test_what_is_not_finite_or_missing_is_no_point() -> None:
    rows: list[Row] = [
        (1.0, {"currentStep": 1.0, "loss": math.nan}),
        (2.0, {"currentStep": 2.0}),
        (3.0, {"currentStep": math.inf, "loss": 1.0}),
        (4.0, {"loss": 1.0}),
        (5.0, {"currentStep": 5.0, "loss": 0.5, "currentModel": math.nan}),
        (6.0, {"currentStep": 6.0, "loss": math.inf}),
        (7.0, {"currentStep": 7.0, "loss": 0.25}),
    ]
    (curve,) = curves(block_of(rows))
    assert (list(curve.steps), list(curve.values), curve.rows) == ([5.0, 7.0], [0.5, 0.25], 2)


def test_a_record_s_points_are_its_rows_or_its_one_step() -> None:
    event = Event(event_type="step_update", timestamp=1.0, metrics={"currentStep": 3.0, "loss": 2.0})
    cases: list[tuple[Body, list[list[float]]]] = [
        (event, [[3.0]]),
        (Event(event_type="control", timestamp=1.0), []),
        (block(2), [[0.0, 1.0]]),
    ]
    for body, steps in cases:
        record = Record(offset=1, attempt=1, producer="p", sequence=1, body=body)
        assert [points.steps.tolist() for _, _, points in points_of(record, ALL)] == steps


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 50))
@example([0.0, 1.0, 2.0], 1)
@example([0.0, 2.0, 1.0], 1)
def test_the_extremes_of_a_line_are_its_points_in_order_the_newest_and_no_greater_ones_left_out(
    values: list[float], most: int
) -> None:
    rows = block_of((1.0, {"currentStep": float(step), "loss": value}) for step, value in enumerate(values))
    (curve,) = extremes_of(gather(points_of_block(rows, ALL)), most)
    points: list[tuple[float, float]] = list(zip(curve.steps, curve.values, strict=True))
    assert set(points) <= {(float(step), value) for step, value in enumerate(values)}
    assert [step for step, _ in points] == sorted(step for step, _ in points)
    assert (min(curve.values), max(curve.values)) == (min(values), max(values))
    assert points[-1] == (float(len(values) - 1), values[-1])
    assert len(points) <= max(2 * most + 1, 2)


def _half_told_by_an_overview(every: int = 1) -> Lines:
    """Make a line whose first 30,000 rows are told by an overview, and the last 10,000 by themselves; each so many have a value."""
    told: list[Row] = [
        (float(step), {"currentStep": float(step)} | ({} if step % every else {"loss": math.sin(step)}))
        for step in range(40_000)
    ]
    overview = overview_of([_record(block_of(told[:30_000]))])
    rows = (
        part
        for first in range(30_000, 40_000, 50)
        for part in points_of_block(block_of(told[first : first + 50]), ALL, first)
    )
    return gather([*points_of_overview(overview, 1, ALL, range(30_000)), *rows])


@pytest.mark.parametrize("every", [1, 100])
def test_points_lie_as_close_in_rows_as_in_overviews(every: int) -> None:
    lines = _half_told_by_an_overview(every)
    for most in (50, 100, 200):
        for curve in (*curves_of(lines, SeriesQuery(max_points=most)), *extremes_of(lines, most // 2)):
            in_quarters = [
                sum(first <= step < first + 10_000 for step in curve.steps) for first in range(0, 40_000, 10_000)
            ]
            assert max(in_quarters) <= 1.5 * min(in_quarters), (most, in_quarters)
            assert curve.steps[-1] == 40_000 - every
        assert curves_of(lines, SeriesQuery(max_points=most))[0].steps[0] == 0.0


def test_nothing_is_left_out_where_there_are_no_more_points_than_were_asked_for() -> None:
    lines = _half_told_by_an_overview()
    points = sum(len(part.steps) for part in lines["loss", 1])
    (curve,) = curves_of(lines, SeriesQuery(max_points=points))
    assert (len(curve.steps), curve.rows) == (points, 40_000)
    assert list(curve.steps)[-10_000:] == [float(step) for step in range(30_000, 40_000)]


def test_a_model_without_a_metric_has_no_line_of_it_and_parts_of_a_line_are_one() -> None:
    rows: list[Row] = [
        (1.0, {"currentStep": 1.0, "currentModel": 1.0, "loss": 1.0}),
        (2.0, {"currentStep": 1.0, "currentModel": 2.0, "mine": 2.0}),
    ]
    found = [*points_of_block(block_of(rows), ALL), *points_of_block(block_of(rows), ALL)]
    assert [(curve.metric, curve.model, list(curve.values)) for curve in curves_of(gather(found), ALL)] == [
        ("loss", 1, [1.0, 1.0]),
        ("mine", 2, [2.0, 2.0]),
    ]


def test_of_an_overview_only_metrics_that_are_asked_for_and_have_points_are_drawn() -> None:
    body = block_of((1.0, {"currentStep": 1.0, "loss": 1.0, "mine": 2.0, "nan": math.nan}) for _ in range(2))
    overview = overview_of([_record(body)])
    assert [name for name, _, _ in points_of_overview(overview, 1, ALL, range(2))] == ["loss", "mine"]
    assert [name for name, _, _ in points_of_overview(overview, 1, SeriesQuery(metrics=("mine", "nan")), range(2))] == [
        "mine"
    ]


def test_of_an_overview_each_metric_stands_for_as_many_values_as_it_has() -> None:
    rows = [
        (1.0, {"currentStep": float(n), "loss": 0.5, **({"mine": 1.0} if n % 100 == 0 else {})}) for n in range(1_000)
    ]
    overview = overview_of([_record(block_of(rows))])
    assert {name: points.rows for name, _, points in points_of_overview(overview, 1, ALL, range(1_000))} == {
        "loss": 1_000,
        "mine": 10,
    }
    # Of a part it is told as nearly as its buckets are cut.
    part = points_of_overview(overview, 1, SeriesQuery(from_step=0.0, to_step=127.0), range(1_000))
    assert {name: points.rows for name, _, points in part} == {"loss": 128, "mine": 1}


@pytest.mark.parametrize(
    ("query", "share"),
    [
        (ALL, 1.0),
        (SeriesQuery(from_step=5.0, to_step=10.0), 1.0),
        (SeriesQuery(from_step=6.0), 0.8),
        (SeriesQuery(to_step=6.0), 0.2),
        (SeriesQuery(from_step=6.0, to_step=7.0), 0.2),
        (SeriesQuery(from_step=10.0), 0.0),
        (SeriesQuery(to_step=5.0), 0.0),
        (SeriesQuery(from_step=10.5), None),
        (SeriesQuery(to_step=4.5), None),
    ],
)
def test_a_span_of_steps_is_asked_for_where_any_of_them_is(query: SeriesQuery, share: float | None) -> None:
    assert query.overlaps(5.0, 10.0) is (share is not None)
    assert query.encloses(5.0, 10.0) is (share == 1.0)
    assert query.share_of(5.0, 10.0) == (share or 0.0)


def _record(body: StepBlock) -> Record:
    return Record(offset=1, attempt=1, producer="p", sequence=1, body=body)
