"""What an existing creator reports, relayed to the hooks: dicts with some of the contract's metrics become emits.

Owns the reading of those dicts and which model stands where. Never raises into the creator's training: a report that
can't be read is warned of once and passed over. The integration gives it to the creator as its progress callback.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forge_widgets.training.cognate.emitter import ProgressEmitter

_log = logging.getLogger(__name__)

# Names under which creators say where a step stands. Those of the contract come first.
_STEP = ("currentStep", "current_step", "step")
_TOTAL_STEPS = ("totalSteps", "total_steps")
_TOTAL_MODELS = ("totalModels", "total_models")
_MODEL_FROM_1 = ("currentModel", "current_model")
_MODEL_FROM_0 = ("modelIndex", "model_index", "modelIdx", "model_idx")
_COMPLETED = ("modelCompleted", "model_completed")
_EVENT = ("event", "eventType", "event_type")
_NO_METRICS = frozenset(
    (*_STEP, *_TOTAL_STEPS, *_TOTAL_MODELS, *_MODEL_FROM_1, *_MODEL_FROM_0, *_COMPLETED, *_EVENT, "loss", "timestamp")
)


@dataclass(slots=True)
class ModelProgress:
    """Hold how far one model is, as reported."""

    index: int
    """From 0."""
    last_step: int | None = None
    """Newest step reported, None before the first."""
    from_zero: bool = False
    """Whether the creator counts steps from 0."""
    loss: Any = None
    """Newest loss as it was reported (any kind of number), None before the first."""
    total_steps: int | None = None
    """Steps of this model where the creator says so."""
    completed: bool = False
    """Whether its completion has been emitted."""

    @property
    def steps(self) -> int:
        """Steps trained so far."""
        if self.last_step is None:
            return 0
        counted = self.last_step + (1 if self.from_zero else 0)
        return counted if self.total_steps is None else min(counted, self.total_steps)


class ProgressRelay:
    """Emit what a creator reports; an instance is the callback. May be called from several threads at once."""

    def __init__(self, hooks: ProgressEmitter, *, total_steps: int, total_models: int) -> None:
        """Relay to the hooks; the totals count where the creator names none."""
        self._hooks = hooks
        self._total_steps = total_steps
        self._total_models = total_models
        self._lock = threading.Lock()
        # By index, in the order of their first reports.
        self._models: dict[int, ModelProgress] = {}
        # Index of the model that reported last.
        self._current = 0
        # True once a model has reported after a later one: then a change of model says nothing about completion.
        self._in_parallel = False
        self._warned = False
        # True once finished or failed: a creator that goes on is not listened to any more.
        self._closed = False

    def __call__(self, report: object) -> None:
        """Relay one report of the creator."""
        with self._lock:
            if self._closed:
                return
            try:
                self._relay(_flat(report))
            except (TypeError, ValueError, OverflowError) as error:
                if not self._warned:
                    self._warned = True
                    _log.warning(
                        "a progress report of the creator was left out: %s. Expected a dict with some of loss, "
                        "currentStep, totalSteps, currentModel, ...; got %.200r. Further ones are left out silently",
                        error,
                        report,
                    )

    def finish(self) -> list[ModelProgress]:
        """Complete every model that has reported, stop listening, and return them in the order of their index."""
        with self._lock:
            models = [self._models[index] for index in sorted(self._models)]
            for model in models:
                self._complete(model)
            self._closed = True
            return models

    def close(self) -> None:
        """Stop listening."""
        with self._lock:
            self._closed = True

    def _relay(self, report: Mapping[str, Any]) -> None:
        self._total_models = _whole(report, _TOTAL_MODELS) or self._total_models
        event = _first(report, _EVENT)
        if event is not None and event != "step_update" and not _flag(report, _COMPLETED):
            return  # "training_started" and the like: the integration says those itself
        step = _whole(report, _STEP)
        metrics = {name: value for name, value in report.items() if name not in _NO_METRICS and _may_be_number(value)}
        if step is None and report.get("loss") is None and not metrics and not _flag(report, _COMPLETED):
            return
        model = self._enter(self._index(report, step))
        model.total_steps = _whole(report, _TOTAL_STEPS) or model.total_steps
        self._step(model, step, report.get("loss"), metrics)
        if _flag(report, _COMPLETED):
            self._complete(model)

    def _index(self, report: Mapping[str, Any], step: int | None) -> int:
        """Find which model a report is of, counted from 0."""
        from_0 = _whole(report, _MODEL_FROM_0)
        if from_0 is not None:
            return max(0, from_0)
        from_1 = _whole(report, _MODEL_FROM_1)
        if from_1 is not None:
            return max(0, from_1 - 1)
        # The creator names no model: steps that begin again are the next one's.
        current = self._models.get(self._current)
        last_step = None if current is None else current.last_step
        begins_again = step is not None and last_step is not None and step < last_step
        return self._current + 1 if begins_again and self._current + 1 < self._total_models else self._current

    def _enter(self, index: int) -> ModelProgress:
        """Go to a model; where models come one after the other, the one before is completed by that."""
        before = self._models.get(self._current)
        if before is not None and index != before.index:
            self._in_parallel = self._in_parallel or index in self._models
            # Models that are trained at the same time all begin together: half a training tells the two cases apart.
            halfway = before.total_steps is None or before.steps * 2 >= before.total_steps
            if not self._in_parallel and halfway:
                self._complete(before)
        self._current = index
        return self._models.setdefault(index, ModelProgress(index))

    def _step(self, model: ModelProgress, step: int | None, loss: Any, metrics: Mapping[str, Any]) -> None:
        if step is None:
            # A loss without a step is the next step; anything else belongs to the one that is there.
            step = (model.last_step or 0) + (0 if loss is None and model.last_step is not None else 1)
        model.from_zero = model.from_zero or (step == 0 and model.last_step is None)
        model.last_step = step
        model.loss = model.loss if loss is None else loss
        self._hooks.emit_step_update(
            step=step,
            loss=model.loss,
            model_idx=model.index,
            total_steps=model.total_steps or self._total_steps,
            total_models=self._total_models,
            **metrics,
        )

    def _complete(self, model: ModelProgress) -> None:
        if not model.completed:
            model.completed = True
            self._hooks.emit_model_completed(model_idx=model.index, final_loss=model.loss)


def _flat(report: object) -> Mapping[str, Any]:
    """Return a report with what stands under its ``metrics`` (the shape of a progress document) beside the rest."""
    if not isinstance(report, Mapping):
        raise TypeError(f"it is a {type(report).__name__}, not a dict")
    nested = report.get("metrics")
    return {**report, **nested} if isinstance(nested, Mapping) else report


def _first(report: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((report[name] for name in names if report.get(name) is not None), None)


def _whole(report: Mapping[str, Any], names: Sequence[str]) -> int | None:
    value = _first(report, names)
    return None if value is None else int(value)


def _flag(report: Mapping[str, Any], names: Sequence[str]) -> bool:
    return _first(report, names) is True


def _may_be_number(value: object) -> bool:
    """Tell what the hooks may make a number of from what is text, a container or a flag about the report."""
    return value is not None and not isinstance(value, str | bytes | bool | Mapping | Sequence)
