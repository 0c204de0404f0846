"""The fold: what a log makes of a session."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.events import Event, Record
from forge_widgets.core.state import MAX_MODELS, MAX_PHASES, PACE_SAMPLES, State, fold, fold_all
from forge_widgets.core.steps import block_of


def event(
    event_type: Any, at: float = 1.0, *, offset: int = 1, attempt: int = 1, producer: str = "p", **fields: Any
) -> Record:
    body = Event(event_type=event_type, timestamp=at, **fields)
    return Record(offset=offset, attempt=attempt, producer=producer, sequence=offset, body=body)


def rows(*table: tuple[float, dict[str, float]], offset: int = 1, attempt: int = 1, producer: str = "p") -> Record:
    return Record(offset=offset, attempt=attempt, producer=producer, sequence=offset, body=block_of(table))


def test_before_the_first_record_a_session_waits_with_the_contracts_defaults() -> None:
    state = State()
    assert state.status == "waiting"
    assert (state.value("totalSteps"), state.value("currentModel"), state.value("learningRate")) == (1000, 1, 0.001)
    with pytest.raises(KeyError):
        state.value("mine")


def test_each_event_sets_the_status_that_the_contract_gives_it() -> None:
    told = [
        (event("training_started", 1), "running"),
        (event("phase_completed", 2, name="initialization"), "running"),
        (event("training_error", 3, error="CUDA out of memory"), "error"),
        (rows((4.0, {"loss": 1.0})), "running"),
        (event("step_update", 5, status="paused"), "paused"),
        (event("annotation", 6), "paused"),
        (event("connection_lost", 7), "paused"),
        (event("model_completed", 8, metrics={"currentModel": 1.0}), "running"),
        (event("phase_completed", 9, name="training_complete"), "completed"),
    ]
    state = State()
    for record, status in told:
        state = fold(state, record)
        assert state.status == status, record


def test_an_error_is_told_until_something_else_is_recorded() -> None:
    failed = fold(State(), event("training_error", 1, error="out of memory"))
    assert failed.error == "out of memory"
    assert fold(failed, rows((2.0, {"loss": 1.0}))).error == ""


def test_a_lost_connection_is_told_until_a_producer_is_heard_again() -> None:
    lost = fold(fold(State(), event("training_started", 1)), event("connection_lost", 2))
    assert (lost.lost, lost.status) == (True, "running")
    assert not fold(lost, rows((3.0, {"loss": 1.0}))).lost
    assert not fold(lost, event("training_started", 3)).lost


def test_a_later_attempt_starts_afresh_and_an_earlier_one_is_not_mixed_in() -> None:
    state = fold(State(), rows((1.0, {"loss": 9.0, "mine": 1.0})))
    second = fold(state, event("training_started", 2, attempt=2))
    assert (second.attempt, second.value("loss"), "mine" in second.metrics) == (2, 0, False)
    assert fold(second, rows((3.0, {"loss": 5.0}), attempt=1)) is second


def test_of_two_writers_the_newer_timestamp_wins_a_metric_whatever_came_first() -> None:
    newer = rows((5.0, {"loss": 0.5}), producer="a")
    older = rows((4.0, {"loss": 0.9, "accuracy": 0.3}), producer="b")
    for order in ([newer, older], [older, newer]):
        state = fold_all(State(), order)
        assert (state.value("loss"), state.value("accuracy")) == (0.5, 0.3)


def test_an_older_status_does_not_undo_a_newer_one() -> None:
    state = fold(State(), event("phase_completed", 9, name="training_complete", producer="a"))
    state = fold(state, rows((5.0, {"loss": 1.0}), producer="b"))
    assert state.status == "completed"
    assert fold(state, event("training_error", 6, error="late", producer="b")).error == ""


def test_a_metric_that_is_nan_is_the_newest_value() -> None:
    assert math.isnan(fold(State(), rows((1.0, {"loss": 1.0}), (2.0, {"loss": math.nan}))).value("loss"))


def test_models_show_their_newest_loss_and_whether_they_are_done() -> None:
    state = fold_all(
        State(),
        [
            rows((1.0, {"currentModel": 1.0, "loss": 2.0}), (2.0, {"currentModel": 2.0, "loss": 3.0}), offset=1),
            event("model_completed", 3, metrics={"currentModel": 1.0, "loss": 0.02}, offset=3),
            event("step_update", 4, metrics={"currentModel": 3.0, "loss": 1.0}, offset=4),
            rows((5.0, {"currentModel": 3.0}), offset=5),
        ],
    )
    assert [(m.number, m.loss, m.completed) for m in state.models] == [
        (1, 0.02, True),
        (2, 3.0, False),
        (3, 1.0, False),
    ]


def test_a_row_with_a_model_and_no_loss_and_a_model_beyond_all_bounds_change_nothing() -> None:
    partly = rows((1.0, {"currentModel": 1.0, "loss": 2.0}), (2.0, {"currentModel": 2.0}), (3.0, {"loss": 1.0}))
    state = fold_all(State(), [partly, event("model_completed", 4, metrics={"currentModel": MAX_MODELS + 1.0})])
    assert [m.number for m in state.models] == [1]


def test_phases_are_kept_in_order_and_bounded() -> None:
    state = fold_all(State(), [event("phase_completed", n, name=f"phase {n}") for n in range(1, MAX_PHASES + 5)])
    assert [phase.name for phase in state.phases][:2] == ["phase 1", "phase 2"]
    assert len(state.phases) == MAX_PHASES


def test_thinned_rows_are_counted() -> None:
    record = Record(offset=1, attempt=1, producer="p", sequence=1, body=block_of([(1.0, {"loss": 1.0})], thinned=70))
    state = fold(fold(State(), record), record)
    assert (state.rows, state.thinned) == (2, 140)


STEPS = st.lists(st.floats(0.001, 3.0), min_size=1, max_size=80)


@given(STEPS, st.integers(0, 2**32))
def test_the_state_is_the_same_however_rows_were_cut_into_blocks(gaps: list[float], seed: int) -> None:
    at, table = 100.0, []
    for step, gap in enumerate(gaps):
        at += gap
        table.append(
            (at, {"currentStep": float(step), "currentModel": 1.0, "totalSteps": 80.0, "loss": 1.0 / (step + 1)})
        )
    rng = random.Random(seed)
    blocks, start = [], 0
    while start < len(table):
        stop = rng.randint(start + 1, len(table))
        blocks.append(rows(*table[start:stop], offset=start + 1))
        start = stop
    assert fold_all(State(), blocks) == fold(State(), rows(*table))


def test_pace_is_sampled_once_a_second_over_all_models_and_bounded() -> None:
    block = rows(*((float(t), {"currentStep": float(t), "currentModel": 2.0, "totalSteps": 500.0}) for t in range(100)))
    state = fold(State(), block)
    assert len(state.pace) == PACE_SAMPLES
    assert state.pace[-1].steps == 500 + 99
    alone = fold(State(), rows((1.0, {"currentStep": 7.0})))
    assert alone.pace[0].steps == 7
    assert fold(alone, event("step_update", 5, metrics={"currentStep": 9.0})).pace[-1].steps == 9
    assert fold(alone, event("step_update", 1.5, metrics={"currentStep": 9.0})).pace == alone.pace
    assert fold(State(), rows((1.0, {"currentStep": 7.0}), (2.0, {"loss": 1.0}))).pace == ()


@pytest.mark.parametrize("times", [[1e18, 1e18], [5.0, 9.0, 5.0, 5.0]])
def test_pace_comes_to_an_end_with_times_that_are_no_seconds_or_fall(times: list[float]) -> None:
    """No producer sends such rows; of a file that somebody else has written they are folded all the same."""
    state = fold(State(), rows(*((time, {"currentStep": 1.0}) for time in times)))
    assert 1 <= len(state.pace) <= len(times)


def test_totals_that_were_said_at_the_start_count_in_the_pace() -> None:
    started = event("training_started", 1, metrics={"totalSteps": 50.0, "currentModel": 3.0})
    assert fold(fold(State(), started), rows((2.0, {"currentStep": 5.0}))).pace[-1].steps == 105
