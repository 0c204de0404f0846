"""CognateCreatorIntegration: phases, results, errors, and existing creators run as they are."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge_widgets.errors import InvalidInput, InvalidSessionId
from forge_widgets.stores import open_store
from forge_widgets.training.cognate import CognateCreatorIntegration, CognateSettings

TINY = CognateSettings(
    modulus=7, width=16, train_fraction=0.7, init_scale=1.0, learning_rate=5e-3, weight_decay=0.5, steps=40
)


class Recorder:
    """Hooks that keep what they are told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def emit_training_started(
        self, total_steps: int | None = None, total_models: int | None = None, **metrics: Any
    ) -> None:
        self.calls.append(("started", {"total_steps": total_steps, "total_models": total_models, **metrics}))

    def emit_step_update(
        self,
        step: int,
        loss: Any = None,
        model_idx: int | None = None,
        total_steps: int | None = None,
        total_models: int | None = None,
        **metrics: Any,
    ) -> None:
        where = {"step": step, "loss": loss, "model_idx": model_idx}
        self.calls.append(("step", {**where, "total_steps": total_steps, "total_models": total_models, **metrics}))

    def emit_model_completed(self, model_idx: int, final_loss: Any = None, **metrics: Any) -> None:
        self.calls.append(("completed", (model_idx, final_loss)))

    def emit_phase_completed(self, phase_name: str, **metrics: Any) -> None:
        self.calls.append(("phase", phase_name))

    def emit_error(self, error: str, /) -> None:
        self.calls.append(("error", error))

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [what for call, what in self.calls if call == "step"]

    @property
    def story(self) -> list[Any]:
        """Everything but the steps, in order; steps only as one "…" a run of them."""
        told: list[Any] = []
        for call, what in self.calls:
            part = {"step": "…", "completed": f"model {what[0]}" if call == "completed" else ""}.get(call, what)
            if part != "…" or told[-1:] != ["…"]:
                told.append(part if call != "started" else "started")
        return told


