"""A training process that does what a test tells it: hand.py SESSION STORE.

A line on stdin names one of the hooks' calls and its arguments, ``["emit_step_update", {"step": 1, "loss": 0.5}]``; the answer
``done`` comes once what it emitted is durable. It is told the wall clock, too (tests/faults/wall_clock.py).
"""

from __future__ import annotations

import json
import sys

from tests.faults.wall_clock import follow_orders

follow_orders()

from forge_widgets import create_progress_hooks  # noqa: E402 - the clock first


def main(session_id: str, store: str, *options: str) -> None:
    """Make the hooks, and do as told until the end of stdin."""
    hooks = create_progress_hooks(session_id, store=store, resume="resume" in options)
    print("ready", flush=True)
    for line in sys.stdin:
        call, arguments = json.loads(line)
        getattr(hooks, call)(**arguments)
        assert hooks.flush(30)
        print("done", flush=True)
    hooks.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
