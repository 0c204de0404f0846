"""A real Jupyter server of its own for a browser test: started, killed, started again on the same port and store."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60.0


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds; fail with ``what`` was missing after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class JupyterServer:
    """JupyterLab or Notebook 7 in a process of its own, with a folder, a store and a token of its own."""

    def __init__(self, home: Path, kind: str = "lab", options: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.root = home / "notebooks"
        self.store = home / "store"
        self.token = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{free_port()}/"
        self._home = home
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.root.mkdir(parents=True)
        settings = home / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')

    def environment(self) -> dict[str, str]:
        """The environment of the server, of its kernels, and of scripts that share its store."""
        folders = {
            name: os.fspath(self._home / name.lower())
            for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        }
        return {
            **os.environ,
            **folders,
            "JUPYTERLAB_SETTINGS_DIR": os.fspath(self._home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": os.fspath(self._home / "workspaces"),
            "FORGE_WIDGETS_STORE": os.fspath(self.store),
        }

    def start(self) -> None:
        """Start the server and wait until it answers."""
        app = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.kind]
        port = self.url.rsplit(":", 1)[1].rstrip("/")
        command = [
            sys.executable,
            "-m",
            {"lab": "jupyterlab", "notebook": "notebook"}[self.kind],
            "--no-browser",
            "--allow-root",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}",
            f"--{app}.expose_app_in_browser=True",
            *self._options,
        ]
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_for(self._answers, f"answer of the server ({self.log()[-2000:]})", START_TIMEOUT_S)

    def kill(self) -> None:
        """Kill the server at once, as a machine would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End the server and its kernels in good order."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def log(self) -> str:
        """What the server has printed so far."""
        path = self._home / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def get(self, path: str) -> Any:
        """Ask the server for JSON."""
        return self._ask(path)

    def start_kernel(self) -> str:
        """Start a kernel that belongs to no notebook and return its id."""
        kernel: str = self._ask("api/kernels", b"{}")["id"]
        return kernel

    def disable_server_extension(self) -> None:
        """Let the server start without our handlers, as ``jupyter server extension disable forge_widgets`` does."""
        config = {"ServerApp": {"jpserver_extensions": {"forge_widgets": False}}}
        self._configure("jupyter_server_config.json", config)

    def disable_lab_extension(self) -> None:
        """Let pages start without our plugins, as ``jupyter labextension disable forge-widgets`` does."""
        self._configure("labconfig/page_config.json", {"disabledExtensions": {"forge-widgets": True}})

    def _configure(self, name: str, config: dict[str, Any]) -> None:
        path = Path(self.environment()["JUPYTER_CONFIG_DIR"]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def write_notebook(self, name: str, *cells: str) -> Path:
        """Write a notebook of code cells into the server's folder."""
        path = self.root / name
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        code: list[dict[str, object]] = [
            {
                "cell_type": "code",
                "id": f"cell-{index}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(cells)
        ]
        path.write_text(
            json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
        )
        return path

    def run_script(self, source: str) -> subprocess.Popen[str]:
        """Run Python in a process of its own that records into this server's store."""
        return subprocess.Popen(
            [sys.executable, "-c", source], env=self.environment(), stdout=subprocess.PIPE, text=True
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server has ended: {self.log()[-3000:]}"
        try:
            self.get("api/status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True
