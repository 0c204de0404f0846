"""The sessions of a store as a list."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import pytest

from forge_widgets.analysis.sessions import sessions
from forge_widgets.core.events import Body, Event
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.steps import block_of
from forge_widgets.errors import InvalidInput
from forge_widgets.stores.base import Store
from forge_widgets.stores.processes import this_host

Record = Callable[[str, str, Sequence[Body]], None]

T0 = 1_763_800_000.0


def steps(count: int, first: float = T0) -> Body:
    totals = {"totalSteps": 100.0, "totalModels": 2.0, "currentModel": 1.0}
    return block_of([(first + step, {"currentStep": float(step), "loss": 0.5, **totals}) for step in range(count)])


def test_the_newest_update_comes_first_and_status_and_limit_narrow_the_list(store: Store, record: Record) -> None:
    for number, name in enumerate(["a", "b", "c"]):
        record(name, "p1", [steps(2, T0 + 10 * number)])
    record("b", "p1", [Event(event_type="training_error", timestamp=T0 + 90, error="CUDA out of memory")])
    assert [found.session_id for found in sessions(store=store)] == ["b", "c", "a"]
    assert [found.session_id for found in sessions(store=store, limit=2)] == ["b", "c"]
    (failed,) = sessions(store=store, status="error")
    assert (failed.session_id, failed.error) == ("b", "CUDA out of memory")
    assert repr(failed) == "<SessionInfo b: error, model 1/2, step 1/100, loss 0.5>"


def test_a_session_says_how_far_it_is_and_how_long_it_takes(store: Store, record: Record) -> None:
    record("run", "p1", [steps(11)])
    (found,) = sessions(store=store)
    assert (found.status, found.rows, found.attempt, found.lost) == ("running", 11, 1, False)
    assert found.metrics["currentStep"] == 10
    assert found.left is not None
    assert found.left.seconds == pytest.approx(190.0)
    assert (found.created_at.timestamp(), found.updated_at.timestamp()) == (T0, T0 + 10)


def test_a_running_session_says_whether_its_steps_come_as_usual(store: Store, record: Record) -> None:
    record("stands", "p1", [steps(11)])
    record("goes", "p1", [steps(11, time.time() - 10)])
    assert {found.session_id: found.standing for found in sessions(store=store)} == {
        "stands": "stalled",
        "goes": "running",
    }


def test_a_training_whose_process_is_gone_is_said_to_be_lost(store: Store, record: Record) -> None:
    record("run", "p1", [steps(11)])
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    beat = Heartbeat(producer="p1", attempt=1, pid=process.pid, host=this_host(), beat=time.time())
    store.beat("run", beat)
    (found,) = sessions(store=store)
    assert (found.lost, found.standing) == (True, "lost")
    assert found.left is None
    assert "running, training gone" in str(found)


def test_bad_arguments_are_errors_that_say_what_was_expected(store: Store) -> None:
    assert sessions(store=store) == []
    with pytest.raises(InvalidInput, match="expected one of completed, error, paused, running, waiting"):
        sessions(store=store, status="done")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="1 or more"):
        sessions(store=store, limit=0)
