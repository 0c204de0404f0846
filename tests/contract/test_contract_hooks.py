"""The contract's Python hooks, as scripts of users call them: each a process that knows public names alone."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.conftest import CONTRACT, Script
from tests.contract.servers import Server, free_port

SNIPPET = re.findall(r"```python\n(.*?)```", CONTRACT, re.DOTALL)[0]
Run = Callable[..., str]


def story(server: Server, session_id: str) -> list[str]:
    """Return a log's lifecycle events, phases and models by what is said of them."""
    bodies = server.log(session_id)
    return [body.get("message") or body["eventType"] for body in bodies if "eventType" in body]


def rows(server: Server, session_id: str) -> int:
    """Count the steps of a log."""
    return sum(len(body["timestamps"]) for body in server.log(session_id) if "timestamps" in body)


def test_the_snippet_of_the_contract_runs_as_it_stands(
    jupyter_mount: Server, standalone_mount: Server, run: Run
) -> None:
    """
    hooks = create_progress_hooks("my-training-session-123")
    hooks.emit_training_started(total_steps=1000, total_models=1, **metrics)
    hooks.emit_step_update(step=10, loss=2.5, model_idx=0, total_steps=1000, total_models=3, **metrics)
    hooks.emit_model_completed(model_idx=0, final_loss=0.1, **metrics)
    hooks.emit_phase_completed("training_complete", **metrics)
    hooks.emit_error("CUDA out of memory")
    """
    session_id = "my-training-session-123"
    with standalone_mount.viewer(session_id) as viewer:
        run(
            f"from forge_widgets import create_progress_hooks\nmetrics = {{'learning_rate': 0.01, 'mine': 7}}\n{SNIPPET}"
        )
        heard = viewer.hear_until(lambda told: told["type"] == "training_error")
    for server in (jupyter_mount, standalone_mount):
        document = server.progress(session_id)
        assert document["status"] == "error"
        shown = {"loss": 0.1, "currentStep": 10, "totalSteps": 1000, "currentModel": 1, "totalModels": 3}
        assert document["metrics"].items() >= {**shown, "learningRate": 0.01, "mine": 7, "grokProgress": 1}.items()
    assert heard[-1]["error"] == "CUDA out of memory"
    statuses = [(told["eventType"], told["status"]) for told in heard if told["eventType"] != "step_update"]
    assert statuses == [
        ("training_started", "running"),
        ("model_completed", "running"),
        ("phase_completed", "completed"),
        ("training_error", "error"),
    ]


def test_metrics_are_the_contracts_in_both_spellings_and_ones_own(
    standalone_mount: Server, session_id: str, run: Run
) -> None:
    """
    `metrics` are the contract's names in camelCase or snake_case (`learning_rate`, `learningRate`) and the user's own.
    `step` may start at 0; `model_idx` counts from 0.
    `currentModel` counts from 1.
    """
    other = f"{session_id}-b"
    run(f"""
from forge_widgets import create_progress_hooks
snake, camel = create_progress_hooks({session_id!r}), create_progress_hooks({other!r})
snake.emit_step_update(step=0, loss=2.5, model_idx=1, learning_rate=0.5, grok_progress=3, my_own=1, accuracy=0.5)
camel.emit_step_update(step=0, loss=2.5, model_idx=1, learningRate=0.5, grokProgress=3, my_own=1, accuracy=0.5)
""")
    metrics = standalone_mount.metrics(session_id)
    assert metrics == standalone_mount.metrics(other)
    shown = {"currentStep": 0, "currentModel": 2, "learningRate": 0.5, "grokProgress": 3, "my_own": 1, "accuracy": 0.5}
    assert metrics.items() >= shown.items()
    assert standalone_mount.status(session_id) == "running"


def test_hooks_are_thread_safe(standalone_mount: Server, session_id: str, run: Run) -> None:
    """
    Thread-safe.
    """
    run(f"""
import threading
from forge_widgets import create_progress_hooks
hooks = create_progress_hooks({session_id!r})
hooks.emit_training_started(total_steps=250)
def train(number):
    for step in range(250):
        hooks.emit_step_update(step=step, loss=1.0, **{{f"thread_{{number}}": step}})
    hooks.emit_model_completed(model_idx=number)
threads = [threading.Thread(target=train, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""")
    assert rows(standalone_mount, session_id) == 8 * 250
    assert sorted(story(standalone_mount, session_id)[1:]) == [f"Model {number} completed" for number in range(1, 9)]
    metrics = standalone_mount.metrics(session_id)
    assert [metrics[f"thread_{number}"] for number in range(8)] == [249] * 8


