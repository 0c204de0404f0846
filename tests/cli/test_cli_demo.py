"""``forge-widgets demo``, the whole way: a real JupyterLab, a real training, and their end."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from websockets.sync.client import connect

from forge_widgets.analysis.history import history
from forge_widgets.analysis.sessions import SessionInfo, sessions
from forge_widgets.cli.demo.lab import LabServer, find_server
from forge_widgets.cli.demo.parts import Part, Run
from forge_widgets.cli.demo.playing import PartFailed, Player
from forge_widgets.cli.demo.scripts import script
from forge_widgets.core.face import SESSION_MIME_TYPE
from forge_widgets.errors import InvalidSessionId
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


PARTS = ("basic", "recovery", "cognates", "monitored")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_plays_its_parts_on_one_page_and_a_second_one_uses_its_server(
    forge: CommandLine, tmp_path: Path
) -> None:
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
    token = parse_qs(parts.query)["token"][0]
    server = LabServer(f"{parts.scheme}://{parts.netloc}/", token)
    assert parts.path == "/lab/workspaces/forge-widgets-demo/tree/forge-widgets-demo.ipynb"
    workspace = server.ask("lab/api/workspaces/forge-widgets-demo")["data"]["layout-restorer:data"]
    assert workspace["left"]["current"] == "forge-widgets-sessions"
    notebook = server.ask("api/contents/forge-widgets-demo.ipynb?content=1")["content"]
    watched = watched_sessions(forge, notebook)
    assert [session_id.split("-")[1] for session_id in watched] == list(PARTS)

    # The first part begins once its page is there.
    live = f"ws://{parts.netloc}/forge/ws/{watched[0]}?token={token}"
    with connect(live) as viewer:
        assert json.loads(viewer.recv(30))["status"] == "waiting"
        assert json.loads(viewer.recv(30))["eventType"] == "training_started"
    assert_recovered(demo)
    assert_monitored(demo, server, watched)
    line_with(demo, "goes on until Ctrl-C")
    found = {info.session_id: info for info in sessions(store=forge.store)}
    assert [found[session_id].status for session_id in watched] == ["completed"] * len(PARTS)
    assert (found[watched[2]].rows, found[watched[2]].metrics["accuracy"] > 0.95) == (3000, True)

    theirs = {"type": "notebook", "content": {**notebook, "metadata": {}}}
    server.ask("api/contents/forge-widgets-demo.ipynb", theirs, "PUT")
    second = forge.run("demo", "--mode", "integration", "--no-browser", "--exit")
    assert (second.returncode, second.stderr) == (0, "")
    assert f"Using the Jupyter server at {server.url}" in second.stdout
    assert "/tree/forge-widgets-demo-2.ipynb?token=" in second.stdout, "a notebook of the user's own stays"
    session_id = latest(forge).session_id
    assert session_id not in watched
    assert script("existing_training", session_id) in second.stdout
    assert len(history(session_id, store=forge.store)) == 3000
    assert runtime_files(forge), "the server belongs to the first demo"

    demo.send_signal(signal.SIGTERM)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, err) == (0, "")
    assert runtime_files(forge) == []
    assert not page.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)


def watched_sessions(forge: CommandLine, notebook: dict[str, Any]) -> list[str]:
    """Return the sessions whose outputs a notebook holds, each below the code that watches it, and followed."""
    store = open_store(forge.store)
    watched = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            assert output["metadata"][SESSION_MIME_TYPE] == {"storeId": store.store_id, "follow": True}
            watched.append(output["data"][SESSION_MIME_TYPE]["sessionId"])
            assert f'forge.watch("{watched[-1]}")' in "".join(cell["source"])
    store.close()
    return watched


def assert_recovered(demo: subprocess.Popen[str]) -> None:
    """See that the second part fails for real, and goes on."""
    line_with(demo, "2 of 4 · Error and recovery")
    assert re.search(r"FloatingPointError: loss .+ at step \d+ was", line_with(demo, "Failed: "))
    assert "at half the learning rate" in line_with(demo, "checkpoint")
    line_with(demo, "Trained ")


def assert_monitored(demo: subprocess.Popen[str], server: LabServer, watched: list[str]) -> None:
    """See that the fourth part says what the routes say."""
    line_with(demo, "4 of 4 · Session monitoring")
    assert line_with(demo, f"{server.url}forge/api/health").split()[1] == "healthy,"
    rows = [line_with(demo, session_id).split() for session_id in watched]
    assert [row[1] for row in rows] == ["completed"] * 3 + ["running"]
    assert rows[2][:6] == [watched[2], "completed", "3/3", "1,000/1,000", rows[2][4], "0"]
    line_with(demo, "forge/api/sessions    4 in all")
    assert line_with(demo, watched[3]).split()[1] == "completed"


@pytest.mark.slow
def test_a_training_that_fails_is_said_and_the_demo_exits_with_1(forge: CommandLine, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "numpy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('no numbers today')")
    demo = forge.run("demo", "--mode", "quick", "--no-browser", "--exit", PYTHONPATH=os.fspath(broken.parent))
    assert demo.returncode == 1
    assert "Basic integration: the training failed with exit code 1: " in demo.stderr
    assert "no numbers today" in demo.stderr
    assert "2 of 4" not in demo.stdout, "what comes after is left out"
    assert runtime_files(forge) == []


@pytest.mark.slow
def test_ctrl_c_in_mid_training_is_recorded_and_ends_everything(forge: CommandLine) -> None:
    demo = forge.start("demo", "--no-browser")
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
    code = script("existing_training", "demo-1")
    assert '@integrate_with_existing_training("demo-1")  # +' in code
    assert len([line for line in code.splitlines() if line.endswith("# +")]) == 5
    compile(code, "existing_training.py", "exec")
    with pytest.raises(LookupError, match="'steps=1' is not in the script 'existing_training'"):
        script("existing_training", "demo-1", {"steps=1": "steps=2"})
    with pytest.raises(InvalidSessionId):
        script("basic_integration", 'a"; import os')


@pytest.fixture
def player(forge: CommandLine, tmp_path: Path) -> Iterator[Player]:
    store = open_store(forge.store)
    server = LabServer("http://127.0.0.1:9/")
    yield Player(store, server, logs=tmp_path, workplace=tmp_path, out=io.StringIO(), pause_s=0)
    store.close()


@pytest.mark.parametrize(
    ("code", "fails", "said"),
    [
        ("", True, "A title: the training was to fail, and is waiting"),
        ("", False, "A title: the training failed with exit code 0: it said nothing"),
        ("print('so what'); raise SystemExit(3)", False, "A title: the training failed with exit code 3: so what"),
        ("raise SystemExit(3)", True, "A title: the training was to fail, and is waiting"),
    ],
)
def test_a_part_that_does_not_come_to_what_it_should_is_said(
    player: Player, code: str, *, fails: bool, said: str
) -> None:
    runs = (Run(command=(sys.executable, "-c", code), fails=fails),)
    part = Part(title="A title", about="about", look="look", session_id="s", runs=runs)
    with pytest.raises(PartFailed, match=f"^{said}$"):
        player.play(part)


def test_a_server_that_is_gone_is_said_where_it_is_asked(player: Player) -> None:
    runs = (Run(command=(sys.executable, "-c", "import time; time.sleep(0.8)")),)
    part = Part(title="A title", about="about", look="look", session_id="s", runs=runs, monitored=True)
    with pytest.raises(OSError, match="refused"):
        player.play(part)
