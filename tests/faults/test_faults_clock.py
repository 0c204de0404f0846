"""What a wall clock that is set does to a live view: order stays, nobody is taken for lost, nobody comes back in a storm."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from forge_widgets.core.subscription import Slice
from tests.faults.checker import events_of, units_of
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.wall_clock import WallClock

JUMPS: dict[str, Callable[[WallClock], None]] = {
    "an hour on": lambda clock: clock.set(3_600.0),
    "an hour back": lambda clock: clock.set(-3_600.0),
    "to 1970": lambda clock: clock.set_to_1970(),
    "right again": lambda clock: clock.set(0.0),
}


@pytest.mark.parametrize("whose", ["training", "server", "both"])
def test_a_clock_that_jumps_changes_no_order_and_loses_nobody(
    house: House, tmp_path: Path, effort: Effort, whose: str
) -> None:
    clock = WallClock(tmp_path / "clock")
    house.serve(**(clock.environment if whose in ("server", "both") else {}))
    training = house.train("s", 100, "", **(clock.environment if whose in ("training", "both") else {}))
    viewers = [house.watch(), house.watch(transport="http")]
    for _ in range(effort(1, 3)):
        for jump in JUMPS.values():
            jump(clock)
            training.goes_on(20)
            # The next beats and looks at who lives come within this time: 2 s from beat to beat, 0.5 s from look to look.
            time.sleep(effort(0.7, 3.0))
    training.goes_on(20)
    assert training.stop() == 0
    log = house.judge(training)
    assert events_of(log) == ["training_started", "phase_completed"]
    assert_in_order(log)
    assert all(viewer.unbroken for viewer in viewers)
    assert (viewers[0].connections, viewers[0].failures, viewers[1].failures) == (1, [], [])


def test_a_training_that_starts_while_the_clock_is_wrong_is_seen_and_shown_as_the_newest(
    house: House, tmp_path: Path
) -> None:
    """A second attempt, in 1970, of a session whose first one is of today: what is newer is what came later."""
    clock = WallClock(tmp_path / "clock")
    house.serve()
    viewer = house.watch_early("s")
    first = house.train()
    first.goes_on(20)
    assert first.stop() == 0
    clock.set_to_1970()
    second = house.train("s", 100, "", **clock.environment)
    second.goes_on(20)
    time.sleep(1.5)  # three looks at who lives
    assert second.stop() == 0
    log = house.judge(first, second)
    assert events_of(log) == ["training_started", "phase_completed"] * 2
    assert (viewer.state.attempt, viewer.state.rows) == (2, second.step)
    assert viewer.state.value("currentStep") == second.step


def assert_in_order(log: Slice) -> None:
    """See that the rows' timestamps rise with the offsets."""
    stamps = [unit.what[0] for unit in units_of(log.records) if isinstance(unit.what, tuple)]
    assert len(stamps) > 50
    assert all(before < after for before, after in pairwise(stamps))
