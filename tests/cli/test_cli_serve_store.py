"""``forge-widgets serve``, a Jupyter server and a training, each a process, on the default store: all of them see the same."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.faults.viewer import Viewer
from tests.server.mounts import until
from tests.server.serving import serving

TOKEN = "a-token-of-both"
TRAINING = """
import sys, threading
import forge_widgets as forge
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
with forge.run("training", total_steps=1_000_000) as run:
    while not ended.wait(0.002):
        run.log(loss=0.5)
"""


@pytest.fixture
def urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Serve one fresh default store stand-alone and in Jupyter."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", os.fspath(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", os.fspath(tmp_path / "runtime"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.port_retries=0"),
        *(f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path}"),
    ]
    with (tmp_path / "log").open("w") as log, serving(None, "--token", TOKEN) as standalone:
        jupyter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}/forge"
        try:
            until(lambda: answers(url), 60)
            yield standalone.url, url
        finally:
            jupyter.send_signal(signal.SIGTERM)
            jupyter.wait(20)


def answers(url: str) -> bool:
    try:
        return ask(url, "GET", "/api/health").ok
    except requests.ConnectionError:
        return False


def ask(url: str, verb: str, path: str, **options: Any) -> requests.Response:
    return requests.request(verb, url + path, headers={"Authorization": f"token {TOKEN}"}, timeout=20, **options)


def listed(url: str) -> dict[str, str]:
    return {one["sessionId"]: one["status"] for one in ask(url, "GET", "/api/sessions").json()["sessions"]}


def test_a_training_and_both_servers_share_one_store(urls: tuple[str, str]) -> None:
    stores = {ask(url, "GET", "/api/store").json()["storeId"] for url in urls}
    assert len(stores) == 1
    training = subprocess.Popen([sys.executable, "-c", TRAINING], stdin=subprocess.PIPE)
    viewers = [Viewer(url, "training", TOKEN, seed=seed).start() for seed, url in enumerate(urls)]
    try:
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.offset > 100, "steps")  # type: ignore[misc]
        for url in urls:
            until(lambda url=url: listed(url).get("training") == "running")  # type: ignore[misc]
        # What is recorded through one is read through the other while the training writes.
        for here, there in (urls, urls[::-1]):
            name = f"by-{urls.index(here)}"
            assert ask(here, "POST", f"/api/progress/{name}/update", json={"metrics": {"loss": 0.25}}).ok
            assert ask(there, "GET", f"/api/progress/{name}").json()["metrics"]["loss"] == 0.25
        assert training.stdin is not None
        training.stdin.close()
        assert training.wait(20) == 0
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.state.status == "completed", "end")  # type: ignore[misc]
            assert viewer.unbroken, viewer
        assert len({viewer.position for viewer in viewers}) == 1
        for url in urls:
            until(lambda url=url: listed(url) == {"training": "completed", "by-0": "running", "by-1": "running"})  # type: ignore[misc]
        # Deleted through one, gone from the other, and its viewers there are told for good.
        assert ask(urls[0], "DELETE", "/api/sessions/training").ok
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.sent_away == 1000, "farewell")  # type: ignore[misc]
        until(lambda: "training" not in listed(urls[1]))
    finally:
        for viewer in viewers:
            viewer.close()
        if training.poll() is None:
            training.kill()
            training.wait(20)
