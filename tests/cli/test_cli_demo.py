"""``forge-widgets demo``, the whole way: a real JupyterLab, a real training, and their end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from forge_widgets.analysis.history import history
from forge_widgets.analysis.sessions import SessionInfo, sessions
from forge_widgets.cli.demo.lab import LabServer, find_server
from forge_widgets.cli.demo.training import existing_training
from forge_widgets.core.face import SESSION_MIME_TYPE
from forge_widgets.stores import open_store
from tests.cli.conftest import CommandLine


def wait_for(condition: Callable[[], object], what: str, within_s: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """Read what a process prints up to a line with certain words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}: {process.stderr and process.stderr.read()}")


def runtime_files(forge: CommandLine) -> list[Path]:
    return list((forge.home / "runtime").glob("jpserver-*.json"))


def latest(forge: CommandLine) -> SessionInfo:
    return sessions(store=forge.store)[0]


@pytest.mark.slow
def test_the_demo_trains_shows_and_ends_and_a_second_one_uses_its_server(forge: CommandLine, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    demo = forge.start("demo", "--mode", "quick", BROWSER=f"{browser} %s")
    address = line_with(demo, "Watch it here: ").split()[-1]
    wait_for(opened.exists, "a browser was opened")
    page = Path(urlsplit(opened.read_text().strip()).path)
    assert page.stat().st_mode & 0o777 == 0o600
    assert f"url={address}" in page.read_text()

    parts = urlsplit(address)
    server = LabServer(f"{parts.scheme}://{parts.netloc}/", parse_qs(parts.query)["token"][0])
    notebook = server.ask(f"api/contents{parts.path.removeprefix('/lab/tree')}?content=1")["content"]
    stored = notebook["cells"][1]["outputs"][0]
    store = open_store(forge.store)
    assert stored["metadata"][SESSION_MIME_TYPE] == {"storeId": store.store_id}
    store.close()
    session_id = stored["data"][SESSION_MIME_TYPE]["sessionId"]
    assert f'forge.watch("{session_id}")' in "".join(notebook["cells"][1]["source"])

    line_with(demo, "Trained 3,000 steps")
    found = latest(forge)
    assert (found.session_id, found.status, found.rows) == (session_id, "completed", 3000)
    assert found.metrics["accuracy"] > 0.95
    line_with(demo, "goes on until Ctrl-C")

    theirs = {"type": "notebook", "content": {**notebook, "metadata": {}}}
    server.ask("api/contents/forge-widgets-demo.ipynb", theirs, "PUT")
    second = forge.run("demo", "--mode", "integration", "--no-browser", "--exit")
    assert (second.returncode, second.stderr) == (0, "")
    assert f"Using the Jupyter server at {server.url}" in second.stdout
    assert "/lab/tree/forge-widgets-demo-2.ipynb?token=" in second.stdout, "a notebook of the user's own stays"
    assert latest(forge).session_id != session_id
    assert existing_training(latest(forge).session_id) in second.stdout
    assert len(history(latest(forge).session_id, store=forge.store)) == 3000
    assert runtime_files(forge), "the server belongs to the first demo"

    demo.send_signal(signal.SIGTERM)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, err) == (0, "")
    assert runtime_files(forge) == []
    assert not page.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)


@pytest.mark.slow
def test_a_training_that_fails_is_said_and_the_demo_exits_with_1(forge: CommandLine, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "numpy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('no numbers today')")
    demo = forge.run("demo", "--mode", "quick", "--no-browser", "--exit", PYTHONPATH=os.fspath(broken.parent))
    assert demo.returncode == 1
    assert "the training failed with exit code 1: " in demo.stderr
    assert "no numbers today" in demo.stderr
    assert latest(forge).status == "error"
    assert runtime_files(forge) == []


@pytest.mark.slow
def test_ctrl_c_in_mid_training_is_recorded_and_ends_everything(forge: CommandLine) -> None:
    demo = forge.start("demo", "--mode", "demo", "--no-browser")
    line_with(demo, "step ")
    wait_for(lambda: latest(forge).rows > 0, "the training has begun")
    (runtime,) = runtime_files(forge)
    server = json.loads(runtime.read_text())["pid"]
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert latest(forge).status == "error"
    assert "KeyboardInterrupt" in latest(forge).error
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


@pytest.mark.slow
def test_a_lab_without_the_extension_or_the_port_is_an_error_that_says_so(forge: CommandLine, tmp_path: Path) -> None:
    disabled = {"ServerApp": {"jpserver_extensions": {"forge_widgets": False}}}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(disabled))
    answer = forge.run("demo", "--no-browser", "--exit", JUPYTER_CONFIG_DIR=os.fspath(tmp_path))
    assert answer.returncode == 1
    assert "without the server extension forge_widgets: 'jupyter server extension list' says why" in answer.stderr
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        answer = forge.run("demo", "--no-browser", "--exit", "--port", str(port))
    assert answer.returncode == 1
    assert "JupyterLab ended at once" in answer.stderr
    assert f"{port} is already in use" in answer.stderr
    assert runtime_files(forge) == []


def test_runtime_files_that_lead_nowhere_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: CommandLine
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", os.fspath(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
        described: list[object] = [
            {"pid": gone.pid, "url": silent, "token": "t"},
            {"pid": os.getpid(), "url": silent, "token": "t"},
            {"pid": os.getpid(), "url": "http+unix://%2Ftmp%2Fsocket/"},
            {"pid": "nine"},
            [],
        ]
        for number, content in enumerate(described):
            (tmp_path / f"jpserver-{number}.json").write_text(json.dumps(content))
        (tmp_path / "jpserver-9.json").write_text("{")
        assert find_server("any") is None


def test_without_jupyterlab_the_error_says_what_to_install(forge: CommandLine, tmp_path: Path) -> None:
    hidden = (
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "def find_spec(name, *more): return None if name == 'jupyterlab' else find(name, *more)\n"
        "PathFinder.find_spec = find_spec\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    answer = forge.run("demo", "--no-browser", "--exit", PYTHONPATH=os.fspath(tmp_path))
    assert answer.returncode == 1
    assert "pip install 'forge-widgets[lab]'" in answer.stderr


def test_the_snippet_is_what_runs_and_names_the_session() -> None:
    code = existing_training("demo-1")
    assert '@integrate_with_existing_training("demo-1")  # +' in code
    assert len([line for line in code.splitlines() if line.endswith("# +")]) == 5
    compile(code, "existing_training.py", "exec")
