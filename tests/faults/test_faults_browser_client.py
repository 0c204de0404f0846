"""What faults do to the browser's own client: the real session stream, in a process of node, through the proxy."""

from __future__ import annotations

import random
import time

from tests.faults.conftest import Effort
from tests.faults.house import House


def test_a_reset_in_mid_stream_is_resumed_within_a_second(house: House, chance: random.Random, effort: Effort) -> None:
    house.serve()
    training, proxy = house.train(), house.proxy()
    page = house.view_browser(through=proxy)
    took = []
    for _ in range(effort(3, 30)):
        page.until_by("websocket")
        training.goes_on(chance.randrange(5, 60))
        proxy.reset()
        at = time.monotonic()
        page.until(lambda at=at: page.applied_at > at, "next frame", 10)  # type: ignore[misc]
        took.append(page.applied_at - at)
    assert training.stop() == 0
    house.judge(training)
    assert len(page.chapters) == 1
    print(f"resumed after {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert max(took) < 1.0, took
