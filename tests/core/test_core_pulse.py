"""How a session stands, in one word; whether its steps come as usual is held by tests/vectors/pulse.json."""

from __future__ import annotations

import pytest

from forge_widgets.core.events import Status
from forge_widgets.core.pulse import Standing, standing
from forge_widgets.core.state import State

NOW = 5_000.0


@pytest.mark.parametrize(
    ("status", "lost", "idle_s", "word"),
    [
        ("waiting", False, 0, "waiting"),
        ("running", False, 1, "running"),
        ("running", False, 6, "slow"),
        ("running", False, 31, "stalled"),
        ("running", True, 1, "lost"),
        ("paused", False, 999, "paused"),
        ("paused", True, 999, "lost"),
        ("completed", True, 999, "completed"),
        ("error", False, 999, "error"),
    ],
)
def test_it_is_the_status_or_what_is_wrong_with_one_that_runs(
    status: Status, *, lost: bool, idle_s: float, word: Standing
) -> None:
    assert standing(State(status=status, lost=lost, updated_at=NOW - idle_s), NOW) == word
