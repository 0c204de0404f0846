"""A training loop in a process of its own, timed with and without us: ``loop.py KIND RECORDER STEPS``; prints JSON.

KIND: ``numpy`` (small matrix products) or ``python`` (arithmetic in pure Python), about a millisecond a step.
RECORDER: ``nothing``; ``hooks``, ours; ``polled``, what was there before: a dict that a server in a thread of the training
answers polls from, asked once a second.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[int], float]
Record = Callable[[int, float], None]


def numpy_step() -> Step:
    """Make a step of gradient descent on a small least-squares problem."""
    source = np.random.default_rng(0)
    inputs, wanted = source.normal(size=(256, 96)), source.normal(size=(256, 24))
    weights = np.zeros((96, 24))

    def step(_: int) -> float:
        errors = inputs @ weights - wanted
        for _ in range(11):
            weights[:] -= 1e-3 * (inputs.T @ errors)
            errors = inputs @ weights - wanted
        return float((errors**2).mean())

    return step


def python_step() -> Step:
    """Make a step of arithmetic that holds the interpreter's lock throughout."""

    def step(number: int) -> float:
        total = 0.0
        for term in range(1, 10_500):
            total += 1.0 / (term + number)
        return total

    return step


def recorder(name: str) -> tuple[Record, Callable[[], None]]:
    """Return how a step is recorded, and what ends it."""
    if name == "nothing":
        return lambda _step, _loss: None, lambda: None
    if name == "hooks":
        import forge_widgets as forge

        hooks = forge.create_progress_hooks("loop")
        hooks.emit_training_started(total_steps=100_000, total_models=1)
        hooks.flush()
        return lambda step, loss: hooks.emit_step_update(step, loss, 0, accuracy=loss / 10), hooks.close
    return _polled()


def _polled() -> tuple[Record, Callable[[], None]]:
    newest: dict[str, Any] = {}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"sessionId": "loop", "metrics": newest, "status": "running"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(1.0):
            urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/", timeout=5).read()

    for work in (server.serve_forever, poll):
        threading.Thread(target=work, daemon=True).start()

    def record(step: int, loss: float) -> None:
        newest.update(currentStep=step, loss=loss, accuracy=loss / 10)

    def end() -> None:
        ended.set()
        server.shutdown()

    return record, end


def main(kind: str, name: str, steps: str) -> None:
    """Train, and say how long it took: in all, and on a core by the whole process."""
    step = numpy_step() if kind == "numpy" else python_step()
    for number in range(20):
        step(number)
    began = time.perf_counter()
    record, end = recorder(name)
    start = time.perf_counter() - began
    began, used = time.perf_counter(), time.process_time()
    for number in range(1, int(steps) + 1):
        record(number, step(number))
    took, used = time.perf_counter() - began, time.process_time() - used
    end()
    print(json.dumps({"start": start, "seconds": took, "core_seconds": used}))


if __name__ == "__main__":
    main(*sys.argv[1:])
