"""What a training does whose file may not grow, or whose disk does not sync: nothing is acknowledged that is not durable."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.checker import events_of
from tests.faults.conftest import Effort
from tests.faults.house import House, Training

Harm = Callable[[Training], AbstractContextManager[None]]


@contextmanager
def limited(training: Training) -> Iterator[None]:
    """Forbid a training to let any file grow (``ulimit -f``): a write beyond it is an I/O error."""
    file_size = resource.RLIMIT_FSIZE
    before = resource.prlimit(training.pid, file_size, (4_096, resource.RLIM_INFINITY))
    yield
    resource.prlimit(training.pid, file_size, before)


@contextmanager
def unsynced(training: Training) -> Iterator[None]:
    """Let every fsync of a training's database fail with EIO."""
    training.tell("sync off")
    yield
    training.tell("sync on")


@pytest.mark.parametrize(("harm", "said"), [(limited, "I/O error"), (unsynced, "I/O error")])
def test_a_disk_that_fails_is_said_and_what_waits_is_saved_in_order_once_it_heals(
    house: House, effort: Effort, harm: Harm, said: str
) -> None:
    house.serve()
    training = house.train(FORGE_FAULTS_DISK="failing")
    viewers = [house.watch(), house.watch(transport="http")]
    for _ in range(effort(1, 10)):
        with harm(training):
            for viewer in viewers:
                viewer.until(lambda v=viewer: v.unsaved > 20, "word of what is not saved", 30)  # type: ignore[misc]
                viewer.until(lambda v=viewer: v.reasons and said in v.reasons[-1], f"word of {said!r}")  # type: ignore[misc]
            held = training.step
            house.assert_durable(training)
            for viewer in viewers:
                waiting = viewer.unsaved
                viewer.until(lambda v=viewer, w=waiting: v.unsaved > w, "training that goes on", 30)  # type: ignore[misc]
            house.assert_durable(training)
            assert training.step == held
        training.goes_on(100)
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.unsaved == 0, "word that all is saved", 30)  # type: ignore[misc]
    assert training.stop() == 0
    log = house.judge(training)
    assert training.end["slowest"] < 0.5
    assert "connection_lost" not in events_of(log)
    assert all(viewer.unbroken for viewer in viewers)
