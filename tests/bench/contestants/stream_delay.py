"""How old a step is when viewers in another process have it: ``stream_delay VIEW RATE VIEWERS SECONDS``.

A training in a process of its own, RATE steps a second or ``quiet``; the real server; VIEW is ``outline`` (what our pages ask
for), ``rows`` (every row), ``text`` or ``polling EVERY_S``. Prints samples in milliseconds: ``newest``, of the newest row of each
frame when it arrives, and ``every``, of every row.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.streams.moments import ages_of_all, ages_of_newest
from tests.bench.streams.processes import emitted, serving, training
from tests.bench.streams.samples import ranked
from tests.bench.streams.views import watched

_SETTLE_S = 2.0


def main(view: str, rate: str, viewers: str, seconds: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        store = Path(folder, "store")
        with serving(store) as (_, port), training(store, "delay", rate) as trainer:
            with watched(view, port, ["delay"], int(viewers)) as watching:
                # Past the greetings and the first, whole pictures.
                time.sleep(_SETTLE_S)
                watching.begin()
                time.sleep(float(seconds))
                heard = watching.counted()
            moments = emitted(trainer)
    found = {"newest": ranked(ages_of_newest(heard, moments)), "every": ranked(ages_of_all(heard, moments))}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
