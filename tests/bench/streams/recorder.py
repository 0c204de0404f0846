"""Trainings of many sessions in one process: ``python -m tests.bench.streams.recorder RATE SESSION…``, until stdin ends.

Each has hooks of its own and records RATE steps a second of four metrics. Prints ``ready`` once all are in the store.
"""

from __future__ import annotations

import math
import sys
import threading
import time

import forge_widgets as forge


def main(rate: str, *session_ids: str) -> None:
    """Record until stdin ends."""
    ended = threading.Event()

    def hear() -> None:
        sys.stdin.read()
        ended.set()

    everybody = []
    # One after the other: a thousand that begin in the same moment wait for each other in the index.
    for session_id in session_ids:
        hooks = forge.create_progress_hooks(session_id)
        hooks.emit_training_started(total_steps=1_000_000, total_models=1)
        hooks.flush()
        everybody.append(hooks)
    print("ready", flush=True)
    threading.Thread(target=hear, daemon=True).start()
    due, turn = time.monotonic(), 0
    # One session after the other, so that they don't all record in the same moment.
    while not ended.wait(max(0.0, due - time.monotonic())):
        step, number = divmod(turn, len(everybody))
        loss = 2.0 * math.exp(-step / 5_000)
        everybody[number].emit_step_update(step + 1, loss, 0, accuracy=1.0 - loss / 3.0, learning_rate=1e-3)
        turn += 1
        due += 1.0 / (float(rate) * len(everybody))
    for hooks in everybody:
        hooks.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
