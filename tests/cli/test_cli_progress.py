"""The progress bar in the terminal."""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path

import pytest

from forge_widgets.cli.demo.child import Child
from forge_widgets.cli.demo.lab import LabServer
from forge_widgets.cli.demo.monitor import Monitor
from forge_widgets.cli.demo.progress import Follower, final_line, progress_line
from forge_widgets.core.events import Batch, Event, Producer, Record
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import block_of
from forge_widgets.stores import open_store
from tests.cli.conftest import CommandLine

T0 = 1_763_800_000.0


def trained(steps: int, model: float = 2.0, **more: float) -> State:
    totals = {"totalSteps": 100.0, "totalModels": 2.0, "currentModel": model}
    rows = [(T0 + step, {"currentStep": float(step), "loss": 0.5, **totals, **more}) for step in range(steps)]
    return fold_all(State(), [Record(offset=1, attempt=1, producer="p", sequence=1, body=block_of(rows))])


def test_a_line_says_model_share_step_loss_accuracy_pace_and_what_is_left() -> None:
    assert progress_line(trained(51, accuracy=0.97), unicode=True) == (
        "model 2 of 2 ━━━━━━━━━━━━━━━━━━──────  75 %  step 50 of 100  loss 0.5  held-out 97 %  1 steps/s  ~ 50 s left"
    )
    assert "##################------" in progress_line(trained(51), unicode=False)


def test_a_line_stays_within_its_bar_for_numbers_that_make_no_sense() -> None:
    assert "100 %" in progress_line(trained(900), unicode=False)
    assert "  0 %" in progress_line(State(), unicode=False)
    assert "loss" not in progress_line(State(), unicode=False)


def test_the_last_line_says_what_came_out() -> None:
    completed = Event(event_type="phase_completed", timestamp=T0 + 60, name="training_complete")
    state = fold_all(trained(51), [Record(offset=52, attempt=1, producer="p", sequence=52, body=completed)])
    assert final_line(state) == "Trained 51 steps in 60 s; final loss 0.5."


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("live", [True, False])
def test_a_training_is_followed_until_its_process_ends(tmp_path: Path, *, live: bool) -> None:
    store = open_store(tmp_path / "store")
    script = (
        "import sys\n"
        "from forge_widgets.training.hooks import create_progress_hooks\n"
        "hooks = create_progress_hooks('run', store=sys.argv[1])\n"
        "hooks.emit_training_started(total_steps=10, total_models=1)\n"
        "for step in range(1, 11): hooks.emit_step_update(step, 1 / step, 0)\n"
        "hooks.emit_model_completed(0)\n"
        "hooks.emit_phase_completed('training_complete')\n"
        "hooks.close()\n"
    )
    out = Terminal() if live else io.StringIO()
    command = [sys.executable, "-c", script, os.fspath(tmp_path / "store")]
    with Child(command, log=tmp_path / "log", environment={}) as training:
        state = Follower(store, "run", out).follow(training)
    assert training.tail() == ""
    assert state is not None
    assert state.status == "completed"
    text = out.getvalue()
    assert "step 10 of 10" in text
    assert text.endswith("final loss 0.1.\n")
    assert ("\x1b[2K" in text) == live
    store.close()


def test_nothing_recorded_is_nothing_shown(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.append("other", Batch(producer=Producer(id="p"), sequence=0, bodies=[block_of([(T0, {"loss": 1.0})])]))
    out = io.StringIO()
    with Child([sys.executable, "-c", "print('bye')"], log=tmp_path / "log", environment={}) as training:
        assert Follower(store, "run", out).follow(training) is None
    assert (out.getvalue(), training.tail(), training.returncode) == ("", "bye", 0)
    store.close()


def test_a_child_that_does_not_listen_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_widgets.cli.demo.child.PATIENCE_S", 0.2)
    script = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    with Child([sys.executable, "-c", script], log=tmp_path / "log", environment={}) as child:
        while child.tail() != "deaf":
            assert not child.wait(0.02)
    assert child.returncode == -9
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("live", [True, False])
def test_what_a_servers_routes_say_is_a_table_that_is_drawn_anew(
    forge: CommandLine, *, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forge_widgets.cli.demo.monitor.LOOK_S", 0.1)
    forge.record("known", block_of([(T0, {"currentStep": 7.0, "totalSteps": 9.0, "loss": math.nan})]))
    server = forge.start("serve", "--port", "0", "--base-url", "/forge", "--token", "mine")
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1].partition("forge/")[0]
    out = Terminal() if live else io.StringIO()
    command = [sys.executable, "-c", "import time; time.sleep(1)"]
    with Child(command, log=forge.store.parent / "log", environment={}) as training:
        Monitor(LabServer(url, "mine"), ["known", "not-yet"], out).follow(training)
    text = out.getvalue()
    assert f"{url}forge/api/health      healthy, 1 active" in text
    assert f"{url}forge/api/sessions    1 in all" in text
    *_, row = text.splitlines()
    assert row.removeprefix("\x1b[2K").split()[:6] == ["known", "running", "1/3", "7/9", "NaN", "0"]
    assert (text.count("SESSION") > 1, "\x1b[5A" in text) == (live, live)