class Creator:
    """An existing creator whose training is a list of reports."""

    def __init__(self, reports: list[Any], returned: Any = None) -> None:
        self.reports = reports
        self.returned = returned
        self.callback: Callable[[Any], None] | None = None

    def set_progress_callback(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback

    def create_three_models(self) -> Any:
        assert self.callback is not None
        for report in self.reports:
            if isinstance(report, BaseException):
                raise report
            self.callback(report)
        return self.returned


class LoaderCreator:
    """An existing creator of the second kind: trains the models it is given."""

    def __init__(self) -> None:
        self.callback: Callable[[Any], None] | None = None

    def set_progress_callback(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback

    def train_all_models(self, models: list[str], train_loaders: list[list[float]]) -> list[str]:
        assert self.callback is not None
        self.callback({"sessionId": "own", "event": "training_started", "totalModels": len(models), "timestamp": 1.5})
        for index, (_, losses) in enumerate(zip(models, train_loaders, strict=True)):
            total = len(losses)
            for step, loss in enumerate(losses):
                self._report(index, step, total, loss)
            self._report(index, total, total, losses[-1], modelCompleted=True)
        self.callback({"sessionId": "own", "event": "training_completed", "overallProgress": 100.0})
        return [f"{model}-trained" for model in models]

    def _report(self, index: int, step: int, total: int, loss: float, **more: Any) -> None:
        assert self.callback is not None
        where = {"sessionId": "own", "modelIndex": index, "step": step, "currentStep": step, "timestamp": 1.5}
        self.callback(
            {**where, "currentModel": index + 1, "totalSteps": total, "loss": loss, "trainingTime": 2, **more}
        )


def run(creator: Any, **arguments: Any) -> tuple[Recorder, list[Any]]:
    hooks = Recorder()
    integration = CognateCreatorIntegration("creators", creator, hooks=hooks)
    return hooks, integration.create_cognates_with_progress(**arguments)


def test_three_cognates_are_trained_and_every_step_is_recorded() -> None:
    hooks = Recorder()
    integration = CognateCreatorIntegration("cognates", hooks=hooks, settings=TINY, seed=7)
    results = integration.create_cognates_with_progress(num_models=3, steps_per_model=20)

    models = ["…", "model 0", "…", "model 1", "…", "model 2"]
    assert hooks.story == ["started", "initialization", *models, "training_complete"]
    assert hooks.calls[0] == ("started", {"total_steps": 20, "total_models": 3})
    assert [(row["model_idx"], row["step"]) for row in hooks.steps] == [(m, s) for m in range(3) for s in range(1, 21)]
    row = hooks.steps[-1]
    assert row["total_steps"] == 20
    assert row["total_models"] == 3
    assert {"accuracy", "train_accuracy", "learning_rate", "grok_progress"} <= row.keys()
    assert [result["model"] for result in results] == [1, 2, 3]
    assert [result["seed"] for result in results] == [7, 8, 9]
    assert [result["steps"] for result in results] == [20, 20, 20]
    assert results[2]["final_loss"] == row["loss"]
    assert len({result["final_loss"] for result in results}) == 3


def test_a_result_says_when_a_cognate_had_memorised_and_that_it_has_not_grokked() -> None:
    integration = CognateCreatorIntegration("cognates", hooks=Recorder(), settings=TINY)
    [result] = integration.create_cognates_with_progress(num_models=1, steps_per_model=150)

    assert result["train_accuracy"] == 1.0
    assert result["memorised_at"] is not None
    assert result["memorised_at"] < 150
    assert (result["grokked_at"] is None) == (result["accuracy"] <= 0.95)


def test_a_result_says_when_a_cognate_grokked() -> None:
    easy = replace(TINY, modulus=23, width=64, train_fraction=0.8, weight_decay=1.0)
    integration = CognateCreatorIntegration("cognates", hooks=Recorder(), settings=easy)
    [result] = integration.create_cognates_with_progress(num_models=1, steps_per_model=600)

    assert result["accuracy"] > 0.95
    assert result["memorised_at"] is not None
    assert result["grokked_at"] is not None
    assert result["memorised_at"] < result["grokked_at"] <= 600


def test_each_training_is_an_attempt_of_its_own_in_the_store(tmp_path: Path) -> None:
    for attempt in (1, 2):
        integration = CognateCreatorIntegration("cognates", store=str(tmp_path), settings=TINY)
        results = integration.create_cognates_with_progress(num_models=2, steps_per_model=5)
        with closing(open_store(str(tmp_path))) as store:
            snapshot = store.snapshot("cognates")

        assert snapshot is not None
        assert snapshot.state.attempt == attempt
        assert snapshot.state.status == "completed"
        assert snapshot.state.rows == 10
        assert [phase.name for phase in snapshot.state.phases] == ["initialization", "training_complete"]
        assert snapshot.state.metrics["loss"].value == results[1]["final_loss"]


def test_a_creator_of_three_models_is_run_as_it_is() -> None:
    reports = [
        {"currentModel": model, "totalModels": 3, "currentStep": step, "totalSteps": 4, "loss": model + 1 / (step + 1)}
        for model in (1, 2, 3)
        for step in range(4)
    ]
    hooks, results = run(Creator(reports, returned=["a.pt", "b.pt", "c.pt"]))

    models = ["…", "model 0", "…", "model 1", "…", "model 2"]
    assert hooks.story == ["started", "initialization", *models, "training_complete"]
    assert [row["step"] for row in hooks.steps] == [0, 1, 2, 3] * 3
    assert {row["total_steps"] for row in hooks.steps} == {4}
    assert results == [
        {"model": 1, "final_loss": 1.25, "steps": 4, "trained": "a.pt"},
        {"model": 2, "final_loss": 2.25, "steps": 4, "trained": "b.pt"},
        {"model": 3, "final_loss": 3.25, "steps": 4, "trained": "c.pt"},
    ]


def test_a_creator_that_trains_what_it_is_given_gets_models_and_loaders() -> None:
    hooks, results = run(LoaderCreator(), models=["x", "y"], loaders=[[3.0, 2.0], [1.0]])

    assert hooks.story == ["started", "initialization", "…", "model 0", "…", "model 1", "training_complete"]
    assert [(row["model_idx"], row["step"], row["loss"]) for row in hooks.steps] == [
        (0, 0, 3.0), (0, 1, 2.0), (0, 2, 2.0), (1, 0, 1.0), (1, 1, 1.0),
    ]  # fmt: skip
    assert hooks.steps[0]["total_models"] == 2
    assert hooks.steps[0]["trainingTime"] == 2
    assert not {"sessionId", "timestamp", "modelIndex", "currentStep"} & hooks.steps[0].keys()
    assert [(result["model"], result["steps"], result["trained"]) for result in results] == [
        (1, 2, "x-trained"), (2, 1, "y-trained"),
    ]  # fmt: skip


def test_models_and_loaders_are_taken_from_the_creator_where_it_has_them() -> None:
    creator = LoaderCreator()
    creator.models = ["x"]  # type: ignore[attr-defined]
    creator.train_loaders = [[0.5, 0.25]]  # type: ignore[attr-defined]

    _, [result] = run(creator)

    assert result["final_loss"] == 0.25


def test_a_creator_with_nothing_to_train_is_refused_and_the_session_says_so() -> None:
    hooks = Recorder()
    integration = CognateCreatorIntegration("creators", LoaderCreator(), hooks=hooks)
    with pytest.raises(InvalidInput, match="has nothing to train in models"):
        integration.create_cognates_with_progress()

    assert hooks.calls[-1][0] == "error"


def test_models_for_a_creator_that_takes_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="has no train_all_models"):
        run(Creator([]), models=["x"], loaders=[[]])


def test_snake_case_a_nested_document_and_array_scalars_are_understood() -> None:
    hooks, [result] = run(
        Creator(
            [
                {"current_step": 1, "current_model": 1, "loss": np.float32(0.5), "learning_rate": 0.1, "phase": "warm"},
                {
                    "sessionId": "own",
                    "status": "running",
                    "metrics": {"currentStep": 2, "loss": 0.25, "grokProgress": 7},
                },
            ]
        )
    )

    assert [(row["step"], float(row["loss"])) for row in hooks.steps] == [(1, 0.5), (2, 0.25)]
    assert hooks.steps[0]["learning_rate"] == 0.1
    assert "phase" not in hooks.steps[0]
    assert hooks.steps[1]["grokProgress"] == 7
    assert result["final_loss"] == 0.25


def test_a_report_with_few_metrics_keeps_the_place_and_the_loss_of_the_one_before() -> None:
    hooks, _ = run(Creator([{"loss": 0.9}, {"loss": 0.8}, {"accuracy": 0.5}, {"event": "saved"}, {}, {"step": 7}]))

    told = [(row["step"], row["loss"], row.get("accuracy")) for row in hooks.steps]
    assert told == [(1, 0.9, None), (2, 0.8, None), (2, 0.8, 0.5), (7, 0.8, None)]


def test_steps_that_begin_again_are_the_next_model_where_the_creator_names_none() -> None:
    hooks, results = run(Creator([{"step": step, "loss": 1.0} for _ in range(3) for step in (1, 2)]))

    assert [row["model_idx"] for row in hooks.steps] == [0, 0, 1, 1, 2, 2]
    assert len(results) == 3


def test_models_trained_side_by_side_are_completed_at_the_end_and_not_when_another_reports() -> None:
    reports = [
        {"currentModel": model, "currentStep": step, "totalSteps": 10, "loss": 1.0}
        for step in range(1, 11)
        for model in (1, 2, 3)
    ]
    hooks, _ = run(Creator(reports))

    assert hooks.story == ["started", "initialization", "…", "model 0", "model 1", "model 2", "training_complete"]


def test_a_model_that_was_returned_and_never_reported_has_a_result_without_a_loss() -> None:
    hooks, [result] = run(Creator([], returned=["a.pt"]))

    assert hooks.story == ["started", "initialization", "training_complete"]
    assert (result["model"], result["steps"], result["trained"]) == (1, 0, "a.pt")
    assert math.isnan(result["final_loss"])


def test_reports_of_several_threads_are_all_recorded() -> None:
    class Threaded(Creator):
        def create_three_models(self) -> Any:
            threads = [threading.Thread(target=self.train, args=(model,)) for model in (1, 2, 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=30)

        def train(self, model: int) -> None:
            assert self.callback is not None
            for step in range(1, 201):
                self.callback({"currentModel": model, "currentStep": step, "totalSteps": 200, "loss": 1.0})

    hooks, results = run(Threaded([]))

    for model in range(3):
        assert [row["step"] for row in hooks.steps if row["model_idx"] == model] == list(range(1, 201))
    assert [result["steps"] for result in results] == [200, 200, 200]


def test_a_report_that_cant_be_read_is_warned_of_once_and_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        hooks, _ = run(Creator(["50 %", {"step": "many", "loss": 1.0}, {"step": math.inf, "loss": 1.0}, {"step": 3}]))

    assert [row["step"] for row in hooks.steps] == [3]
    assert hooks.steps[0]["loss"] is None
    assert len(caplog.records) == 1
    assert "it is a str, not a dict" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (ValueError(), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_what_ends_a_training_early_is_recorded_and_raised(error: BaseException, said: str) -> None:
    hooks = Recorder()
    integration = CognateCreatorIntegration("creators", Creator([{"step": 1, "loss": 1.0}, error]), hooks=hooks)
    with pytest.raises(type(error)):
        integration.create_cognates_with_progress()

    assert hooks.story == ["started", "initialization", "…", said]


def test_a_creator_that_goes_on_after_the_end_is_not_listened_to() -> None:
    creator = Creator([{"step": 1, "loss": 1.0}])
    hooks, _ = run(creator)
    assert creator.callback is not None
    creator.callback({"step": 2, "loss": 0.5})

    assert hooks.calls[-1] == ("phase", "training_complete")


@pytest.mark.parametrize("creator", [object(), Creator, {"create_three_models": None}])
def test_a_creator_without_the_methods_is_refused_at_once(creator: object) -> None:
    if creator is Creator:
        creator = type("Half", (), {"create_three_models": lambda self: None})()
    with pytest.raises(InvalidInput, match="in creator: expected an object with set_progress_callback"):
        CognateCreatorIntegration("creators", creator)


@pytest.mark.parametrize("arguments", [{"num_models": 0}, {"steps_per_model": 0}, {"steps_per_model": 2.5}])
def test_counts_that_train_nothing_are_refused_before_anything_is_recorded(arguments: dict[str, Any]) -> None:
    hooks = Recorder()
    with pytest.raises(InvalidInput, match=f"in {next(iter(arguments))}: expected a whole number, 1 or more"):
        CognateCreatorIntegration("cognates", hooks=hooks).create_cognates_with_progress(**arguments)

    assert hooks.calls == []


def test_a_session_id_outside_the_contract_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(InvalidSessionId):
        CognateCreatorIntegration("../up")
    with pytest.raises(InvalidInput, match="in seed: expected a whole number, 0 or more"):
        CognateCreatorIntegration("cognates", seed=-1)


def test_importing_the_integration_loads_no_numpy() -> None:
    script = "import sys, forge_widgets.training.cognate; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
