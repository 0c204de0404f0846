"""CognateCreatorIntegration of the contract: train the cognates, or run an existing creator, and record it.

Owns the phases and what is recorded of them; the training itself is the trainer's or the creator's.
Called by users and by ``python -m forge_widgets.training.cognate``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, TypedDict

from forge_widgets.core.metrics import check_session_id
from forge_widgets.errors import InvalidInput
from forge_widgets.training.cognate.emitter import ProgressEmitter
from forge_widgets.training.cognate.relay import ModelProgress, ProgressRelay
from forge_widgets.training.cognate.settings import QUICK, CognateSettings
from forge_widgets.training.hooks import create_progress_hooks
from forge_widgets.training.run import StoreLike, describe


class _Trained(TypedDict):
    model: int
    final_loss: float
    steps: int


class CognateResult(_Trained, total=False):
    """One trained model: ``model`` counts from 1; ``final_loss`` is NaN where none was ever reported.

    Cognates of our own add ``seed``, the last step's ``accuracy`` (held-out) and ``train_accuracy``, and the steps at
    which they had memorised (train accuracy 1) and grokked (held-out over 0.95), None where they have not.
    An existing creator's add ``trained``: what it returned for that model.
    """

    seed: int
    accuracy: float
    train_accuracy: float
    memorised_at: int | None
    grokked_at: int | None
    trained: Any


GROKKED = 0.95
"""A cognate has grokked when its held-out accuracy is above this."""


class CognateCreatorIntegration:
    """Train three cognates, or run an existing creator unchanged, and record every step in a session."""

    def __init__(
        self,
        session_id: str,
        creator: Any = None,
        *,
        store: StoreLike = None,
        seed: int = 0,
        settings: CognateSettings | None = None,
        hooks: ProgressEmitter | None = None,
    ) -> None:
        """Say what to train and where to record it; nothing is recorded yet.

        ``creator`` has ``set_progress_callback(callback)`` and ``create_three_models()`` or
        ``train_all_models(models, loaders)``; None trains our own cognates, with seeds ``seed``, ``seed + 1``, ... and
        ``settings`` (None: QUICK). ``store`` None is the user's store; ``hooks`` are used as they are and stay open.
        Raises InvalidSessionId, and InvalidInput for a creator without those methods or a negative seed.
        """
        self.session_id = check_session_id(session_id)
        if creator is not None:
            _check_creator(creator)
        self._seed = _check_whole(seed, "seed", least=0)
        self._creator = creator
        self._store = store
        self._settings = settings or QUICK
        self._hooks = hooks

    def create_cognates_with_progress(
        self, num_models: int = 3, steps_per_model: int = 1000, *, models: Any = None, loaders: Any = None
    ) -> list[CognateResult]:
        """Train, recording the phases ``initialization``, each model, and ``training_complete``; one result a model.

        With an existing creator ``num_models`` and ``steps_per_model`` are what is shown until it names its own, and
        ``models`` and ``loaders`` are for its ``train_all_models``. An exception is recorded as the session's error,
        and raised. Raises InvalidInput for counts below 1, and for ``train_all_models`` with nothing to train.
        """
        num_models = _check_whole(num_models, "num_models", least=1)
        steps_per_model = _check_whole(steps_per_model, "steps_per_model", least=1)
        with self._recording() as hooks:
            hooks.emit_training_started(total_steps=steps_per_model, total_models=num_models)
            hooks.emit_phase_completed("initialization")
            if self._creator is None:
                results = [self._train(hooks, index, num_models, steps_per_model) for index in range(num_models)]
            else:
                relay = ProgressRelay(hooks, total_steps=steps_per_model, total_models=num_models)
                results = self._run_creator(relay, models, loaders)
            hooks.emit_phase_completed("training_complete")
            return results

    @contextmanager
    def _recording(self) -> Iterator[ProgressEmitter]:
        """Give the hooks of one training, and record what ends it early; hooks of our own are flushed at the end."""
        with self._open_hooks() as hooks:
            try:
                yield hooks
            except BaseException as error:  # an interrupt ends the training as surely as an error does
                hooks.emit_error(describe(error))
                raise

    def _open_hooks(self) -> AbstractContextManager[ProgressEmitter]:
        if self._hooks is not None:
            return nullcontext(self._hooks)
        # New ones for each training: so each is an attempt of its own.
        return closing(create_progress_hooks(self.session_id, store=self._store))

    def _train(self, hooks: ProgressEmitter, index: int, num_models: int, steps: int) -> CognateResult:
        """Train the cognate of an index (from 0)."""
        # Here and not above: NumPy is loaded only where cognates are trained.
        from forge_widgets.training.cognate.trainer import train

        memorised_at = grokked_at = None
        report = None
        for report in train(self._settings, seed=self._seed + index, steps=steps):
            hooks.emit_step_update(
                step=report.step,
                loss=report.loss,
                model_idx=index,
                total_steps=steps,
                total_models=num_models,
                accuracy=report.accuracy,
                train_accuracy=report.train_accuracy,
                learning_rate=report.learning_rate,
                grok_progress=report.grok_progress,
            )
            if memorised_at is None and report.train_accuracy == 1.0:
                memorised_at = report.step
            if grokked_at is None and report.accuracy > GROKKED:
                grokked_at = report.step
        assert report is not None  # noqa: S101 - steps is 1 or more
        hooks.emit_model_completed(model_idx=index, final_loss=report.loss)
        return CognateResult(
            model=index + 1,
            final_loss=report.loss,
            steps=report.step,
            seed=self._seed + index,
            accuracy=report.accuracy,
            train_accuracy=report.train_accuracy,
            memorised_at=memorised_at,
            grokked_at=grokked_at,
        )

    def _run_creator(self, relay: ProgressRelay, models: Any, loaders: Any) -> list[CognateResult]:
        """Wire the existing creator's callback and run it as it is."""
        try:
            self._creator.set_progress_callback(relay)
            if callable(getattr(self._creator, "create_three_models", None)) and models is None and loaders is None:
                trained = self._creator.create_three_models()
            else:
                work = _find_work(self._creator, models, loaders)
                trained = self._creator.train_all_models(*work)
            return _results(relay.finish(), trained)
        finally:
            relay.close()


