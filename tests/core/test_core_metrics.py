"""What becomes of metrics at the edge: names, derived values, numbers that are not finite."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forge_widgets.core import metrics
from forge_widgets.errors import InvalidInput, InvalidSessionId

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize("session_id", ["a", "cognate-123456", "A.b_c-9", "...", "x" * 128, ".hidden"])
def test_a_session_id_of_the_contract_is_taken(session_id: str) -> None:
    assert metrics.check_session_id(session_id) == session_id


@pytest.mark.parametrize("session_id", ["", ".", "..", "a/b", "a b", "é", "x" * 129, "a\n", None, 7])
def test_any_other_session_id_is_refused_with_what_was_expected(session_id: object) -> None:
    with pytest.raises(InvalidSessionId, match="1 to 128 of the characters"):
        metrics.check_session_id(session_id)


def test_a_long_session_id_is_shown_cut() -> None:
    with pytest.raises(InvalidSessionId) as caught:
        metrics.check_session_id("/" * 1_000)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("given_name", "on_the_wire"),
    [
        ("learning_rate", "learningRate"),
        ("learningRate", "learningRate"),
        ("grok_progress", "grokProgress"),
        ("current_step", "currentStep"),
        ("loss", "loss"),
        ("val_loss", "val_loss"),
        ("Größe 📏", "Größe 📏"),
    ],
)
def test_contract_names_are_known_in_snake_case_and_own_names_stay(given_name: str, on_the_wire: str) -> None:
    assert metrics.wire_name(given_name) == on_the_wire


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "x" * 201])
def test_a_name_that_no_screen_could_show_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="metric name"):
        metrics.wire_name(name)


@given(NUMBERS)
@example(math.nan)
def test_perplexity_is_never_below_one_and_never_overflows(loss: float) -> None:
    value = metrics.perplexity(loss)
    assert math.isnan(value) if math.isnan(loss) else 1.0 <= value <= metrics.MAX_PERPLEXITY


@given(NUMBERS, NUMBERS)
@example(math.nan, 0.0)
def test_grok_progress_is_a_whole_number_from_0_to_100(step: float, total: float) -> None:
    value = metrics.grok_progress(step, total)
    assert 0 <= value <= 100
    assert value == int(value)


def test_what_the_caller_gave_is_not_derived_again() -> None:
    given_both = {"loss": 1.0, "perplexity": 9.0, "currentStep": 5.0, "grokProgress": 77.0}
    assert metrics.complete(given_both, 10) == given_both
    derived = metrics.complete({"loss": 1.0, "currentStep": 450.0, "totalSteps": 1000.0}, 10)
    assert derived["perplexity"] == pytest.approx(math.e)
    assert derived["grokProgress"] == 45
    assert metrics.complete({"currentStep": 5.0}, 10)["grokProgress"] == 50
    assert metrics.complete({}, 10) == {}


@given(st.dictionaries(st.text(max_size=5), NUMBERS))
def test_split_metrics_are_strict_json_and_name_what_was_not_finite(values: dict[str, float]) -> None:
    safe, nonfinite = metrics.split_nonfinite(values)
    json.dumps(safe, allow_nan=False)
    assert set(nonfinite) == {name for name, value in values.items() if not math.isfinite(value)}
    assert all(safe[name] is None for name in nonfinite)
    assert set(nonfinite.values()) <= {"NaN", "Infinity", "-Infinity"}


def test_counts_are_integers_on_the_wire_and_other_metrics_are_not() -> None:
    safe, _ = metrics.split_nonfinite({"currentStep": 3.0, "loss": 3.0, "totalSteps": 2.5})
    assert json.dumps(safe) == '{"currentStep": 3, "loss": 3.0, "totalSteps": 2.5}'


@given(NUMBERS)
def test_a_packed_number_unpacks_to_itself(value: float) -> None:
    unpacked = metrics.unpack_number(json.loads(json.dumps(metrics.pack_number(value), allow_nan=False)))
    assert unpacked == value or (math.isnan(unpacked) and math.isnan(value))


def test_curves_leave_the_coordinates_out_and_begin_with_loss() -> None:
    assert metrics.curve_names(["totalSteps", "accuracy", "loss", "currentStep", "zeta"]) == [
        "loss",
        "accuracy",
        "zeta",
    ]


@example([0.5, math.nan, -1.0])
@example([math.nan, 800.0])
@example([1.0, 699.0])
@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_a_column_of_losses_has_the_perplexity_of_each(losses: list[float]) -> None:
    assert list(map(repr, metrics.perplexities(losses))) == [repr(metrics.perplexity(loss)) for loss in losses]


@example([1.0, math.nan, 2.0], 1000.0)
@example([1.0, 2.0], math.nan)
@example([3.0, 57.0], 100.0)
@example([1e308], 1.5e308)
@given(st.lists(NUMBERS, min_size=1, max_size=5), NUMBERS)
def test_a_column_of_steps_has_the_progress_of_each(steps: list[float], total_steps: float) -> None:
    expected = [metrics.grok_progress(step, total_steps) for step in steps]
    assert list(metrics.grok_progresses(steps, total_steps)) == expected


@given(st.lists(st.integers(0, 10_000), min_size=1), st.integers(1, 10_000))
def test_a_column_of_counted_steps_has_the_progress_of_each(steps: list[int], total_steps: int) -> None:
    numbers = [float(step) for step in steps]
    expected = [metrics.grok_progress(step, float(total_steps)) for step in numbers]
    assert list(metrics.grok_progresses(numbers, float(total_steps))) == expected
