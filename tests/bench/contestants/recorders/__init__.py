"""What records the steps of a loop: a file each for the floor, for the peers and for ours, all of one shape.

``opened()`` starts recording into the current folder and returns what the loop calls with a step and its four scalars, and
what is called at the end. A recorder is a context of its own process: nothing here is imported by the suite.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

Record = Callable[..., object]
"""``record(step, loss=…, accuracy=…, learning_rate=…, grad_norm=…)``: ours and the floors are called by the loop itself."""


class Recorder(NamedTuple):
    """A recorder that is open."""

    record: Record
    # Called where what was recorded may come to rest: until it is durable, for those that can say.
    settle: Callable[[], object]
    close: Callable[[], object]


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def opened(name: str) -> Recorder:
    """Open the recorder of recorders/NAME.py."""
    recorder: Recorder = importlib.import_module(f"tests.bench.contestants.recorders.{name}").opened()
    return recorder
