"""How late a Jupyter server's loop runs: ``jupyter_lag SERVING SESSIONS RATE VIEWERS SECONDS``.

SERVING is ``ours``: our extension, serving what two other processes record to viewers in a third; or ``nothing``: a server that
has nothing to do. Prints ``late``: samples in milliseconds, of a timer every 5 ms; and ``core``, per cent of one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.streams.jupyter import PREFIX, jupyter
from tests.bench.streams.processes import recording
from tests.bench.streams.samples import ranked
from tests.bench.streams.views import watched

_SETTLE_S = 3.0


def main(serving: str, sessions: str, rate: str, viewers: str, seconds: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder, ExitStack() as opened:
        store = Path(folder, "store")
        server = opened.enter_context(jupyter(Path(folder, "jupyter"), store, ours=serving == "ours", lag=True))
        if serving == "ours":
            names = [f"lag-{number}" for number in range(int(sessions))]
            for half in (names[::2], names[1::2]):
                opened.enter_context(recording(store, half, float(rate)))
            opened.enter_context(watched("outline", server.port, names, int(viewers), prefix=PREFIX))
        time.sleep(_SETTLE_S)
        server.late_s()
        before = server.process.cpu_s()
        time.sleep(float(seconds))
        core = 100.0 * (server.process.cpu_s() - before) / float(seconds)
        late = ranked(server.late_s())
    print(json.dumps({"late": late, "core": core}))


if __name__ == "__main__":
    main(*sys.argv[1:])
