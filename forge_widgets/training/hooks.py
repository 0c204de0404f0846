"""The contract's hooks: five emits that existing training code calls. Thin around a run."""

from __future__ import annotations

import functools
import logging
import struct
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar, cast

from forge_widgets.core.state import COMPLETING
from forge_widgets.training.buffer import Buffer
from forge_widgets.training.packed import FROM_ZERO, LEFT_OUT, pack_common
from forge_widgets.training.run import Run, StoreLike, describe

logger = logging.getLogger("forge_widgets")

Emit = TypeVar("Emit", bound=Callable[..., None])


def _never_raises(emit: Emit) -> Emit:
    """Keep whatever an emit trips over away from training: it is logged."""

    @functools.wraps(emit)
    def guarded(hooks: ProgressHooks, *args: Any, **kwargs: Any) -> None:
        try:
            emit(hooks, *args, **kwargs)
        except Exception:  # training goes on whatever happens to its progress
            logger.warning("%s: %s is not recorded", hooks.session_id, emit.__name__, exc_info=True)

    return cast("Emit", guarded)


class ProgressHooks:
    """What training code calls to say how it is doing; made by :func:`create_progress_hooks`.

    Thread-safe. No ``emit_…`` ever raises into training or waits for a disk or a network: a value that is no number is
    warned of once (logger ``forge_widgets``), counted in ``refused``, and the rest is recorded.
    """

    def __init__(
        self, session_id: str, *, store: StoreLike = None, resume: bool = False, starts_itself: bool = False
    ) -> None:
        """Make the hooks; with ``starts_itself`` whatever is recorded first opens an attempt, said or not."""
        self.session_id = session_id
        self._starts_itself = starts_itself
        self._run = Run(session_id, store=store, resume=resume)
        # What steps are appended to: the run's, once this has recorded something; none is appended to this one.
        self._buffer = Buffer(0)
        # True once this producer has recorded something: the next start is a new attempt, by a new producer.
        self._used = False
        # True once an error or a phase that completes the session was recorded, until the next start.
        self._ended = False

    @property
    def refused(self) -> int:
        """How many values could not be recorded, because they were no numbers."""
        return self._run.refused

    @property
    def open_ended(self) -> bool:
        """Whether something was recorded, and nothing that ends it."""
        return self._used and not self._ended

    @_never_raises
    def emit_training_started(
        self, total_steps: int | None = None, total_models: int | None = None, **metrics: Any
    ) -> None:
        """Record that a training starts: the session's next attempt.

        Args:
            total_steps: steps of each model.
            total_models: how many models are trained.
            metrics: the contract's metrics, in camelCase or snake_case, and any of your own.
        """
        if self._used:
            self._run.begin_attempt()
        self._used, self._ended = True, False
        given = {"total_steps": total_steps, "total_models": total_models, **metrics}
        self._run.add_event("training_started", given, message="Training started")

    def emit_step_update(
        self,
        step: int | None = None,
        loss: Any = LEFT_OUT,
        model_idx: int | None = LEFT_OUT,
        total_steps: int | None = LEFT_OUT,
        total_models: int | None = LEFT_OUT,
        accuracy: Any = LEFT_OUT,
        learning_rate: Any = LEFT_OUT,
        grad_norm: Any = LEFT_OUT,
        **metrics: Any,
    ) -> None:
        """Record one step. What is left out or None stays as it was.

        Args:
            step: its number within the model, from 0 or 1.
            loss: a number, an array scalar or a tensor of one element, copied now and read later; so are the others.
            model_idx: which model, from 0.
            total_steps: steps of each model.
            total_models: how many models.
            accuracy: as a share, or in per cent.
            learning_rate: as it is in this step.
            grad_norm: the norm of the gradients.
            metrics: the contract's others, in camelCase or snake_case, and any of your own.
        """
        buffer = self._buffer
        items = buffer.items
        try:
            # The common metrics take 0.38 µs where a call with **metrics, the clock and an append take 0.28; one of another
            # name makes it 1.0, three 1.3. What goes the long way below, such as NumPy's scalars, takes 0.7 and 1.4. Packing
            # in a method of its own would make each 0.1 more.
            if (
                type(loss) is type(accuracy) is type(learning_rate) is type(grad_norm) is float
                and type(step) is int
                and (model_idx is LEFT_OUT or type(model_idx) is int)
                and (total_steps is LEFT_OUT or type(total_steps) is int)
                and (total_models is LEFT_OUT or type(total_models) is int)
                and len(items) < buffer.room
            ):
                # fmt: off
                if not metrics:
                    items.append(pack_common(
                        FROM_ZERO, monotonic(), step, loss, model_idx, total_steps, total_models,
                        accuracy, learning_rate, grad_norm,
                    ))
                else:
                    shapes = buffer.shapes
                    shape = shapes.from_zero[tuple(metrics)]
                    for value in metrics.values():
                        if type(value) is not float and type(value) not in shapes.plain:
                            raise KeyError
                    items.append(pack_common(
                        shape.number, monotonic(), step, loss, model_idx, total_steps, total_models,
                        accuracy, learning_rate, grad_norm,
                    ) + shape.pack_others(*metrics.values()))
                # fmt: on
                if buffer.idle:
                    buffer.wake()
                return
        except (KeyError, struct.error):
            pass  # a metric that is not known yet, or none; a number that no double holds
        try:
            if not self._used:
                self._begin()
            model = LEFT_OUT if model_idx is LEFT_OUT else _from_one(model_idx)
            self._buffer = self._run.add_row(
                step, loss, model, total_steps, total_models, accuracy, learning_rate, grad_norm, metrics
            )
        except Exception:  # as in _never_raises, without the cost of a second call in the loop
            logger.warning("%s: emit_step_update is not recorded", self.session_id, exc_info=True)

    @_never_raises
    def emit_model_completed(self, model_idx: int, final_loss: Any = None, **metrics: Any) -> None:
        """Record that a model is trained; ``model_idx`` counts from 0, ``final_loss`` becomes the session's loss."""
        self._begin()
        model = _from_one(model_idx)
        given = {"current_model": model, "loss": final_loss, **metrics}
        self._run.add_event("model_completed", given, message=f"Model {model} completed")

    @_never_raises
    def emit_phase_completed(self, phase_name: str, **metrics: Any) -> None:
        """Record that a phase is over; a name that contains ``complete`` completes the session."""
        self._begin()
        name = str(phase_name)
        self._ended = self._ended or COMPLETING in name
        self._run.add_event("phase_completed", metrics, message=f"Phase {name} completed", name=name)

    @_never_raises
    def emit_error(self, error: object) -> None:
        """Record an error, given as text or exception: the status is ``error`` until something else is recorded."""
        self._begin()
        self._ended = True
        self._run.add_event("training_error", error=describe(error))

    def __reduce__(self) -> tuple[Callable[..., ProgressHooks], tuple[object, ...]]:
        """Make hooks of the same session in the process that these are sent to: a producer of its own, in this attempt."""
        # What was emitted so far is recorded first: the other process joins it.
        self.flush()
        return _in_another_process, (self.session_id, self._run.store_name)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that was emitted is durable; False where that took longer than ``timeout_s``."""
        return self._run.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Save what is left and end the background thread; at most ``timeout_s``. Called at exit by itself."""
        self._run.close(timeout_s)

    def _begin(self) -> None:
        """Note that something is recorded; where nobody has said the start by then, say it."""
        if self._starts_itself and not self._used:
            self._run.add_event("training_started", message="Training started")
        self._used = True


def _from_one(model_idx: Any) -> Any:
    """Count a model from 1; what can't be counted is left as it is, for the run to refuse."""
    try:
        return model_idx + 1
    except Exception:  # noqa: BLE001  # None, or a user's object, which may raise anything; the rest is to be recorded
        return model_idx


def _in_another_process(session_id: str, store: StoreLike) -> ProgressHooks:
    return ProgressHooks(session_id, store=store)


def create_progress_hooks(session_id: str, *, store: StoreLike = None, resume: bool = False) -> ProgressHooks:
    """Make the hooks of a session.

    Args:
        session_id: names the session: 1 to 128 of ``A-Z a-z 0-9 . _ -``, neither ``.`` nor ``..``.
        store: where it is recorded: a store, a folder or a URL; None is ``FORGE_WIDGETS_STORE`` or the user's own.
        resume: True goes on with the session's latest attempt instead of opening the next.

    Raises:
        InvalidSessionId: for an id outside the above.
        InvalidStoreURL: for a store URL of an unknown scheme.
    """
    return ProgressHooks(session_id, store=store, resume=resume)
