"""Several writers of one session, by hooks and by HTTP, with clocks that differ: what wins, what is kept, what is applied once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from forge_widgets.stores import open_store
from tests.faults.proxy import Proxy
from tests.faults.wall_clock import WallClock
from tests.integration.processes import TOKEN, Json, System, until
from tests.training.conftest import Recorded

MINUTES = 60.0


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    """Give a wall clock for some of the processes; it is right until a test sets it."""
    return WallClock(tmp_path / "clock")


@pytest.fixture
def proxy(shared: System) -> Iterator[Proxy]:
    made = Proxy(shared.port)
    yield made
    made.close()


def rows(system: System, session_id: str) -> list[tuple[float | None, float | None]]:
    """Return step and loss of all rows that were recorded, in the order of the log."""
    with closing(open_store(system.store)) as store:
        return [(row.get("currentStep"), row.get("loss")) for row in Recorded(store).rows(session_id)]


def shown(system: System, session_id: str, *names: str) -> tuple[object, ...]:
    """Return metrics as everybody is shown them."""
    metrics: Json = system.progress(session_id)["metrics"]
    return tuple(metrics[name] for name in names)


def ago(seconds: float) -> str:
    """Return a moment as a client writes it; a negative one is still to come."""
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("off_s", [-5 * MINUTES, 5 * MINUTES], ids=["five minutes behind", "five minutes ahead"])
def test_conflict_of_two_trainings_is_won_by_the_newer_timestamp_and_the_log_keeps_both(
    shared: System, session_id: str, clock: WallClock, off_s: float
) -> None:
    clock.set(off_s)
    right = shared.train(session_id)
    right.emit("emit_training_started", total_steps=100, total_models=1)
    right.step(1, loss=1.0)
    with shared.viewer(session_id) as viewer:
        other = shared.train(session_id, **clock.environment)
        other.step(2, loss=2.0)
        assert viewer.upto(2)[-1]["metrics"]["loss"] == 2.0, "it came later, whatever its clock says"
        right.step(3, loss=3.0, mine=7)
        told = viewer.next()["metrics"]
    # One that is ahead has the newer timestamps until it is overtaken; what it does not write it does not hold up.
    wins = (2.0, 2) if off_s > 0 else (3.0, 3)
    assert (told["loss"], told["currentStep"], told["mine"]) == (*wins, 7)
    assert shown(shared, session_id, "loss", "currentStep", "mine") == (*wins, 7)
    assert rows(shared, session_id) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    for training in (right, other):
        training.end()


def test_conflict_with_a_clock_that_is_set_back_freezes_nothing(
    shared: System, session_id: str, clock: WallClock
) -> None:
    training = shared.train(session_id, **clock.environment)
    training.emit("emit_training_started", total_steps=10, total_models=1)
    training.step(1, loss=1.0)
    stamps = [shared.progress(session_id)["timestamp"]]
    clock.set(-10 * MINUTES)
    training.step(2, loss=2.0)
    assert shown(shared, session_id, "loss", "currentStep") == (2.0, 2)
    stamps.append(shared.progress(session_id)["timestamp"])
    training.end()
    # A process that goes on, with a clock that was never right, is no older than what it goes on from.
    again = shared.train(session_id, "resume", **clock.environment)
    again.step(3, loss=3.0)
    assert shown(shared, session_id, "loss", "currentStep") == (3.0, 3)
    stamps.append(shared.progress(session_id)["timestamp"])
    assert stamps == sorted(stamps)
    assert rows(shared, session_id) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    again.end()


def test_conflict_of_hooks_and_http_is_decided_metric_by_metric(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    training.step(5, loss=1.0)
    old = {"eventType": "step_update", "metrics": {"loss": 9.0, "accuracy": 0.5}, "timestamp": ago(2 * MINUTES)}
    shared.post(session_id, **old)
    assert shown(shared, session_id, "loss", "accuracy", "currentStep") == (1.0, 0.5, 5), "older, but nobody else knew"
    shared.post(session_id, metrics={"loss": 4.0}, timestamp=ago(-2 * MINUTES))
    assert shown(shared, session_id, "loss") == (4.0,)
    training.step(6, loss=0.5)
    assert shown(shared, session_id, "loss", "currentStep") == (4.0, 6), "the hooks' loss is the older one now"
    assert shared.progress(session_id)["status"] == "running"
    with closing(open_store(shared.store)) as store:
        posted = [event.metrics["loss"] for event in Recorded(store).events(session_id)]
    assert (rows(shared, session_id), posted) == ([(5, 1.0), (6, 0.5)], [9.0, 4.0])
    training.end()


def test_conflict_of_hooks_whose_clock_is_ahead_holds_up_no_client_without_a_clock(
    shared: System, session_id: str, clock: WallClock
) -> None:
    clock.set(5 * MINUTES)
    training = shared.train(session_id, **clock.environment)
    training.step(1, loss=1.0)
    shared.post(session_id, metrics={"loss": 0.5})
    assert shown(shared, session_id, "loss", "currentStep") == (0.5, 1)
    training.step(2, loss=0.25)
    assert shown(shared, session_id, "loss", "currentStep") == (0.25, 2)
    training.end()


def test_conflict_an_older_error_does_not_fail_a_training_that_goes_on(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    training.step(1, loss=1.0)
    shared.post(session_id, eventType="training_error", error="what was long ago", timestamp=ago(MINUTES))
    assert shared.progress(session_id)["status"] == "running"
    training.emit("emit_phase_completed", phase_name="training_complete")
    shared.post(session_id, metrics={"loss": 9.0}, timestamp=ago(MINUTES))
    assert (shared.progress(session_id)["status"], *shown(shared, session_id, "loss")) == ("completed", 1.0)
    training.end()


def test_duplicate_of_an_update_between_a_trainings_steps_is_applied_once(shared: System, session_id: str) -> None:
    training = shared.train(session_id)
    training.step(1, loss=1.0)
    same = {"eventType": "model_completed", "metrics": {"currentModel": 2}, "timestamp": ago(-1)}
    for step in (2, 3):
        assert shared.post(session_id, **same) == {"status": "success", "sessionId": session_id}
        training.step(step, loss=1 / step)
    with closing(open_store(shared.store)) as store:
        assert [event.message for event in Recorded(store).events(session_id)] == ["Model 2 completed"]
    assert [step for step, _ in rows(shared, session_id)] == [1, 2, 3]
    training.end()


def test_duplicate_of_a_batch_whose_answer_was_lost_is_applied_once(
    shared: System, proxy: Proxy, session_id: str
) -> None:
    training = shared.train(session_id, store=f"http://127.0.0.1:{proxy.port}", FORGE_WIDGETS_TOKEN=TOKEN)
    training.step(1, loss=1.0)
    # What it sends arrives, and it never hears so.
    proxy.down.cut_after = 0
    proxy.reset()
    training.step(2, loss=0.5)
    until(lambda: rows(shared, session_id)[-1] == (2, 0.5), "arrival of the second step")
    proxy.down.cut_after = None
    proxy.reset()
    training.step(3, loss=0.25)
    until(lambda: shown(shared, session_id, "currentStep") == (3,), "arrival of the third step")
    training.end()
    assert rows(shared, session_id) == [(1, 1.0), (2, 0.5), (3, 0.25)]
