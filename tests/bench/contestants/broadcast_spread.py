"""How far apart viewers get the same message, at 20 a second: ``broadcast_spread SOURCE VIEWERS SECONDS``.

``spread`` is from the first viewer's receipt to the last one's, ``last`` from the call that sends it (ours: that emits it, so
with the commit and the server's looking) to the last receipt; both in milliseconds, of each message.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable

from tests.bench.measured import Json, Spread
from tests.bench.streams.moments import covered
from tests.bench.streams.sources import source

RATE = 20
_SETTLE_S = 1.5


def main(name: str, viewers: str, seconds: str) -> None:
    """Measure and print."""
    count = int(viewers)
    with source(name) as started, started.watched(count) as crowd:
        started.send()
        time.sleep(_SETTLE_S)
        crowd.begin()
        before, due = set(started.sent), time.monotonic()
        for _ in range(round(RATE * float(seconds))):
            started.send()
            due += 1.0 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
        time.sleep(_SETTLE_S)
        arrived = covered(crowd.counted(), started.sent.keys() - before)
    lost = sum(len(moments) < count for moments in arrived.values())
    if lost:
        raise SystemExit(f"{name}: {lost} of {len(arrived)} messages did not reach all")
    found = {
        "spread": _spread(max(moments) - min(moments) for moments in arrived.values()),
        "last": _spread(max(moments) - started.sent[number] for number, moments in arrived.items()),
    }
    print(json.dumps(found))


def _spread(seconds: Iterable[float]) -> Json:
    return Spread.of([1000.0 * value for value in seconds], "ms").json()


if __name__ == "__main__":
    main(*sys.argv[1:])
