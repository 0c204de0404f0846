"""An existing creator of somebody else's, run unchanged, and what a session then holds of it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from forge_widgets import CognateCreatorIntegration
from tests.training.conftest import Recorded
from tests.training.third_party_creator import LinearModel, SwarmCreator


def test_somebody_elses_creator_is_run_unchanged_and_every_report_recorded(
    folder: Path, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    results = CognateCreatorIntegration("swarm", SwarmCreator(), store=folder).create_cognates_with_progress()
    assert [(result["model"], result["steps"]) for result in results] == [(1, 40), (2, 40), (3, 40)]
    assert all(isinstance(result["trained"], LinearModel) for result in results)
    assert np.allclose(results[2]["trained"].weights, [1, 2, 3, 4], atol=0.2)
    rows = recorded.rows("swarm")
    for model in (1, 2, 3):
        own = [row for row in rows if row["currentModel"] == model]
        assert [row["currentStep"] for row in own] == list(range(41))
        assert own[-1]["loss"] == results[model - 1]["final_loss"] < 0.1
        assert (own[-1]["learningRate"], own[-1]["gradNorm"] > 0) == (0.125, True)
    told = [event.message for event in recorded.events("swarm")]
    assert told[:2] == ["Training started", "Phase initialization completed"]
    assert sorted(told[2:5]) == [f"Model {model} completed" for model in (1, 2, 3)]
    assert told[5:] == ["Phase training_complete completed"]
    document = recorded.document("swarm")
    assert (document["status"], document["metrics"]["totalModels"]) == ("completed", 3)
    # Its array of weights is no number, and said so once; its words are no metrics.
    (said,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "metric 'weights' is not recorded: a ndarray of shape (4,) is no number" in said.getMessage()


def test_an_exception_of_somebody_elses_creator_is_recorded_and_raised(folder: Path, recorded: Recorded) -> None:
    creator = SwarmCreator(fails_at=7)
    integration = CognateCreatorIntegration("swarm", creator, store=folder)
    with pytest.raises(FloatingPointError, match="went away"):
        integration.create_cognates_with_progress(num_models=3, steps_per_model=40)
    assert recorded.events("swarm")[-1].error == "FloatingPointError: the second model went away"
    assert recorded.document("swarm")["status"] == "error"
    assert max(row["currentStep"] for row in recorded.rows("swarm") if row["currentModel"] == 2) == 6
