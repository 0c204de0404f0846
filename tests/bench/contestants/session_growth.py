"""What the server pays for sessions that record: ``session_growth SESSIONS SECONDS``, a step of each in ten seconds.

Prints ``core_unwatched`` and ``core_listed``, per cent of a core while nobody looks, and while somebody asks for the list once a
second; and ``list_ms``, the median time of such an answer.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.bench.streams.processes import Process, recording, serving

_RATE = 0.1
_SETTLE_S = 3.0


def main(sessions: str, seconds: str) -> None:
    """Measure and print."""
    names = [f"growth-{number}" for number in range(int(sessions))]
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        store = Path(folder, "store")
        with serving(store) as (server, port), recording(store, names, _RATE):
            time.sleep(_SETTLE_S)
            unwatched, _ = _core(server, port, float(seconds), asking=False)
            listed, took_ms = _core(server, port, float(seconds), asking=True)
    print(json.dumps({"core_unwatched": unwatched, "core_listed": listed, "list_ms": statistics.median(took_ms)}))


def _core(server: Process, port: int, seconds: float, *, asking: bool) -> tuple[float, list[float]]:
    """Return the per cent of a core, and how long each list took, in milliseconds."""
    before, began, took_ms = server.cpu_s(), time.monotonic(), []
    while (now := time.monotonic()) < began + seconds:
        if asking:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/sessions", timeout=30) as answer:
                answer.read()
            took_ms.append(1000.0 * (time.monotonic() - now))
        time.sleep(max(0.0, now + 1.0 - time.monotonic()))
    return 100.0 * (server.cpu_s() - before) / (time.monotonic() - began), took_ms


if __name__ == "__main__":
    main(*sys.argv[1:])