def test_what_is_no_number_is_warned_of_once_counted_and_the_rest_recorded(
    standalone_mount: Server, session_id: str, run: Run, script: Script
) -> None:
    """
    `emit_*` never raises into training
    what it can't use (a metric that is no number) it warns of once, counts, and records the rest.
    Existing prints and code stay as they are.
    """
    source = f"""
from forge_widgets import create_progress_hooks
class Broken:
    def __float__(self): raise RuntimeError("broken")
    def __add__(self, other): raise RuntimeError("broken")
print("before")
hooks = create_progress_hooks({session_id!r})
for step in range(3):
    hooks.emit_step_update(step=step, loss="low", model_idx=Broken(), accuracy=0.5, mine=Broken(), other=object())
hooks.emit_step_update(step="three", loss=0.25)
hooks.emit_model_completed(model_idx="first", final_loss=None)
hooks.emit_phase_completed(Broken())
hooks.emit_error(Broken())
hooks.flush()
print("after", hooks.refused >= 12)
"""
    out, err = script(source).communicate(timeout=60)
    assert out == "before\nafter True\n"
    assert "Traceback" not in err
    assert [err.count(f"metric '{name}'") for name in ("loss", "mine", "other")] == [1, 1, 1]
    assert standalone_mount.metrics(session_id).items() >= {"currentStep": 2, "accuracy": 0.5, "loss": 0.25}.items()


@pytest.mark.parametrize("store", ["http://127.0.0.1:{port}", "/proc/forge-widgets-can-not-be-here"])
def test_emits_wait_neither_for_a_network_nor_for_a_disk(
    standalone_mount: Server, session_id: str, run: Run, store: str
) -> None:
    """
    and never waits for a network or a disk:
    """
    # Nobody listens at the port, and nobody can write there: both would take seconds to find out for each emit.
    printed = run(
        f"""
import time
from forge_widgets import create_progress_hooks
hooks = create_progress_hooks({session_id!r})
start = time.perf_counter()
hooks.emit_training_started(total_steps=2000)
for step in range(2000):
    hooks.emit_step_update(step=step, loss=1.0)
hooks.emit_error("over")
print(time.perf_counter() - start)
hooks.close(timeout_s=0.1)
""",
        FORGE_WIDGETS_STORE=store.format(port=free_port()),
    )
    assert float(printed) < 2.0


def test_the_decorator_passes_the_hooks_where_the_function_takes_them(
    standalone_mount: Server, session_id: str, run: Run
) -> None:
    """
    `@integrate_with_existing_training("session-123")` wraps a training function: passes the hooks as the keyword
    `websocket_emitter` where the function accepts it,
    """
    other = f"{session_id}-b"
    printed = run(f"""
from forge_widgets import integrate_with_existing_training

@integrate_with_existing_training({session_id!r})
def train(steps, websocket_emitter=None):
    "Train."
    for step in range(steps):
        websocket_emitter.emit_step_update(step=step, loss=1 / (1 + step), total_steps=steps)
    return "trained", steps

@integrate_with_existing_training({other!r})
def old(a, *, b):
    return a + b

print(train(5), train.__name__, train.__doc__, old(1, b=2))
""")
    assert printed == "('trained', 5) train Train. 3\n"
    assert standalone_mount.metrics(session_id).items() >= {"currentStep": 4, "totalSteps": 5, "loss": 0.2}.items()
    assert (standalone_mount.status(session_id), standalone_mount.status(other)) == ("completed", "completed")


def test_the_decorator_records_an_exception_and_lets_it_through(
    standalone_mount: Server, session_id: str, run: Run
) -> None:
    """
    records an exception as `training_error` and lets it through.
    """
    with standalone_mount.viewer(session_id) as viewer:
        printed = run(f"""
from forge_widgets import integrate_with_existing_training

@integrate_with_existing_training({session_id!r})
def train(websocket_emitter):
    websocket_emitter.emit_step_update(step=1, loss=0.5)
    raise MemoryError("CUDA out of memory")

try:
    train()
except MemoryError as error:
    print("through:", error)
""")
        told = viewer.hear_type("training_error")
    assert printed == "through: CUDA out of memory\n"
    assert "CUDA out of memory" in told["error"]
    assert standalone_mount.status(session_id) == "error"


# --- cognates -------------------------------------------------------------------------------------

