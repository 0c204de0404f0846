"""``forge-widgets serve`` as a process of its own, for tests that end it, read its log or open it in a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.server.mounts import until


class Serving:
    """A server that has said where it is."""

    def __init__(self, arguments: tuple[str, ...], **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "forge_widgets.cli", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        # What it has logged so far, a line each.
        self.logged: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()
        parts = urlsplit(self.said.split()[-1])
        self.port = parts.port or 0
        self.url = f"http://{parts.netloc}{parts.path.rstrip('/')}"

    def ask(self, verb: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """Send a request."""
        headers = {**({} if token is None else {"Authorization": f"token {token}"}), **options.pop("headers", {})}
        return requests.request(verb, self.url + path, headers=headers, timeout=15, **options)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal; doesn't wait."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(20)
        self._reader.join(10)
        return code

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has logged as JSON."""
        return [json.loads(line) for line in list(self.logged)]

    def until_refused(self) -> None:
        """Wait until nobody new is let in."""

        def refused() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) != 0

        until(refused)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.logged.append(line.rstrip("\n"))


@contextmanager
def serving(store: Path | None, *arguments: str, port: int = 0, **environment: str) -> Iterator[Serving]:
    """Serve a store, None for the default one; the process ends with the block."""
    where = () if store is None else ("--store", os.fspath(store))
    server = Serving(("--port", str(port), *where, *arguments), env={**os.environ, **environment})
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.wait()
        for pipe in (server.process.stdout, server.process.stderr):
            if pipe is not None:
                pipe.close()
