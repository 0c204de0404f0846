"""How numbers are written: the same examples as ui/src/stream/numbers.test.ts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.numbers import format_count, format_number, format_percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.184, "0.184"),
        (0.18444444, "0.1844"),
        (1.2, "1.2"),
        (450.0, "450"),
        (12345.0, "12,350"),
        (-0.25, "−0.25"),
        (-1234.5, "−1,235"),
        (0.0001, "0.0001"),
        (0.0000999, "9.99e−5"),
        (-2.5e-7, "−2.5e−7"),
        (999_949.0, "999,900"),
        (999_999.0, "1e6"),
        (1_234_567.0, "1.235e6"),
        (1e300, "1e300"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_a_number_is_written_with_four_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_fewer_digits_can_be_asked_for() -> None:
    assert format_number(0.021349, 3) == "0.0213"
    assert format_number(99_950.0, 3) == "100,000"
    assert format_number(1e-9, 1) == "1e−9"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_is_read_back_within_its_digits(value: float) -> None:
    read = float(format_number(value).replace("−", "-").replace(",", ""))
    assert math.isclose(read, value, rel_tol=5.01e-4) or abs(value) < 1e-300 or math.isinf(read)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1000.0, "1,000"), (-1234567.0, "−1,234,567"), (2.5, "3"), (math.nan, "NaN"), (math.inf, "∞")],
)
def test_a_count_is_written_in_full(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.9999, "99 %"), (1.0, "100 %"), (7.0, "100 %"), (0.481, "48 %"), (-1.0, "0 %"), (math.nan, "–")],
)
def test_a_share_is_never_whole_before_it_is(share: float, text: str) -> None:
    assert format_percent(share) == text