CREATOR = '''
class Creator:
    """An existing creator, as people have it; it knows nothing of us."""
    def set_progress_callback(self, callback):
        self.callback = callback
    def create_three_models(self):
        for model in range(3):
            for step in range(1, 6):
                self.callback({"currentModel": model + 1, "currentStep": step, "totalSteps": 5, "loss": 1 / step})
            if model == FAILS:
                raise RuntimeError("no memory left")
        return ["a", "b", "c"]

class Loaders:
    def set_progress_callback(self, callback):
        self.callback = callback
    def train_all_models(self, models, loaders):
        for number, (model, loader) in enumerate(zip(models, loaders), 1):
            for step, loss in enumerate(loader, 1):
                self.callback({"currentModel": number, "currentStep": step, "totalSteps": len(loader), "loss": loss})
        return models
'''


def created(run: Run, source: str) -> list[Any]:
    """Run a script that prints results as JSON."""
    head = "import json\nfrom forge_widgets import CognateCreatorIntegration\n"
    results: list[Any] = json.loads(run(head + CREATOR + textwrap.dedent(source)).splitlines()[-1])
    return results


def test_without_a_creator_cognates_are_trained_for_real(standalone_mount: Server, session_id: str, run: Run) -> None:
    """
    `CognateCreatorIntegration(session_id, creator=None).create_cognates_with_progress(num_models=3, steps_per_model=1000)`
    trains and returns one `{"model", "final_loss", "steps", …}` for each model.
    Phases: `initialization`, then each model, then `training_complete`.
    With no `creator` it trains our own cognates, for real.
    """
    results = created(
        run,
        f"""
        done = CognateCreatorIntegration({session_id!r}).create_cognates_with_progress(num_models=2, steps_per_model=60)
        print(json.dumps(done))
        """,
    )
    assert [(result["model"], result["steps"]) for result in results] == [(1, 60), (2, 60)]
    losses = [
        (number, value)
        for body in standalone_mount.log(session_id)
        if "timestamps" in body
        for number, value in zip(body["columns"]["currentModel"], body["columns"]["loss"], strict=True)
    ]
    for result in results:
        own = [value for number, value in losses if number == result["model"]]
        assert len(own) == 60
        assert own[-1] == result["final_loss"] < own[0], "the loss of a model that is trained falls"
    assert results[0]["final_loss"] != results[1]["final_loss"]
    assert story(standalone_mount, session_id)[1:] == [
        "Phase initialization completed",
        "Model 1 completed",
        "Model 2 completed",
        "Phase training_complete completed",
    ]
    assert standalone_mount.status(session_id) == "completed"


def test_an_existing_creator_is_wired_and_run_unchanged(standalone_mount: Server, session_id: str, run: Run) -> None:
    """
    With a `creator`, any existing object that has `set_progress_callback(callback)` and `create_three_models()`
    whose callback receives dicts with some of the contract's metrics, it wires that callback and runs it, unchanged.
    """
    results = created(
        run,
        f"""
        FAILS = None
        print(json.dumps(CognateCreatorIntegration({session_id!r}, Creator()).create_cognates_with_progress()))
        """,
    )
    assert [result["model"] for result in results] == [1, 2, 3]
    assert all(result.keys() >= {"model", "final_loss", "steps"} for result in results)
    assert [result["final_loss"] for result in results] == [0.2] * 3
    assert (
        standalone_mount.metrics(session_id).items() >= {"currentModel": 3, "currentStep": 5, "totalSteps": 5}.items()
    )
    assert [what for what in story(standalone_mount, session_id) if what.startswith("Phase")] == [
        "Phase initialization completed",
        "Phase training_complete completed",
    ]


def test_a_creator_that_trains_given_models_is_run_too(standalone_mount: Server, session_id: str, run: Run) -> None:
    """
    or `train_all_models(models, loaders)`
    """
    results = created(
        run,
        f"""
        integration = CognateCreatorIntegration({session_id!r}, creator=Loaders())
        done = integration.create_cognates_with_progress(models=["a", "b"], loaders=[[3, 2], [3, 1]], num_models=2)
        print(json.dumps(done))
        """,
    )
    assert [(result["model"], result["final_loss"]) for result in results] == [(1, 2), (2, 1)]
    assert standalone_mount.status(session_id) == "completed"


def test_an_exception_of_a_creator_is_recorded_and_raised(standalone_mount: Server, session_id: str, run: Run) -> None:
    """
    An exception is recorded, and raised.
    """
    raised = created(
        run,
        f"""
        FAILS = 1
        try:
            CognateCreatorIntegration({session_id!r}, Creator()).create_cognates_with_progress()
        except RuntimeError as error:
            print(json.dumps([str(error)]))
        """,
    )
    assert raised == ["no memory left"]
    assert standalone_mount.status(session_id) == "error"
