"""Records steps and says how much more memory it takes for that: ``remembering RECORDER STEPS LIMIT_S``.

``mb`` is what is resident after the last step beyond what was after the first thousand; ``decades`` is all that is resident
after 10³, 10⁴, … steps. Ends early where the limit is reached.
"""

from __future__ import annotations

import json
import os
import sys
import time

from tests.bench.contestants.group import memory_mb
from tests.bench.contestants.recorders import opened

BURST = 1_000


def main(name: str, steps: int, limit_s: float) -> None:
    """Record, and print what is resident."""
    recorder = opened(name)
    done, decades = 0, []
    deadline = time.monotonic() + limit_s
    while done < steps and (done < BURST or time.monotonic() < deadline):
        for step in range(done, done + BURST):
            recorder.record(step, loss=1.0 / (step + 1), accuracy=step / 1e7, learning_rate=1e-3, grad_norm=step % 97)
        done += BURST
        recorder.settle()
        if done in (10**3, 10**4, 10**5, 10**6, 10**7):
            decades.append((done, memory_mb()))
    print(json.dumps({"steps": done, "mb": memory_mb() - decades[0][1], "decades": decades}), flush=True)
    # What it still has to save is nobody's business here, and takes a while for some.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
