"""What the hooks make of names and values: the contract's names in two spellings, and everything that is no number."""

from __future__ import annotations

import decimal
import fractions
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge_widgets import create_progress_hooks
from forge_widgets.training.hooks import ProgressHooks
from tests.training.conftest import Recorded


@pytest.fixture
def hooks(folder: Path) -> Iterator[ProgressHooks]:
    made = create_progress_hooks("s", store=folder)
    yield made
    made.close()


def newest(hooks: ProgressHooks, recorded: Recorded) -> dict[str, float]:
    """Return the newest row, once all that was emitted is recorded."""
    assert hooks.flush()
    return recorded.rows("s")[-1]


@pytest.mark.parametrize("name", ["learningRate", "learning_rate"])
def test_the_contracts_names_may_be_written_in_both_ways(hooks: ProgressHooks, recorded: Recorded, name: str) -> None:
    other = {"learningRate": "grokProgress", "learning_rate": "grok_progress"}[name]
    totals = {"learningRate": ("totalSteps", "totalModels"), "learning_rate": ("total_steps", "total_models")}[name]
    hooks.emit_training_started(**dict(zip(totals, (50, 2), strict=True)))
    given: dict[str, Any] = {name: 0.25, other: 7, "accuracy": 0.5, "perplexity": 3.0}
    hooks.emit_step_update(5, 1.0, 1, **given)
    place = {"currentStep": 5, "loss": 1.0, "currentModel": 2}
    others = {"learningRate": 0.25, "grokProgress": 7, "accuracy": 0.5, "perplexity": 3.0}
    assert newest(hooks, recorded) == {**place, **others}
    document = recorded.document("s")["metrics"]
    assert (document["totalSteps"], document["totalModels"]) == (50, 2)


def test_users_own_names_stay_as_they_are(hooks: ProgressHooks, recorded: Recorded) -> None:
    own: dict[str, Any] = {"dropout_rate": 0.5, "valLoss": 1.0, "F1 (macro)": 0.25, "Größe": 7.0, "train/loss": 2.0}
    hooks.emit_step_update(1, **own)
    row = newest(hooks, recorded)
    assert {name: row[name] for name in own} == own


def test_the_first_step_may_be_0_and_the_first_model_is_0_here_and_1_to_viewers(
    hooks: ProgressHooks, recorded: Recorded
) -> None:
    hooks.emit_step_update(step=0, loss=2.0, model_idx=0, total_steps=10, total_models=3)
    row = newest(hooks, recorded)
    assert (row["currentStep"], row["currentModel"], row["grokProgress"]) == (0, 1, 0)
    hooks.emit_model_completed(model_idx=1, final_loss=0.5)
    assert hooks.flush()
    assert recorded.events("s")[-1].message == "Model 2 completed"
    assert recorded.document("s")["metrics"]["currentModel"] == 2


def test_what_is_left_out_or_none_stays_as_it_was(
    hooks: ProgressHooks, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.emit_training_started(total_steps=200, total_models=2)
    hooks.emit_step_update(1, 1.5, 1, accuracy=0.5, learning_rate=0.1)
    hooks.emit_step_update(2, None, None, accuracy=None)
    hooks.emit_step_update(3)
    assert newest(hooks, recorded) == {"currentStep": 3, "grokProgress": 1}
    kept = {"loss": 1.5, "currentModel": 2, "accuracy": 0.5, "learningRate": 0.1, "totalSteps": 200, "totalModels": 2}
    assert kept.items() <= recorded.document("s")["metrics"].items()
    assert (caplog.records, hooks.refused) == ([], 0)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        (2**60, float(2**60)),
        (decimal.Decimal("0.125"), 0.125),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array([0.5]), 0.5),
        (np.array(2, dtype=np.uint8), 2.0),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_whatever_is_a_number_is_recorded(
    hooks: ProgressHooks, recorded: Recorded, value: object, number: float
) -> None:
    hooks.emit_step_update(1, value, mine=value)
    row = newest(hooks, recorded)
    assert (row["loss"], row["mine"], hooks.refused) == (number, number, 0)


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        b"0.5",
        1 + 2j,
        np.complex64(1j),
        [0.5],
        {"loss": 0.5},
        np.zeros(3),
        np.array([]),
        np.array(["x"]),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_none_is_warned_of_once_and_counted_and_the_rest_is_recorded(
    hooks: ProgressHooks, recorded: Recorded, caplog: pytest.LogCaptureFixture, value: object
) -> None:
    for step in range(1, 4):
        hooks.emit_step_update(step, value, accuracy=step / 4)
    hooks.emit_model_completed(0, final_loss=value)
    assert newest(hooks, recorded) == {"currentStep": 3, "accuracy": 0.75, "grokProgress": 0}
    assert hooks.refused == 4
    (said,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert said.getMessage().startswith("s: metric 'loss' is not recorded: ")
    assert said.getMessage().endswith("is no number (the rest is; said once for each metric)")


def test_each_metric_is_warned_of_by_its_name(hooks: ProgressHooks, caplog: pytest.LogCaptureFixture) -> None:
    for step in range(3):
        hooks.emit_step_update(step, "cat", colour="red", shape="round")
    assert hooks.flush()
    names = [record.getMessage().split("'")[1] for record in caplog.records]
    assert (sorted(names), hooks.refused) == (["colour", "loss", "shape"], 9)


def test_calls_that_fit_no_signature_cost_a_warning_and_not_the_training(
    hooks: ProgressHooks, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    loose: Any = hooks
    loose.emit_phase_completed()
    loose.emit_error()
    loose.emit_training_started(1, 2, 3, 4)
    hooks.emit_step_update(1, 0.5)
    assert newest(hooks, recorded)["loss"] == 0.5
    assert [record.getMessage() for record in caplog.records] == [
        f"s: emit_{name} is not recorded" for name in ("phase_completed", "error", "training_started")
    ]
