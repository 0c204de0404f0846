"""From a training process through ``forge-widgets serve`` to clients of the contract's WebSocket, all of them real."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.processes import System

NINE = {
    "loss", "perplexity", "grokProgress", "currentStep", "totalSteps", "currentModel", "totalModels", "learningRate", "accuracy",
}  # fmt: skip


def test_websocket_tells_each_event_live_and_in_order(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    with shared.viewer(session_id) as viewer:
        assert (viewer.joined["status"], viewer.joined["currentState"]["totalSteps"]) == ("waiting", 1000)
        told = []
        for call, arguments in (
            ("emit_training_started", {"total_steps": 10, "total_models": 2, "learning_rate": 0.5}),
            ("emit_step_update", {"step": 1, "loss": 2.0, "model_idx": 0}),
            ("emit_model_completed", {"model_idx": 0, "final_loss": 1.0}),
            ("emit_step_update", {"step": 1, "loss": 3.0, "model_idx": 1, "mine": 7}),
            ("emit_model_completed", {"model_idx": 1, "final_loss": 0.5}),
            ("emit_phase_completed", {"phase_name": "training_complete"}),
            ("emit_error", {"error": "the disk of the results is full"}),
        ):
            training.emit(call, **arguments)
            # Live: the next is emitted only when this one has come.
            told.append(viewer.next())
    assert [(message["type"], message["eventType"], message["status"]) for message in told] == [
        ("progress_update", "training_started", "running"),
        ("progress_update", "step_update", "running"),
        ("progress_update", "model_completed", "running"),
        ("progress_update", "step_update", "running"),
        ("progress_update", "model_completed", "running"),
        ("progress_update", "phase_completed", "completed"),
        ("training_error", "training_error", "error"),
    ]
    assert [message["message"] for message in told[:-1] if message["eventType"] != "step_update"] == [
        "Training started", "Model 1 completed", "Model 2 completed", "Phase training_complete completed",
    ]  # fmt: skip
    assert told[-1]["error"] == "the disk of the results is full"
    assert all(message["metrics"].keys() >= NINE for message in told[:-1])
    assert [message["metrics"]["loss"] for message in told[1:5]] == [2.0, 1.0, 3.0, 0.5]
    assert told[3]["metrics"].items() >= {"mine": 7, "currentModel": 2, "totalModels": 2, "learningRate": 0.5}.items()
    stamps = [message["timestamp"] for message in told]
    assert stamps == sorted(stamps)
    training.end()


def test_websocket_viewers_of_several_sessions_each_see_their_own(shared: System, session_id: str) -> None:
    sessions = [f"{session_id}-{letter}" for letter in "ab"]
    trainings = [shared.train(name) for name in sessions]
    with ExitStack() as views:
        viewers = [(name, views.enter_context(shared.viewer(name))) for name in sessions for _ in range(3)]
        for step in (1, 2, 3):
            for number, training in enumerate(trainings):
                training.step(step, loss=float(number))
        for name, viewer in viewers:
            messages = viewer.upto(3)
            assert {message["sessionId"] for message in messages} == {name}
            assert {message["metrics"]["loss"] for message in messages} == {float(sessions.index(name))}
    for training in trainings:
        training.end()


def test_websocket_viewer_that_comes_late_is_told_where_the_session_stands(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    training.emit("emit_training_started", total_steps=50, total_models=1)
    training.step(40, loss=0.25, accuracy=0.5)
    with shared.viewer(session_id) as late:
        polled = shared.progress(session_id)
        assert late.joined["currentState"] == polled["metrics"]
        assert (late.joined["status"], late.joined["timestamp"]) == (polled["status"], polled["timestamp"])
        assert late.joined["currentState"].items() >= {"currentStep": 40, "totalSteps": 50, "loss": 0.25}.items()
        training.step(41)
        assert late.next()["metrics"]["currentStep"] == 41
    training.end()
    with shared.viewer(session_id) as latest:
        assert latest.joined["currentState"]["currentStep"] == 41


def test_websocket_goes_on_where_it_was_when_the_server_is_restarted_in_mid_training(
    mortal: System, session_id: str
) -> None:
    mortal.serve()
    training = mortal.train(session_id)
    with mortal.viewer(session_id) as before:
        training.step(1, loss=1.0)
        before.upto(1)
        mortal.stop(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            before.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in (1001, 1012), "it says that it ends, and that clients may come back"
    training.step(2, loss=0.5)
    training.emit("emit_model_completed", model_idx=0)
    mortal.serve()
    with mortal.viewer(session_id) as after:
        assert (after.joined["status"], after.joined["currentState"]["currentStep"]) == ("running", 2)
        assert mortal.progress(session_id)["metrics"] == after.joined["currentState"]
        training.step(3, loss=0.25)
        assert after.next()["metrics"].items() >= {"currentStep": 3, "loss": 0.25}.items()
    training.end()


def test_websocket_viewer_stays_when_the_training_is_started_again(shared: System, session_id: str) -> None:
    with shared.viewer(session_id) as viewer:
        for loss in (4.0, 2.0):
            training = shared.train(session_id)
            training.emit("emit_training_started", total_steps=10, total_models=1)
            training.step(9, loss=loss)
            training.emit("emit_phase_completed", phase_name="training_complete")
            training.end()
            told = viewer.until_event("phase_completed")
            assert told[0]["eventType"] == "training_started"
            assert told[0]["metrics"]["currentStep"] == 0, "each begins anew"
            assert (told[-1]["status"], told[-1]["metrics"]["loss"]) == ("completed", loss)
    assert (shared.progress(session_id)["metrics"]["loss"], shared.progress(session_id)["status"]) == (2.0, "completed")
