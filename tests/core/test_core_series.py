"""Curves of bounded size: nothing extreme is lost, memory does not grow."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_widgets.core import series
from forge_widgets.core.series import MAX_BUCKETS, Line, Series
from forge_widgets.core.steps import block_of


@settings(deadline=None)  # 5,000 points take longer where a machine is busy
@given(st.integers(1, 5_000), st.integers(0, 2**32))
def test_a_line_keeps_the_least_the_greatest_and_the_newest_in_order_and_in_bounds(count: int, seed: int) -> None:
    rng = random.Random(seed)
    values = [rng.uniform(-1e6, 1e6) for _ in range(count)]
    line = Line()
    for step, value in enumerate(values):
        line.add(float(step), value)
    points = line.points()
    kept = [value for _, value in points]
    steps = [step for step, _ in points]
    assert min(kept) == min(values)
    assert max(kept) == max(values)
    assert points[-1] == (float(len(values) - 1), values[-1])
    assert steps == sorted(set(steps))
    assert len(points) <= 2 * series.MAX_BUCKETS + 1


def test_a_short_line_keeps_every_point() -> None:
    line = Line()
    for step in range(series.MAX_BUCKETS):
        line.add(float(step), float(step % 7))
    assert line.points() == [(float(step), float(step % 7)) for step in range(series.MAX_BUCKETS)]


def test_nan_is_shown_only_while_it_is_the_newest() -> None:
    line = Line()
    line.add(1.0, 0.5)
    line.add(2.0, math.nan)
    assert math.isnan(line.points()[-1][1])
    line.add(3.0, 0.4)
    assert line.points() == [(1.0, 0.5), (3.0, 0.4)]


def test_each_metric_of_each_model_has_a_line_and_coordinates_have_none() -> None:
    curves = Series()
    row = {"currentStep": 1.0, "totalSteps": 9.0, "loss": 1.0, "accuracy": 0.5}
    curves.add_block(
        block_of([(1.0, {**row, "currentModel": 2.0}), (2.0, {**row, "currentModel": 1.0}), (3.0, {"loss": 1.0})])
    )
    assert [(metric, model) for metric, model, _ in curves.lines()] == [
        ("loss", 1),
        ("loss", 2),
        ("accuracy", 1),
        ("accuracy", 2),
    ]


@pytest.mark.parametrize("model", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_a_model_that_is_no_number_of_a_model_is_drawn_as_the_first(model: float) -> None:
    curves = Series()
    curves.add_row({"currentStep": 1.0, "currentModel": model, "loss": 1.0})
    assert [number for _, number, _ in curves.lines()] == [1]


def test_lines_beyond_the_bound_are_not_kept_and_are_named() -> None:
    curves = Series()
    for number in range(series.MAX_LINES + 3):
        curves.add_row({"currentStep": 1.0, f"metric {number:03}": 1.0})
    assert len(list(curves.lines())) == series.MAX_LINES
    assert ("metric 122", 1) in curves.dropped
    assert len(curves.dropped) == 3


FEW = st.sampled_from([0.0, -0.0, 1.0, 2.0, -3.0, math.nan, math.inf, -math.inf])


@given(st.lists(st.lists(st.one_of(FEW, st.floats()), max_size=80), max_size=30), st.integers(2, 8))
def test_points_taken_together_are_the_same_as_taken_one_by_one(parts: list[list[float]], half: int) -> None:
    together, apart = Line(), Line()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "MAX_BUCKETS", 2 * half)
        step = 0.0
        for part in parts:
            steps = [step + index for index in range(len(part))]
            together.extend(steps, part)
            for at, value in zip(steps, part, strict=True):
                apart.add(at, value)
            step += len(part)
    assert repr(together.points()) == repr(apart.points())


ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "currentStep": st.integers(0, 9).map(float),
            **dict.fromkeys(("currentModel", "loss", "a", "b", "totalSteps"), FEW),
        },
    ).filter(bool),
    min_size=1,
    max_size=40,
)


@given(ROWS, st.integers(1, 4))
def test_a_block_draws_what_its_rows_draw(rows: list[dict[str, float]], room: int) -> None:
    whole, apart = Series(), Series()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "MAX_LINES", room)
        whole.add_block(block_of((1.0, row) for row in rows))
        for row in rows:
            apart.add_row(row)
    assert repr(list(whole.lines())) == repr(list(apart.lines()))
    assert whole.dropped == apart.dropped


def test_a_line_that_was_loaded_goes_on_with_buckets_of_the_size_that_they_had() -> None:
    curves = Series()
    curves.load("loss", 1, [(1.0, 5.0), (60.0, 1.0), (130.0, 2.0), (200.0, 0.5), (250.0, 0.75)], 250)
    (_, _, points), *none = curves.lines()
    assert none == []
    assert points == [(1.0, 5.0), (60.0, 1.0), (130.0, 2.0), (200.0, 0.5), (250.0, 0.75)]
    for step in range(251, 351):
        curves.add_row({"currentStep": float(step), "loss": float(step % 10)})
    (_, _, points), *none = curves.lines()
    # Three buckets of 84 rows each are behind the new rows, which fill one and begin another.
    assert points[:5] == [(1.0, 5.0), (60.0, 1.0), (130.0, 2.0), (200.0, 0.5), (250.0, 0.75)]
    assert points[5:] == [(259.0, 9.0), (260.0, 0.0), (339.0, 9.0), (340.0, 0.0), (350.0, 0.0)]


def test_a_line_that_was_loaded_full_is_of_bounded_size_all_the_same() -> None:
    """As an opening gives it: the extremes of MAX_BUCKETS buckets, and the newest point, which is none of these."""
    curves = Series()
    extremes = [(float(step), float(step % 2)) for step in range(2 * MAX_BUCKETS)]
    curves.load("loss", 1, [*extremes, (800.0, 0.5)], 4 * MAX_BUCKETS)
    for step in range(1_000, 4_000):
        curves.add_row({"currentStep": float(step), "loss": float(step % 10)})
        (_, _, points), *_ = curves.lines()
        assert len(points) <= 2 * MAX_BUCKETS + 1


def test_nothing_can_be_loaded_too_and_no_more_lines_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_LINES", 1)
    curves = Series()
    curves.load("loss", 1, [], 0)
    curves.load("mine", 1, [(1.0, 1.0)], 1)
    assert [(metric, points) for metric, _, points in curves.lines()] == [("loss", [])]
    assert curves.dropped == {("mine", 1)}
