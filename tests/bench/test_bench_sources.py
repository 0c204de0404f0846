"""What is measured comes to whom it is measured of: real servers, real viewers, and offsets that are read as they were sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.streams.moments import covered
from tests.bench.streams.processes import emitted, serving, training
from tests.bench.streams.sources import OURS, source
from tests.bench.streams.views import watched
from tests.browser.jupyter import wait_for

VIEWERS, MESSAGES = 3, 5


@pytest.mark.parametrize("name", ["bare", "protocols", *OURS])
def test_every_message_of_a_source_reaches_every_viewer(name: str) -> None:
    with source(name) as started, started.watched(VIEWERS) as crowd:
        crowd.begin()
        for number in range(1, MESSAGES + 1):
            started.send()
            wait_for(lambda: _all_have(crowd.counted(), started.sent), f"message {number} at all viewers")
        arrived = covered(crowd.counted(), started.sent)
    assert all(min(moments) > started.sent[number] for number, moments in arrived.items())


@pytest.mark.parametrize("view", ["outline", "rows", "text", "polling 0.1"])
def test_a_training_is_followed_by_the_offsets_of_its_steps(view: str, tmp_path: Path) -> None:
    with serving(tmp_path / "store") as (_, port), training(tmp_path / "store", "t", "100") as trainer:
        with watched(view, port, ["t"], VIEWERS) as crowd:
            crowd.begin()
            wait_for(lambda: _newest(crowd.counted()) > 60, "some sixty steps")
            heard = crowd.counted()
        moments = emitted(trainer)
    arrived = covered(heard, [number for number in moments if number < _newest(heard)])
    assert len(arrived) > 50
    assert all(min(at) > moments[number] for number, at in arrived.items() if at)
    assert max(moments) >= _newest(heard)


def _all_have(heard: dict[str, object], sent: dict[int, float]) -> bool:
    return all(len(moments) == VIEWERS for moments in covered(heard, sent).values())


def _newest(heard: dict[str, list[dict[str, list[int]]]]) -> int:
    return max((message["span"][1] for message in heard["messages"]), default=0)
