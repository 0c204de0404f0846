"""Loops and functions as people write them: run, track, the contract's decorator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_widgets import integrate_with_existing_training, run, track
from forge_widgets.errors import InvalidInput, InvalidSessionId
from tests.training.conftest import Recorded


def test_a_run_records_its_start_its_steps_and_its_end(folder: Path, recorded: Recorded) -> None:
    with run("s", total_steps=3, total_models=2, store=folder) as training:
        for step in range(3):
            training.log(loss=1.0 / (step + 1), mine=step)
        training.log(step=10, model=2, loss=0.25)
        training.log(loss=0.2)
    assert [row["currentStep"] for row in recorded.rows("s")] == [1, 2, 3, 10, 11]
    document = recorded.document("s")
    assert document["status"] == "completed"
    assert (document["metrics"]["totalSteps"], document["metrics"]["totalModels"]) == (3, 2)
    assert training.refused == 0


def test_a_run_records_the_error_that_ends_it_and_lets_it_through(folder: Path, recorded: Recorded) -> None:
    with pytest.raises(ZeroDivisionError), run("s", store=folder) as training:
        training.log(loss=1 / 0)
    assert recorded.document("s")["status"] == "error"
    assert recorded.events("s")[-1].error == "ZeroDivisionError: division by zero"


def test_a_run_that_is_started_again_records_the_next_attempt(folder: Path, recorded: Recorded) -> None:
    training = run("s", total_steps=2, store=folder)
    for loss in (1.0, 2.0):
        with training:
            training.log(loss=loss)
    training.start()
    training.log(loss=3.0)
    training.start()
    training.log(loss=4.0)
    training.close()
    found = [[(row["currentStep"], row["loss"]) for row in recorded.rows("s", attempt)] for attempt in (1, 2, 3, 4)]
    assert found == [[(1, 1.0)], [(1, 2.0)], [(1, 3.0)], [(1, 4.0)]]
    assert recorded.document("s")["metrics"]["totalSteps"] == 2


def test_an_error_that_has_no_text_is_recorded_and_let_through_all_the_same(folder: Path, recorded: Recorded) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with pytest.raises(Mute), run("s", store=folder):
        raise Mute
    assert recorded.events("s")[-1].error == "Mute: a Mute that has no text"


def test_an_interrupted_run_says_so_and_the_next_is_another_attempt(folder: Path, recorded: Recorded) -> None:
    def interrupted() -> None:
        with run("s", store=folder) as training:
            training.log(loss=5.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert recorded.events("s")[-1].error == "KeyboardInterrupt"
    with run("s", store=folder) as training:
        training.log(loss=1.0)
    assert [row["loss"] for row in recorded.rows("s", attempt=1)] == [5.0]
    assert [row["loss"] for row in recorded.rows("s", attempt=2)] == [1.0]


@pytest.mark.parametrize(
    "totals", [{"total_steps": 0}, {"total_steps": "many"}, {"total_models": -1}, {"total_steps": True}]
)
def test_totals_that_are_no_positive_numbers_are_refused_at_once(totals: dict[str, Any], folder: Path) -> None:
    with pytest.raises(InvalidInput, match="expected a positive number"):
        run("s", store=folder, **totals)


def test_a_tracked_loop_records_a_step_an_item_with_what_was_logged(folder: Path, recorded: Recorded) -> None:
    steps = track(["a", "b", "c"], "s", store=folder)
    assert len(steps) == 3
    for number, _ in enumerate(steps):
        steps.log(loss=float(number))
        steps.log(accuracy=0.5)
    assert [(row["currentStep"], row["loss"], row["accuracy"]) for row in recorded.rows("s")] == [
        (1, 0.0, 0.5),
        (2, 1.0, 0.5),
        (3, 2.0, 0.5),
    ]
    assert recorded.document("s")["status"] == "completed"
    assert recorded.document("s")["metrics"]["totalSteps"] == 3
    assert list(steps) == ["a", "b", "c"]
    assert len(recorded.rows("s", attempt=2)) == 3


def test_a_tracked_loop_may_say_its_steps_and_models_itself(folder: Path, recorded: Recorded) -> None:
    steps = track(range(2), "s", store=folder)
    for number in steps:
        steps.log(step=10 * number, model=2)
    assert [(row["currentStep"], row["currentModel"]) for row in recorded.rows("s")] == [(0, 2), (10, 2)]


def test_a_loop_that_is_left_early_is_completed_only_if_it_says_so(folder: Path, recorded: Recorded) -> None:
    for item in (steps := track(range(100), "s", store=folder)):
        if item == 4:
            steps.complete()
            break
    assert len(recorded.rows("s")) == 5
    assert recorded.document("s")["status"] == "completed"
    for item in steps:
        if item == 2:
            break
    assert len(recorded.rows("s", attempt=2)) == 3
    assert recorded.document("s")["status"] == "error"
    assert recorded.events("s")[-1].error.startswith("left at step 3 of 100: by a break")


def test_an_error_in_the_loop_is_never_recorded_as_completed(folder: Path, recorded: Recorded) -> None:
    def train() -> None:
        for _ in track(iter(range(100)), "s", total=None, store=folder):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert recorded.document("s")["status"] == "error"


def test_a_loop_over_nothing_may_be_run_again(folder: Path, recorded: Recorded) -> None:
    batches: list[int] = []
    steps = track(batches, "s", store=folder)
    assert list(steps) == []
    batches.append(7)
    assert list(steps) == [7]
    assert len(recorded.rows("s", attempt=2)) == 1


def test_an_error_of_the_iterable_is_recorded_and_let_through(folder: Path, recorded: Recorded) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise OSError("the disk of the data set is gone")

    steps = track(batches(), "s", store=folder)
    with pytest.raises(TypeError, match="pass total="):
        len(steps)
    with pytest.raises(OSError, match="data set"):
        list(steps)
    assert recorded.events("s")[-1].error == "OSError: the disk of the data set is gone"


def test_the_decorator_passes_the_hooks_where_the_function_takes_them(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(epochs: int, *, websocket_emitter: Any = None) -> str:
        """Train."""
        for epoch in range(epochs):
            websocket_emitter.emit_step_update(step=epoch, loss=1.0)
        return "trained"

    assert train(3) == "trained"
    assert (train.__name__, train.__doc__) == ("train", "Train.")
    assert len(recorded.rows("s")) == 3


def test_each_call_of_a_decorated_function_is_an_attempt_that_ends_with_it(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(loss: float, *, says_all: bool, websocket_emitter: Any = None) -> None:
        if says_all:
            websocket_emitter.emit_training_started(total_steps=1)
        websocket_emitter.emit_step_update(step=1, loss=loss)
        if says_all:
            websocket_emitter.emit_phase_completed("training_complete")

    for number, says_all in enumerate((False, True, False), 1):
        train(float(number), says_all=says_all)
        assert recorded.document("s")["status"] == "completed"
        assert [row["loss"] for row in recorded.rows("s", attempt=number)] == [number]
    said = [event.event_type for event in recorded.events("s")]
    assert said == ["training_started", "phase_completed"] * 3


def test_a_call_that_brings_its_own_hooks_records_nothing_besides(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(**kwargs: Any) -> Any:
        return kwargs["websocket_emitter"]

    assert train(websocket_emitter="mine") == "mine"
    assert recorded.records("s") == []


def test_a_function_that_takes_no_hooks_is_recorded_as_started_and_completed(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(epochs: int) -> int:
        return epochs

    assert train(3) == 3
    assert [event.event_type for event in recorded.events("s")] == ["training_started", "phase_completed"]
    assert recorded.document("s")["status"] == "completed"


def test_an_exception_of_the_function_is_recorded_and_let_through(folder: Path, recorded: Recorded) -> None:
    @integrate_with_existing_training("s", store=folder)
    def train(**kwargs: Any) -> None:
        kwargs["websocket_emitter"].emit_step_update(step=1, loss=1.0)
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="CUDA"):
        train()
    assert recorded.events("s")[-1].error == "RuntimeError: CUDA out of memory"


def test_a_bad_session_id_is_refused_when_the_function_is_decorated() -> None:
    with pytest.raises(InvalidSessionId):
        integrate_with_existing_training("a/b")
