"""The fold: from a log to what is shown of it.

State is immutable; ``fold`` returns the next one and shares what did not change. The TypeScript client folds the same
way (ui/src/stream/state.ts); tests/vectors/fold.json holds the two together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.core.events import Event, Record, Status
from forge_widgets.core.metrics import DEFAULTS
from forge_widgets.core.steps import StepBlock

PACE_SPACING_S = 1.0
PACE_SAMPLES = 30
MAX_PHASES = 100
COMPLETING = "complete"
"""A phase whose name contains this completes the session."""

MAX_MODELS = 1_000

Stamp = tuple[float, str, int]
"""Who said something and when: (timestamp, producer, sequence). The greatest stamp wins."""

NEVER: Stamp = (0.0, "", 0)


class Metric(Struct, frozen=True, gc=False, array_like=True):
    """The newest value of a metric and who said it when."""

    value: float
    stamp: Stamp


class Phase(Struct, frozen=True, gc=False, rename="camel"):
    """A phase that was completed."""

    name: str
    completed_at: float


class Model(Struct, frozen=True, gc=False, rename="camel"):
    """One of the models that a training trains."""

    # From 1.
    number: int
    # Its newest loss; NaN where it was not a number, None before the first.
    loss: float | None = None
    completed: bool = False


class Pace(Struct, frozen=True, gc=False, array_like=True):
    """A sample of how far a training was at a moment."""

    timestamp: float
    # Steps of all models so far: (model - 1) · total_steps + step.
    steps: float


class State(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """The fold of one attempt's records."""

    attempt: int = 0
    status: Status = "waiting"
    status_stamp: Stamp = NEVER
    # The metrics that were recorded; DEFAULTS stand in for the contract's others.
    metrics: dict[str, Metric] = {}
    # First line shown of what happened last: the contract's messages.
    message: str = ""
    # Text of the last training_error, "" where none or where it is over.
    error: str = ""
    # True from a connection_lost to the next record of a producer.
    lost: bool = False
    # Seconds since the epoch of the first and the newest record; 0 where none.
    started_at: float = 0.0
    updated_at: float = 0.0
    # Step rows kept, and rows dropped at a full ring.
    rows: int = 0
    thinned: int = 0
    # Timestamp of the newest step.
    stepped_at: float = 0.0
    phases: tuple[Phase, ...] = ()
    models: tuple[Model, ...] = ()
    pace: tuple[Pace, ...] = ()

    def value(self, name: str) -> float:
        """Return the newest value of a metric; the contract's default where nothing was recorded.

        Raises KeyError for a metric of the user's that was not recorded.
        """
        metric = self.metrics.get(name)
        return DEFAULTS[name] if metric is None else metric.value


def fold(state: State, record: Record) -> State:
    """Return the state after a record. A later attempt starts afresh; what an earlier attempt still sends is passed over."""
    if record.attempt < state.attempt:
        return state
    if record.attempt > state.attempt:
        state = State(attempt=record.attempt)
    if isinstance(record.body, StepBlock):
        return _fold_block(state, record, record.body)
    return _fold_event(state, record, record.body)


def fold_all(state: State, records: Iterable[Record]) -> State:
    """Fold records in order."""
    for record in records:
        state = fold(state, record)
    return state


def _fold_block(state: State, record: Record, block: StepBlock) -> State:
    times, producer = block.timestamps, record.producer
    newest = len(times) - 1
    at = times[newest]
    stamp = (at, producer, record.sequence + newest)
    metrics = dict(state.metrics)
    for name, column in block.columns.items():
        # Written out, with the one stamp that most columns share: 3 µs for eight metrics instead of 8.
        index, said = newest, stamp
        if column.present is not None:
            index = column.last()
            said = (times[index], producer, record.sequence + index)
        known = metrics.get(name)
        if known is None or said >= known.stamp:
            metrics[name] = Metric(column.values[index], said)
    running = stamp >= state.status_stamp
    return replace(
        state,
        metrics=metrics,
        status="running" if running else state.status,
        status_stamp=stamp if running else state.status_stamp,
        error="" if running else state.error,
        message="" if running else state.message,
        lost=False,
        started_at=state.started_at or times[0],
        updated_at=max(state.updated_at, at),
        stepped_at=max(state.stepped_at, at),
        rows=state.rows + newest + 1,
        thinned=state.thinned + block.thinned,
        models=_model_losses(state.models, block),
        pace=_pace_of_block(state.pace, block, metrics),
    )


def _fold_event(state: State, record: Record, event: Event) -> State:
    stamp = (event.timestamp, record.producer, record.sequence)
    if event.event_type == "connection_lost":
        return replace(state, lost=True, updated_at=max(state.updated_at, event.timestamp))
    metrics = dict(state.metrics)
    for name, value in event.metrics.items():
        _put(metrics, name, value, stamp)
    asked = _status_of(event)
    newer = asked is not None and stamp >= state.status_stamp
    stepped = event.event_type == "step_update"
    return replace(
        state,
        metrics=metrics,
        status=asked if asked is not None and newer else state.status,
        status_stamp=stamp if newer else state.status_stamp,
        message=event.message if newer else state.message,
        error=event.error if newer else state.error,
        lost=False,
        started_at=state.started_at or event.timestamp,
        updated_at=max(state.updated_at, event.timestamp),
        stepped_at=max(state.stepped_at, event.timestamp) if stepped else state.stepped_at,
        rows=state.rows + stepped,
        phases=_with_phase(state.phases, event),
        models=_with_event_model(state.models, event),
        pace=_with_pace(state.pace, event.timestamp, _overall_steps(metrics)) if stepped else state.pace,
    )


