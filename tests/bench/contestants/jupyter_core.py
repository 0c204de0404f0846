"""What a Jupyter server pays for sessions that record: ``jupyter_core SESSIONS RATE SECONDS``.

A server with our extension runs beside one without it, through the same seconds: first nobody watches, then somebody asks for
the list of sessions once a second, as the open panel does. Prints the differences for ``nobody`` and ``panel``: ``core``, per cent
of a core, and ``mb`` of resident memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.streams.jupyter import PREFIX, Jupyter, jupyter
from tests.bench.streams.processes import pages, recording

_START_S, _SETTLE_S = 5.0, 2.0


def main(sessions: str, rate: str, seconds: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder, ExitStack() as opened:
        store = Path(folder, "store")
        ours, bare = (
            opened.enter_context(jupyter(Path(folder, f"jupyter-{ours}"), store, ours=ours)) for ours in (True, False)
        )
        opened.enter_context(recording(store, [f"core-{number}" for number in range(int(sessions))], float(rate)))
        time.sleep(_START_S)
        nobody = _difference(ours, bare, float(seconds))
        opened.enter_context(pages(ours.port, f"{PREFIX}/api/sessions", 1, every_s=1.0))
        time.sleep(_SETTLE_S)
        panel = _difference(ours, bare, float(seconds))
    print(json.dumps({"nobody": nobody, "panel": panel}))


def _difference(ours: Jupyter, bare: Jupyter, seconds: float) -> dict[str, float]:
    before = ours.process.cpu_s() - bare.process.cpu_s()
    time.sleep(seconds)
    used_s = ours.process.cpu_s() - bare.process.cpu_s() - before
    more = ours.process.rss_bytes() - bare.process.rss_bytes()
    return {"core": 100.0 * used_s / seconds, "mb": more / 1e6}


if __name__ == "__main__":
    main(*sys.argv[1:])
