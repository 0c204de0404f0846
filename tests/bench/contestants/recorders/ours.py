"""Ours: the contract's hooks, into a store on the disk."""

from __future__ import annotations

import forge_widgets as forge
from tests.bench.contestants.recorders import Recorder


def opened() -> Recorder:
    hooks = forge.create_progress_hooks("bench")
    hooks.emit_training_started(total_steps=1_000_000, total_models=1)

    def settle() -> None:
        assert hooks.flush(60.0), "not durable within a minute"

    return Recorder(hooks.emit_step_update, settle, hooks.close)