def _status_of(event: Event) -> Status | None:
    """Say what status an event asks for; None where it leaves the status as it is."""
    if event.status is not None:
        return event.status
    if event.event_type == "training_error":
        return "error"
    if event.event_type == "phase_completed" and COMPLETING in event.name:
        return "completed"
    if event.event_type in ("control", "alert", "annotation"):
        return None
    return "running"


def _put(metrics: dict[str, Metric], name: str, value: float, stamp: Stamp) -> None:
    known = metrics.get(name)
    if known is None or stamp >= known.stamp:
        metrics[name] = Metric(value, stamp)


def _with_phase(phases: tuple[Phase, ...], event: Event) -> tuple[Phase, ...]:
    if event.event_type != "phase_completed" or len(phases) >= MAX_PHASES:
        return phases
    return (*phases, Phase(event.name, event.timestamp))


def _with_event_model(models: tuple[Model, ...], event: Event) -> tuple[Model, ...]:
    number = event.metrics.get("currentModel")
    if number is None or event.event_type not in ("model_completed", "step_update"):
        return models
    return _with_model(models, number, event.metrics.get("loss"), completed=event.event_type == "model_completed")


def _model_losses(models: tuple[Model, ...], block: StepBlock) -> tuple[Model, ...]:
    """Note each model's newest loss, however rows were cut into blocks."""
    column = block.columns.get("currentModel")
    losses = block.columns.get("loss")
    if column is None or losses is None:
        return models
    newest: dict[float, float] = {}
    if column.present is None and losses.present is None:
        if _is_constant(column.values):
            return _with_model(models, column.values[-1], losses.values[-1], completed=False)
        for index in _ends_of_runs(column.values):
            newest[column.values[index]] = losses.values[index]
    else:
        for index in range(len(block)):
            if (column.present is None or column.present[index]) and (losses.present is None or losses.present[index]):
                newest[column.values[index]] = losses.values[index]
    for number, loss in newest.items():
        models = _with_model(models, number, loss, completed=False)
    return models


def _is_constant(values: Sequence[float]) -> bool:
    """Say whether all values are one: 2 µs for 100 rows, where walking through them takes 13."""
    return values[0] == values[-1] and values.count(values[0]) == len(values)


def _ends_of_runs(values: Iterable[float]) -> list[int]:
    listed = list(values)
    return [index for index, value in enumerate(listed) if index + 1 == len(listed) or listed[index + 1] != value]


def _with_model(models: tuple[Model, ...], number: float, loss: float | None, *, completed: bool) -> tuple[Model, ...]:
    if not 1 <= number <= MAX_MODELS:
        return models
    if models and models[-1].number == number:  # the newest trains on, as nearly always
        last = models[-1]
        return (*models[:-1], Model(last.number, last.loss if loss is None else loss, completed or last.completed))
    known = {model.number: model for model in models}
    before = known.get(int(number), Model(int(number)))
    known[before.number] = Model(before.number, before.loss if loss is None else loss, completed or before.completed)
    return tuple(known[key] for key in sorted(known))


def _overall_steps(metrics: dict[str, Metric]) -> float:
    step, total, model = (
        metrics[name].value if name in metrics else DEFAULTS[name]
        for name in ("currentStep", "totalSteps", "currentModel")
    )
    return (model - 1) * total + step


def _pace_of_block(pace: tuple[Pace, ...], block: StepBlock, metrics: dict[str, Metric]) -> tuple[Pace, ...]:
    """Sample the rows of a block once a second, however rows were cut into blocks."""
    steps = block.columns.get("currentStep")
    if steps is None or steps.present is not None:
        return pace
    totals, models = block.columns.get("totalSteps"), block.columns.get("currentModel")
    total = metrics["totalSteps"].value if "totalSteps" in metrics else DEFAULTS["totalSteps"]
    model = metrics["currentModel"].value if "currentModel" in metrics else DEFAULTS["currentModel"]
    index = 0
    while True:
        index = bisect_left(block.timestamps, pace[-1].timestamp + PACE_SPACING_S, index) if pace else index
        if index >= len(block):
            return pace
        row_total = totals.values[index] if totals is not None and totals.present is None else total
        row_model = models.values[index] if models is not None and models.present is None else model
        pace = _with_pace(pace, block.timestamps[index], (row_model - 1) * row_total + steps.values[index])
        index += 1  # in any case: a second more is no other number for a clock that counts in nanoseconds


def _with_pace(pace: tuple[Pace, ...], timestamp: float, steps: float) -> tuple[Pace, ...]:
    if pace and timestamp < pace[-1].timestamp + PACE_SPACING_S:
        return pace
    return (*pace[-(PACE_SAMPLES - 1) :], Pace(timestamp, steps))
