"""The floor: a method of the contract's signature that reads the clock and appends to a deque, which is emptied now and then."""

from __future__ import annotations

from collections import deque
from time import monotonic

from tests.bench.contestants.recorders import Recorder, nothing


class Hooks:
    """Keeps steps as they come."""

    def __init__(self) -> None:
        self.items: deque[object] = deque()

    def emit_step_update(
        self,
        step: int | None = None,
        loss: float | None = None,
        model_idx: int | None = None,
        total_steps: int | None = None,
        total_models: int | None = None,
        **metrics: float,
    ) -> None:
        """Keep a step."""
        self.items.append((monotonic(), step, loss, model_idx, total_steps, total_models, metrics))


def opened() -> Recorder:
    hooks = Hooks()
    return Recorder(hooks.emit_step_update, hooks.items.clear, nothing)
