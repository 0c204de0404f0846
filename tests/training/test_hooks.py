"""The contract's hooks: what they record, and that training never hears of them."""

from __future__ import annotations

import logging
import math
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge_widgets import create_progress_hooks
from forge_widgets.errors import InvalidSessionId, InvalidStoreURL
from forge_widgets.training.run import Run
from tests.training.conftest import Recorded


def test_the_snippet_of_the_contract_records_what_it_says(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("my-training-session-123", store=folder)
    hooks.emit_training_started(total_steps=1000, total_models=3, learning_rate=0.01)
    hooks.emit_step_update(step=10, loss=2.5, model_idx=0, total_steps=1000, total_models=3, dropout=0.1)
    hooks.emit_model_completed(model_idx=0, final_loss=0.1)
    hooks.emit_phase_completed("training_complete", accuracy=0.9)
    assert hooks.flush()
    document = recorded.document("my-training-session-123")
    assert document["status"] == "completed"
    assert document["metrics"] == {
        "loss": 0.1,
        "perplexity": pytest.approx(math.exp(0.1)),
        "grokProgress": 1,
        "currentStep": 10,
        "totalSteps": 1000,
        "currentModel": 1,
        "totalModels": 3,
        "learningRate": 0.01,
        "accuracy": 0.9,
        "dropout": 0.1,
    }
    told = [event.message for event in recorded.events("my-training-session-123")]
    assert told == ["Training started", "Model 1 completed", "Phase training_complete completed"]
    hooks.emit_error("CUDA out of memory")
    assert hooks.flush()
    assert recorded.document("my-training-session-123")["status"] == "error"
    assert recorded.events("my-training-session-123")[-1].error == "CUDA out of memory"
    hooks.close()


def test_what_is_no_number_is_warned_of_once_counted_and_the_rest_recorded(
    folder: Path, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = create_progress_hooks("s", store=folder)
    for step in range(3):
        hooks.emit_step_update(step=step, loss=[1, 2], label="cat", accuracy=0.5, learningRate=np.zeros((2, 2)))
    hooks.emit_phase_completed("p", **{"bad\nname": 1.0, "fine": 2})
    assert hooks.flush()
    assert [row["accuracy"] for row in recorded.rows("s")] == [0.5, 0.5, 0.5]
    assert all(set(row) == {"currentStep", "accuracy", "grokProgress"} for row in recorded.rows("s"))
    assert hooks.refused == 10
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 4
    assert "s: metric 'label' is not recorded: 'cat' is no number" in warned[1]
    assert "a ndarray of shape (2, 2) is no number" in warned[2]
    hooks.close()


def test_nan_and_infinities_are_recorded_and_named(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    hooks.emit_step_update(step=1, loss=math.nan, accuracy=-math.inf, huge=10**400)
    assert hooks.flush()
    document = recorded.document("s")
    assert document["nonfinite"] == {"loss": "NaN", "perplexity": "NaN", "accuracy": "-Infinity", "huge": "Infinity"}
    assert document["metrics"]["loss"] is None
    hooks.close()


class Tensor:
    """What a training loop holds on a device: changed in place, its number costs a wait."""

    def __init__(self, value: float) -> None:
        self.value = value
        # Threads that waited for the number.
        self.read_by: list[str] = []

    def detach(self) -> Tensor:
        return self

    def clone(self) -> Tensor:
        copy = Tensor(self.value)
        copy.read_by = self.read_by
        return copy

    def item(self) -> float:
        self.read_by.append(threading.current_thread().name)
        return self.value


def test_a_loss_that_is_changed_in_place_is_recorded_as_it_was_and_read_on_the_publishers_thread(
    folder: Path, recorded: Recorded
) -> None:
    hooks = create_progress_hooks("s", store=folder)
    tensor, array, scalar = Tensor(0.0), np.zeros(()), np.zeros(1, dtype=np.float32)
    for step in range(200):
        tensor.value = float(step)
        array[...] = step
        scalar[0] = step
        hooks.emit_step_update(step=step, loss=tensor, array=array, scalar=scalar, numpy=np.float16(0.5), flag=np.True_)
    assert hooks.flush()
    rows = recorded.rows("s")
    assert [row["loss"] for row in rows] == [float(step) for step in range(200)]
    assert [row["array"] for row in rows] == [row["scalar"] for row in rows] == [row["loss"] for row in rows]
    assert (rows[0]["numpy"], rows[0]["flag"]) == (0.5, 1.0)
    assert len(tensor.read_by) == 200
    assert threading.current_thread().name not in tensor.read_by
    hooks.close()


class TensorAtHand(Tensor):
    """A tensor in the computer's own memory: to read it costs nothing."""

    class device:  # noqa: N801 - as it is called there
        type = "cpu"


def test_a_tensor_in_the_computers_own_memory_is_read_at_once_and_never_kept(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    tensor = TensorAtHand(0.0)
    for step in range(50):
        tensor.value = float(step)
        hooks.emit_step_update(step=step, loss=tensor)
    assert hooks.flush()
    assert [row["loss"] for row in recorded.rows("s")] == [float(step) for step in range(50)]
    assert set(tensor.read_by) == {threading.current_thread().name}
    hooks.close()


class Hostile:
    """An object that raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("boom")

    def __float__(self) -> float:
        raise RuntimeError("boom")

    def __repr__(self) -> str:
        raise RuntimeError("boom")


def test_no_emit_raises_whatever_it_is_given(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    loose: Any = hooks
    loose.emit_training_started(total_steps=Hostile(), nonsense=Hostile())
    loose.emit_step_update(step=Hostile(), loss=Hostile(), model_idx="first")
    loose.emit_step_update()
    loose.emit_model_completed("first")
    loose.emit_model_completed()
    loose.emit_phase_completed(Hostile())
    loose.emit_error(Hostile())
    hooks.emit_step_update(step=1, loss=0.5)
    assert hooks.flush()
    assert recorded.document("s")["metrics"]["loss"] == 0.5
    hooks.close()


class HostileIndex(Hostile):
    """A step that can't be counted on from."""

    def __index__(self) -> int:
        raise RuntimeError("boom")


def test_no_log_raises_whatever_step_it_is_given(folder: Path, recorded: Recorded) -> None:
    run = Run("s", store=folder)
    loose: Any = run
    loose.log(step=HostileIndex(), loss=0.5)
    run.log(loss=0.25)
    run.close()
    assert [(row.get("currentStep"), row["loss"]) for row in recorded.rows("s")] == [(None, 0.5), (2, 0.25)]


class Slow(Fraction):
    """A number that is read in Python, where Ctrl-C may come in between."""

    interrupted = False

    def __float__(self) -> float:
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        return super().__float__()


@pytest.mark.parametrize("name", ["loss", "mine"])
def test_an_interrupt_while_a_number_is_read_gets_through(folder: Path, recorded: Recorded, name: str) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    number = Slow(1, 2)
    for step in range(2):
        hooks.emit_step_update(step, **{name: number})
    number.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        hooks.emit_step_update(2, **{name: number})
    hooks.close()
    assert [row[name] for row in recorded.rows("s")] == [0.5, 0.5]


class GoneDevice(Tensor):
    """A tensor whose number can't be had any more, with an error that nobody thought of."""

    def clone(self) -> Tensor:
        return self

    def item(self) -> float:
        raise KeyError("device")


def test_a_value_that_cannot_be_read_costs_nothing_but_itself(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    for step in range(3):
        hooks.emit_step_update(step=step, loss=GoneDevice(1.0), accuracy=0.5)
    hooks.emit_phase_completed("training_complete")
    assert hooks.flush()
    assert [row["accuracy"] for row in recorded.rows("s")] == [0.5, 0.5, 0.5]
    assert recorded.document("s")["status"] == "completed"
    assert hooks.refused == 3
    hooks.close()


def test_a_model_that_is_no_number_is_left_out_and_the_rest_recorded(
    folder: Path, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    for step in range(3):
        hooks.emit_step_update(step=step, loss=1.0, model_idx="encoder")
    hooks.emit_model_completed("encoder", final_loss=0.5)
    assert hooks.flush()
    assert [row["currentStep"] for row in recorded.rows("s")] == [0, 1, 2]
    assert recorded.events("s")[-1].metrics["loss"] == 0.5
    assert hooks.refused == 4
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2
    hooks.close()


def test_a_step_that_is_counted_in_place_is_recorded_as_it_was(folder: Path, recorded: Recorded) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    step = np.zeros((), dtype=np.int64)
    for _ in range(50):
        step += 1
        hooks.emit_step_update(step=step, loss=1.0)
    assert hooks.flush()
    assert [row["currentStep"] for row in recorded.rows("s")] == list(range(1, 51))
    hooks.close()


def test_many_threads_may_emit_at_once_and_nothing_is_lost(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)

    def emit(model: int) -> None:
        for step in range(500):
            hooks.emit_step_update(step=step, loss=1.0, model_idx=model)

    threads = [threading.Thread(target=emit, args=(model,)) for model in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hooks.flush()
    rows = recorded.rows("s")
    assert len(rows) == 4_000
    for model in range(8):
        assert [row["currentStep"] for row in rows if row["currentModel"] == model + 1] == list(range(500))
    hooks.close()


def test_two_hooks_of_one_session_write_one_attempt_and_the_later_update_wins(folder: Path, recorded: Recorded) -> None:
    first, second = (create_progress_hooks("s", store=folder) for _ in range(2))
    first.emit_training_started(total_steps=9)
    assert first.flush()
    for step, hooks in enumerate((first, second, first, second), 1):
        hooks.emit_step_update(step, step / 4, **{f"by{step % 2}": step})
        assert hooks.flush()
        assert recorded.document("s")["metrics"]["currentStep"] == step
    assert recorded.document("s")["metrics"].items() >= {"loss": 1.0, "by1": 3, "by0": 4, "totalSteps": 9}.items()
    assert [row["loss"] for row in recorded.rows("s", attempt=1)] == [0.25, 0.5, 0.75, 1.0]
    first.close()
    second.close()


def test_a_second_start_is_the_next_attempt_even_with_the_same_hooks(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    for loss in (1.0, 2.0):
        hooks.emit_training_started(total_steps=5)
        hooks.emit_step_update(step=1, loss=loss)
    assert hooks.flush()
    again = create_progress_hooks("s", store=folder)
    again.emit_training_started(total_steps=5)
    again.emit_step_update(step=1, loss=3.0)
    assert again.flush()
    # What the run before still has to say does not mix in.
    hooks.emit_step_update(step=2, loss=9.0)
    assert hooks.flush()
    assert again.flush()
    assert [[row["loss"] for row in recorded.rows("s", attempt)] for attempt in (1, 2, 3)] == [[1.0], [2.0, 9.0], [3.0]]
    assert recorded.document("s")["metrics"]["loss"] == 3.0
    hooks.close()
    again.close()


def test_a_resumed_session_goes_on_with_its_latest_attempt(folder: Path, recorded: Recorded) -> None:
    for step, resume in ((1, False), (2, True)):
        hooks = create_progress_hooks("s", store=folder, resume=resume)
        hooks.emit_training_started(total_steps=5)
        hooks.emit_step_update(step=step, loss=1.0)
        hooks.close()
    assert [row["currentStep"] for row in recorded.rows("s", attempt=1)] == [1, 2]


@pytest.mark.parametrize("session_id", ["", "..", "a/b", "x" * 129])
def test_a_bad_session_id_is_refused_at_once(session_id: str, folder: Path) -> None:
    with pytest.raises(InvalidSessionId):
        create_progress_hooks(session_id, store=folder)


def test_an_unknown_store_scheme_is_refused_at_once() -> None:
    with pytest.raises(InvalidStoreURL, match="FORGE_WIDGETS_STORE"):
        create_progress_hooks("s", store="carrier-pigeon://loft")


def test_a_fault_inside_an_emit_is_logged_and_kept_from_training(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenRun(Run):
        def add_row(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("boom")

    hooks = create_progress_hooks("s", store=folder)
    hooks.close()
    hooks._run = BrokenRun("s", store=folder)
    hooks.emit_step_update(step=1, loss=1.0)
    assert "emit_step_update is not recorded" in caplog.text
    hooks.close()
