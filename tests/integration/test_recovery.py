"""What goes wrong in a training and how it comes back, as viewers see it: errors, deaths, checkpoints."""

from __future__ import annotations

from tests.integration.processes import System, until


def test_recovery_from_an_error_is_a_later_update(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    with shared.viewer(session_id) as viewer:
        training.step(1, loss=1.0)
        told = viewer.upto(1)
        training.emit("emit_error", error="CUDA out of memory")
        told += viewer.until_event("training_error")
        training.step(2, loss=0.5)
        told += viewer.upto(2)
    assert [(message["eventType"], message["status"]) for message in told] == [
        ("step_update", "running"), ("training_error", "error"), ("step_update", "running"),
    ]  # fmt: skip
    assert shared.progress(session_id)["status"] == "running"
    training.end()


def test_recovery_of_a_killed_training_goes_on_from_its_checkpoint(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    with shared.viewer(session_id) as viewer:
        training.emit("emit_training_started", total_steps=10, total_models=1)
        training.step(5, loss=1.0, accuracy=0.5)
        viewer.upto(5)
        training.kill()
        lost = viewer.next()
        assert (lost["type"], lost["status"]) == ("connection_lost", "running")
        again = shared.train(session_id, "resume")
        again.step(4, loss=0.75)
        (on,) = viewer.upto(4)
    assert on["metrics"].items() >= {"loss": 0.75, "accuracy": 0.5, "totalSteps": 10}.items()
    again.emit("emit_phase_completed", phase_name="training_complete")
    again.end()
    assert shared.progress(session_id)["status"] == "completed"


def test_recovery_of_a_training_whose_store_is_a_server_that_was_away(mortal: System, session_id: str) -> None:
    mortal.serve()
    remote = mortal.train(session_id, store=mortal.url, FORGE_WIDGETS_TOKEN="a-token-of-the-system")
    remote.step(1, loss=1.0)
    mortal.stop()
    remote.step(2, loss=0.5)  # comes back once it is durable: on the training's own machine
    mortal.serve()
    remote.step(3, loss=0.25)
    until(lambda: mortal.progress(session_id)["metrics"]["currentStep"] == 3, "delivery of the third step")
    remote.end()
