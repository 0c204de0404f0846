"""Bytes of a viewer-minute of the real server, both ways: ``stream_bytes RATE SECONDS VIEW…``; prints them by view.

VIEW: ``outline`` (what our pages ask for), ``rows`` (every row), ``text`` (our frames as JSON), ``contract`` (the contract's
socket), or ``polling EVERY_S``; all watch the same training at once. Counted are WebSocket frames and their heads, or HTTP's
requests and answers, once greetings, the first, whole picture and what a stream is told at its beginning are past.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.streams.processes import serving, training
from tests.bench.streams.views import watched

_SETTLE_S = 12.0


def main(rate: str, seconds: str, *views: str) -> None:
    """Measure and print."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder, ExitStack() as opened:
        store = Path(folder, "store")
        _, port = opened.enter_context(serving(store))
        opened.enter_context(training(store, "traffic", rate))
        watching = {view: opened.enter_context(watched(view, port, ["traffic"], 1)) for view in views}
        time.sleep(_SETTLE_S)
        began: dict[str, float] = {}
        for view, crowd in watching.items():
            crowd.begin()
            began[view] = time.monotonic()
        time.sleep(float(seconds))
        for view, crowd in watching.items():
            took_s, heard = time.monotonic() - began[view], crowd.counted()
            assert heard["bytes"], f"nothing came to {view}"
            found[view] = heard["bytes"] * 60.0 / took_s
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
