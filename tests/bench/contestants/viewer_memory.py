"""What an idle viewer takes of the server's memory: ``viewer_memory SOURCE VIEWERS MESSAGES [compress]``.

Prints ``kib``: how much more is resident with so many viewers that have been sent a few messages and now sit there, than with a
few, for each. What the kernel keeps of a socket is not in it.
"""

from __future__ import annotations

import json
import sys
import time

from tests.bench.streams.sources import Source, source

_FIRST = 20
_SETTLE_S = 1.0


def main(name: str, viewers: str, messages: str, *wishes: str) -> None:
    """Measure and print."""
    count = int(viewers)
    with source(name, compress="compress" in wishes) as started, started.watched(_FIRST):
        before = _resident(started, int(messages), _FIRST)
        with started.watched(count):
            after = _resident(started, int(messages), count)
    print(json.dumps({"kib": (after - before) / count / 1024}))


def _resident(started: Source, messages: int, viewers: int) -> int:
    """Let messages go to all, and return what is resident then."""
    for _ in range(messages):
        started.send()
        time.sleep(max(0.1, viewers / 4_000))
    time.sleep(_SETTLE_S)
    return started.server.rss_bytes()


if __name__ == "__main__":
    main(*sys.argv[1:])
