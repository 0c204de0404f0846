"""A stand-alone server in a process of its own, as a person starts it; killed and started again on the same port and store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.browser.jupyter import free_port


class StandaloneServer:
    """``forge-widgets serve`` on one store; in open mode unless ``arguments`` say otherwise."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.store = home / "store"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments or ("--open",)
        self._process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the server, and of scripts that share its store."""
        return {**os.environ, "FORGE_WIDGETS_STORE": os.fspath(self.store)}

    def start(self) -> None:
        """Start it and wait until it says where it is."""
        command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("Serving at "), line

    def kill(self) -> None:
        """Kill it at once, as a machine would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
