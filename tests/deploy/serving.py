"""`forge-widgets serve` as a process of its own, as docs/DEPLOY.md starts it: on a port that stays when it is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.deploy.nginx import free_ports
from tests.faults.house import TOKEN
from tests.faults.process import ROOT, until

AUTHORIZATION = {"Authorization": f"token {TOKEN}"}


def answers(url: str) -> bool:
    """Say whether the server below a URL says of itself that it is healthy."""
    try:
        answer = requests.get(f"{url}/api/health", headers=AUTHORIZATION, timeout=5)
    except requests.RequestException:
        return False
    return answer.ok and bool(answer.json()["status"] == "healthy")


class Serving:
    """One server of a store; made by ``serving`` below."""

    def __init__(self, store: Path, options: tuple[str, ...]) -> None:
        self.port = free_ports(1)[0]
        base = options[options.index("--base-url") + 1] if "--base-url" in options else "/"
        self.url = f"http://127.0.0.1:{self.port}{base.rstrip('/')}"
        self._command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--port", str(self.port), *options]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FORGE_WIDGETS_STORE": str(store),
            "FORGE_WIDGETS_TOKEN": TOKEN,
        }
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it (again), and wait until it says that it serves."""
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), f"{self._command} has ended"

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and see it gone."""
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


@contextmanager
def serving(store: Path, *options: str) -> Iterator[Serving]:
    """Run a server of a store; it is ended at the end."""
    server = Serving(store, options)
    try:
        server.start()
        until(lambda: answers(server.url), "health")
        yield server
    finally:
        server.end()