def _find_work(creator: Any, models: Any, loaders: Any) -> tuple[Any, Any]:
    """Find what ``train_all_models`` is to train: given by the caller, or the creator's own."""
    if models is None:
        models = getattr(creator, "models", None)
    for name in ("loaders", "train_loaders"):
        if loaders is None:
            loaders = getattr(creator, name, None)
    if not callable(getattr(creator, "train_all_models", None)):
        raise InvalidInput(
            f"models or loaders were given, and {type(creator).__name__} has no train_all_models",
            where="models",
            expected="none of them for a creator that has only create_three_models()",
        )
    if models is None or loaders is None:
        raise InvalidInput(
            f"{type(creator).__name__}.train_all_models has nothing to train",
            where="models" if models is None else "loaders",
            expected="both as arguments of create_cognates_with_progress, or as attributes of the creator",
        )
    return models, loaders


def _results(reported: Sequence[ModelProgress], trained: object) -> list[CognateResult]:
    """Join what a creator reported of each model with what it returned for it."""
    by_index = {model.index: model for model in reported}
    returned = list(trained) if isinstance(trained, list | tuple) else []
    results = []
    for index in sorted(by_index.keys() | range(len(returned))):
        model = by_index.get(index, ModelProgress(index))
        result = CognateResult(model=index + 1, final_loss=_number(model.loss), steps=model.steps)
        if index < len(returned):
            result["trained"] = returned[index]
        results.append(result)
    return results


def _number(value: Any) -> float:
    """Return a reported loss (a number, an array scalar, a tensor) as a float, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check_creator(creator: object) -> None:
    runs = any(callable(getattr(creator, name, None)) for name in ("create_three_models", "train_all_models"))
    if not runs or not callable(getattr(creator, "set_progress_callback", None)):
        raise InvalidInput(
            f"{type(creator).__name__} can't be run",
            where="creator",
            expected="an object with set_progress_callback(callback) and create_three_models() or "
            "train_all_models(models, loaders), or None for our own cognates",
        )


def _check_whole(value: object, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{value!r} can't be used", where=name, expected=f"a whole number, {least} or more")
    return value
