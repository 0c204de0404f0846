"""A real ``jupyter server`` in a process of its own, with our extension or without, and with the one that measures its loop."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.streams.processes import Process, running
from tests.browser.jupyter import free_port, wait_for

PREFIX = "/forge"
_START_S = 60.0


@dataclass(frozen=True)
class Jupyter:
    """A server that answers."""

    process: Process
    port: int

    def late_s(self) -> list[float]:
        """Return how late its loop was since the last call, in seconds (lag.py)."""
        late_s: list[float] = self.get("bench/lag")
        return late_s

    def get(self, path: str) -> Any:
        """Ask for JSON."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def jupyter(home: Path, store: Path, *, ours: bool = True, lag: bool = False) -> Iterator[Jupyter]:
    """Run a server on a store, its configuration and what it writes in a folder of its own."""
    port = free_port()
    extensions = {"forge_widgets": ours, "tests.bench.streams.lag": lag}
    settings = {
        "ServerApp": {
            "port": port,
            "port_retries": 0,
            "open_browser": False,
            "allow_root": True,
            "root_dir": str(home),
            "log_level": "ERROR",
            "jpserver_extensions": extensions,
        },
        "IdentityProvider": {"token": ""},
    }
    home.mkdir(parents=True, exist_ok=True)
    (home / "jupyter_server_config.json").write_text(json.dumps(settings), "utf-8")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment = {**dict.fromkeys(folders, str(home)), "FORGE_WIDGETS_STORE": str(store)}
    with running([sys.executable, "-m", "jupyter_server"], environment) as process:
        server = Jupyter(process, port)
        wait_for(lambda: _answers(server), "answer of Jupyter", _START_S)
        yield server


def _answers(server: Jupyter) -> bool:
    try:
        server.get("api/status")
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
