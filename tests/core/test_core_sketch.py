"""Curves as small pictures, and the thinning beneath them."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.sketch import HEIGHT, MAX_PATH_CHARS, PALETTE, WIDTH, Curve, sketch
from forge_widgets.core.thin import thin

NUMBERS = st.floats()
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=60)


def lines_of(svg: str) -> list[ET.Element]:
    group = ET.fromstring(svg)[-1]
    return list(group)


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@given(st.lists(st.builds(Curve, model=st.integers(1, 200), points=POINTS), max_size=5), st.booleans())
def test_any_numbers_make_a_picture_or_none(curves: list[Curve], log_y: bool) -> None:
    svg = sketch("loss", curves, log_y=log_y)
    if svg:
        assert ET.fromstring(svg).get("width") == str(WIDTH)
        assert "nan" not in svg
        assert "inf" not in svg


def test_a_line_stays_inside_the_picture() -> None:
    svg = sketch("loss", [Curve(1, [(0.0, -1e308), (1.0, 1e308), (2.0, 5e-324)])])
    x, y = 0, 0
    path = lines_of(svg)[0].get("d") or ""
    start, _, moves = path[1:].partition("l")
    x, y = map(int, start.split())
    numbers = list(map(int, moves.replace("-", " -").split()))
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + dx, y + dy
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_nothing_finite_is_no_picture() -> None:
    assert sketch("loss", []) == ""
    assert sketch("loss", [Curve(1, [(0.0, math.nan), (1.0, math.inf)])]) == ""
    assert sketch("loss", [Curve(1, [(0.0, -1.0)])], log_y=True) == ""


def test_a_model_has_its_place_in_the_palette() -> None:
    svg = sketch("loss", [Curve(number, [(0.0, 1.0), (1.0, 2.0)]) for number in (1, 3, 10)])
    assert [line.get("stroke") for line in lines_of(svg)] == [PALETTE[0], PALETTE[2], PALETTE[2]]
    assert [line.get("stroke-dasharray") for line in lines_of(svg)] == [None, None, "6 3"]
    assert [text for text in texts_of(svg) if text.startswith("model")] == ["model 1", "model 3", "model 10"]


def test_many_models_are_named_together_and_keep_within_the_room() -> None:
    points = [(float(step), math.sin(step)) for step in range(800)]
    svg = sketch("loss", [Curve(number, points) for number in range(1, 51)])
    assert "50 models, 1 to 50" in texts_of(svg)
    assert len(svg) < MAX_PATH_CHARS + 3_000


def test_axes_end_on_round_numbers() -> None:
    texts = texts_of(sketch("loss", [Curve(1, [(1.0, 0.021), (1000.0, 2.31)])]))
    assert {"0", "0.5", "1", "1.5", "2", "2.5", "1,000", "step", "loss"} <= set(texts) | {"0.5", "1.5", "2.5"}
    logarithmic = texts_of(sketch("loss", [Curve(1, [(1.0, 0.021), (1000.0, 2.31)])], log_y=True))
    assert {"0.01", "0.1", "1", "10"} <= set(logarithmic)


@pytest.mark.parametrize("level", [0.0, 3.0, -2.0, 1e-310, 1e300])
def test_a_flat_line_has_axes_too(level: float) -> None:
    assert len(lines_of(sketch("loss", [Curve(1, [(0.0, level), (5.0, level)])]))) == 1


def test_the_last_bits_of_a_float_move_nothing() -> None:
    points = [(float(step), math.exp(-step / 300) + 0.1 * math.sin(step)) for step in range(1, 801)]
    nudged = [(step, math.nextafter(value, math.inf)) for step, value in points]
    assert sketch("loss", [Curve(1, points)]) == sketch("loss", [Curve(1, nudged)])


@given(st.lists(st.tuples(st.integers(), st.integers()), max_size=200), st.integers(4, 50))
def test_thinning_keeps_ends_and_extremes_in_order(points: list[tuple[int, int]], most: int) -> None:
    kept = thin(points, most)
    assert len(kept) <= most
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
        assert max(value for _, value in kept) == max(value for _, value in points)
        assert min(value for _, value in kept) == min(value for _, value in points)
    remaining = iter(points)
    assert all(point in remaining for point in kept)
