"""A training in a process of its own, for the fault suite: says on stdout what was acknowledged.

trainer.py steady FOLDER SESSION STEPS_PER_S     train until a line (or the end) comes on stdin
                                                 (FORGE_FAULTS_METRICS: names of further metrics)
trainer.py flood FOLDER SESSION SECONDS          train at 100,000 steps a second, a model completed each half second; where the
                                                 machine is slower go on until the ring could have filled twice
trainer.py fork FOLDER SESSION STEPS             train, fork twice after the first emit, train in all three

With FORGE_FAULTS_DISK=failing ``steady`` takes more lines: ``sync off`` lets SQLite's syncs fail with EIO from now on,
``sync on`` lets them work again.

Lines: ``ack PRODUCER SEQUENCE STEP``: all up to this sequence number is durable. ``started PRODUCER``. ``end {json}``.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.faults import wall_clock

wall_clock.follow_orders()  # before anybody takes the clock by its name

import forge_widgets as forge  # noqa: E402
from forge_widgets.training.buffer import CAPACITY  # noqa: E402
from forge_widgets.training.run import Run  # noqa: E402
from tests.faults.failing_disk import FailingDisk  # noqa: E402

FLOOD_PER_S = 100_000
Progress = dict[str, float]


def say(*words: object) -> None:
    # One write a line, so that processes that share the pipe don't mix theirs.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def acknowledge(run: Run, progress: Progress, ended: threading.Event) -> None:
    """Ask again and again what is durable; the training itself never waits."""
    while not ended.is_set():
        step = int(progress["step"])
        if step and run.flush(0.5):
            # The start takes the first sequence number.
            say("ack", run._producer.id, step + 1, step)
        ended.wait(0.02)


def steady(folder: str, session_id: str, steps_per_s: str) -> None:
    stop = threading.Event()

    def hear() -> None:
        for line in sys.stdin:
            if not line.startswith("sync "):
                break
            assert disk is not None
            disk.syncs = line.strip() == "sync on"
        stop.set()

    disk = FailingDisk() if os.environ.get("FORGE_FAULTS_DISK") == "failing" else None

    threading.Thread(target=hear, daemon=True).start()
    names = os.environ.get("FORGE_FAULTS_METRICS", "").split()
    source = random.Random(7)
    run = forge.run(session_id, store=folder)
    run.start()
    say("started", run._producer.id)
    progress: Progress = {"step": 0, "slowest": 0.0}
    acknowledging = threading.Event()
    asks = threading.Thread(target=acknowledge, args=(run, progress, acknowledging))
    asks.start()
    due, pause = time.monotonic(), 1.0 / float(steps_per_s)
    while not stop.is_set():
        step = int(progress["step"]) + 1
        began = time.monotonic()
        metrics: dict[str, Any] = {name: source.random() for name in names}
        run.log(step=step, loss=1.0 / step, **metrics)
        progress["slowest"] = max(progress["slowest"], time.monotonic() - began)
        progress["step"] = step
        due = max(due + pause, time.monotonic() - 1.0)
        time.sleep(max(0.0, due - time.monotonic()))
    acknowledging.set()
    asks.join()
    run.complete()
    saved = run.flush(20.0)
    if saved:
        say("ack", run._producer.id, int(progress["step"]) + 1, int(progress["step"]))
    run.close()
    say("end", json.dumps({**progress, "saved": saved}))


def flood(folder: str, session_id: str, seconds: str) -> None:
    def rate(log: Callable[[int], None]) -> tuple[int, float]:
        began, step = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < float(seconds) or step < 2 * CAPACITY:
            if step / FLOOD_PER_S > elapsed + 0.01:
                time.sleep(0.01)
            for _ in range(1_000):
                step += 1
                log(step)
        return step, step / (time.monotonic() - began)

    with forge.run(session_id, store=folder) as run:
        say("started", run._producer.id)
        completed = 0
        next_model = time.monotonic()

        def log(step: int) -> None:
            nonlocal completed, next_model
            run.log(step=step, loss=1.0 / step)
            if step % 1_000 == 0 and time.monotonic() >= next_model:
                completed, next_model = completed + 1, time.monotonic() + 0.5
                run.add_event("model_completed", {"currentModel": completed}, message=f"Model {completed} completed")

        emitted, per_s = rate(log)
        saved = run.flush(60.0)
    say("end", json.dumps({"emitted": emitted, "perSecond": per_s, "completed": completed, "saved": saved}))


def fork(folder: str, session_id: str, steps: str) -> None:
    run = forge.run(session_id, store=folder)
    run.start()
    run.log(step=1, loss=1.0)

    def train(first: int, offset: int) -> None:
        for step in range(first, int(steps) + 1):
            run.log(step=step, loss=1.0 / step)
        assert run.flush(30.0)
        say("ack", run._producer.id, int(steps) + offset, int(steps))

    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            train(1, 0)
            run.close()
            os._exit(0)
        children.append(child)
    train(2, 1)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    run.complete()  # or a server notes that nobody trains any more, perhaps while the log is judged
    run.close()


TASKS: dict[str, Callable[..., None]] = {"steady": steady, "flood": flood, "fork": fork}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
