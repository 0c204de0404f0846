"""The training process of the demo: what it records, prints and answers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from forge_widgets.core.state import State
from forge_widgets.stores import open_store


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "forge_widgets.training.cognate", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=60)


def recorded(store: Path) -> State | None:
    with closing(open_store(str(store))) as opened:
        snapshot = opened.snapshot("cognates")
    return None if snapshot is None else snapshot.state


def test_three_cognates_are_recorded_and_nothing_is_printed(tmp_path: Path) -> None:
    done = run("--session", "cognates", "--steps", "20", "--store", str(tmp_path), "--seed", "3")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    state = recorded(tmp_path)
    assert state is not None
    assert state.status == "completed"
    newest = {name: metric.value for name, metric in state.metrics.items()}
    assert newest["currentModel"] == newest["totalModels"] == 3
    assert newest["currentStep"] == newest["totalSteps"] == 20
    assert newest["learningRate"] == 5e-3
    assert newest["perplexity"] > 1


def test_an_interrupt_is_recorded_as_the_sessions_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("--session", "cognates", "--steps", "1000000", "--store", str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        try:
            deadline = time.monotonic() + 30
            while (state := recorded(tmp_path)) is None or state.rows < 3:
                assert time.monotonic() < deadline, "no step was recorded"
                assert training.poll() is None
            training.send_signal(signal.SIGINT)
            printed = training.communicate(timeout=30)
        finally:
            training.kill()

    assert (training.returncode, *printed) == (130, "", "")
    state = recorded(tmp_path)
    assert state is not None
    assert state.status == "error"
    assert state.error == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--session", "cognates", "--mode", "fast"], 2, "'fast' is no mode of training"),
        (["--session", "../up"], 2, "'../up' is no session id"),
        (["--session", "cognates", "--steps", "0"], 2, "0 can't be used in steps_per_model"),
        (["--session", "cognates", "--store", "ftp://elsewhere"], 2, "ftp://elsewhere"),
    ],
)
def test_arguments_that_cant_be_used_are_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run("--store", str(tmp_path), *arguments)

    assert done.returncode == code
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_store_that_cant_be_opened_fails_before_anything_is_trained(tmp_path: Path) -> None:
    taken = tmp_path / "a-file"
    taken.write_text("no folder")
    done = run("--session", "cognates", "--store", str(taken))

    assert done.returncode == 1
    assert done.stdout == ""
    assert "a-file" in done.stderr
    assert done.stderr.count("\n") == 1
