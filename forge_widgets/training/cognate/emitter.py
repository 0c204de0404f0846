"""What the cognates' training needs of the progress hooks: the contract's five calls.

Pure types. create_progress_hooks returns one; anything with the same five methods can be given in its place.
"""

from __future__ import annotations

from typing import Any, Protocol


class ProgressEmitter(Protocol):
    """Record the progress of a session. No call raises into training."""

    # Any: metrics are numbers, array scalars or tensors of libraries that are not imported here.
    def emit_training_started(
        self, total_steps: int | None = ..., total_models: int | None = ..., **metrics: Any
    ) -> None:
        """Record that a training of so many models begins, each of so many steps."""

    def emit_step_update(
        self,
        step: int,
        loss: Any = ...,
        model_idx: int | None = ...,
        total_steps: int | None = ...,
        total_models: int | None = ...,
        **metrics: Any,
    ) -> None:
        """Record a step of the model with this index (from 0); loss None leaves it as it was."""

    def emit_model_completed(self, model_idx: int, final_loss: Any = ..., **metrics: Any) -> None:
        """Record that the model with this index (from 0) is trained."""

    def emit_phase_completed(self, phase_name: str, **metrics: Any) -> None:
        """Record that a phase is over."""

    def emit_error(self, error: str, /) -> None:
        """Record that training failed, in words."""
