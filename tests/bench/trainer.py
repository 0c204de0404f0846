"""A training in a process of its own that says when it emitted which step: ``trainer.py SESSION RATE``, until stdin ends.

RATE is steps a second, or ``quiet``: a step now and then, after more than a second without one. Three metrics a step, as
training loops have them; perplexity and grok progress are derived. At its end it prints ``STEP SECONDS_SINCE_1970`` for each step.
"""

from __future__ import annotations

import math
import random
import sys
import threading
import time

import forge_widgets as forge

_QUIET_S = (1.05, 1.6)


def main(session_id: str, rate: str) -> None:
    """Train until stdin ends, and print the moments."""
    stop = threading.Event()

    def hear() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=hear, daemon=True).start()
    source = random.Random(11)
    emitted: list[tuple[int, float]] = []
    hooks = forge.create_progress_hooks(session_id)
    hooks.emit_training_started(total_steps=1_000_000, total_models=1)
    due, step = time.monotonic(), 0
    while not stop.is_set():
        due += source.uniform(*_QUIET_S) if rate == "quiet" else 1.0 / float(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        step += 1
        loss = 2.0 * math.exp(-step / 5_000) + 0.05 * source.random()
        emitted.append((step, time.time()))
        hooks.emit_step_update(step, loss, 0, accuracy=1.0 - loss / 3.0, learning_rate=1e-3 / (1 + step / 1_000))
    hooks.emit_phase_completed("training_complete")
    hooks.close()
    sys.stdout.writelines(f"{number} {at:.6f}\n" for number, at in emitted)


if __name__ == "__main__":
    main(*sys.argv[1:])
