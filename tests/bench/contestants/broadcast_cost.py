"""The server's processor time for one message to so many viewers: ``broadcast_cost SOURCE VIEWERS MESSAGES``.

Prints ``cpu_ms``: the median over messages, without what the server spends in the same time when nothing is sent.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from tests.bench.streams.sources import Source, source

_IDLE = 6
_SETTLE_S = 1.5
_INTERVAL_S = 0.1
_RESTS_MS, _MOST_S = 0.5, 20.0
"""What a server spends in an interval in which it is at rest, beyond what it does anyway; and how long it may take."""


def main(name: str, viewers: str, messages: str) -> None:
    """Measure and print."""
    count = int(viewers)
    with source(name) as started, started.watched(count) as crowd:
        # Greetings, and the first curves.
        started.send()
        time.sleep(_SETTLE_S + _INTERVAL_S)
        idle = statistics.median(_spent_ms(started) / _INTERVAL_S for _ in range(_IDLE))
        crowd.begin()
        spent = [_cost_ms(started, idle) for _ in range(int(messages))]
        time.sleep(_SETTLE_S)
        heard = crowd.counted()
    if heard["least"] < 0.9 * len(spent):
        raise SystemExit(f"{name}: a viewer heard {heard['least']} of {len(spent)} messages")
    size = statistics.median(message["bytes"] for message in heard["messages"])
    found = {
        "cpu_ms": statistics.median(spent),
        "least_cpu_ms": min(spent),
        "idle_ms_per_s": idle,
        "bytes": size,
    }
    print(json.dumps(found))


def _cost_ms(started: Source, idle: float) -> float:
    """Send a message and return what the server spends until it rests again, less what it would have spent without."""
    before, began = started.server.cpu_s(), time.monotonic()
    started.send()
    while _spent_ms(started) > _RESTS_MS + 2.0 * idle * _INTERVAL_S:
        assert time.monotonic() < began + _MOST_S, "the server does not come to rest"
    took_s = time.monotonic() - began
    return 1000.0 * (started.server.cpu_s() - before) - idle * took_s


def _spent_ms(started: Source) -> float:
    """Return what the server spends in an interval from now."""
    before = started.server.cpu_s()
    time.sleep(_INTERVAL_S)
    return 1000.0 * (started.server.cpu_s() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
