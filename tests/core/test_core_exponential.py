"""exp, the same on every machine: near to math.exp, and bit for bit what the vectors say."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.exponential import exponential, likely_perplexity
from forge_widgets.core.metrics import MAX_PERPLEXITY, perplexity

VECTORS = Path(__file__).parents[1] / "vectors" / "exponential.json"


def bits(value: float) -> int:
    (pattern,) = struct.unpack("<q", struct.pack("<d", value))
    return int(pattern)


@given(st.floats(-745.2, 709.8))
def test_it_is_the_library_s_or_a_double_or_two_beside_it(x: float) -> None:
    try:
        expected = math.exp(x)
    except OverflowError:
        expected = math.inf
    assert abs(bits(exponential(x)) - bits(expected)) <= 2


def test_beyond_what_a_double_holds_it_is_infinite_or_nothing() -> None:
    assert exponential(709.9) == exponential(math.inf) == math.inf
    assert exponential(-745.2) == exponential(-math.inf) == 0.0
    assert exponential(-745.13) == 5e-324
    assert math.isnan(exponential(math.nan))
    assert exponential(0.0) == exponential(-0.0) == 1.0


@given(st.one_of(st.floats(allow_nan=False), st.floats(0, 20)))
def test_a_perplexity_is_predicted_to_within_two_ulps(loss: float) -> None:
    assert abs(bits(likely_perplexity(loss)) - bits(perplexity(loss))) <= 2


def test_a_perplexity_has_the_bounds_of_the_recorded_one() -> None:
    assert likely_perplexity(-3.0) == likely_perplexity(0.0) == likely_perplexity(math.nan) == 1.0
    assert likely_perplexity(700.0) == likely_perplexity(1e9) == likely_perplexity(math.inf)
    assert abs(bits(likely_perplexity(800.0)) - bits(MAX_PERPLEXITY)) <= 2


def test_the_vectors_are_what_this_implementation_computes_to_the_last_bit() -> None:
    for x, result in json.loads(VECTORS.read_text(encoding="utf-8")):
        assert bits(exponential(x)) == bits(result), x
