"""The Jupyter server that shows the demo: one that runs and serves the same store, or one of our own.

Finds servers by the runtime files that only their owner can read, and asks each whether it has forge-widgets and which
store it serves. Loads nothing of Jupyter but its paths.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from forge_widgets.cli.demo.child import Child
from forge_widgets.errors import ForgeError, MissingDependency
from forge_widgets.stores import ENVIRONMENT
from forge_widgets.stores.base import Store

ASK_TIMEOUT_S = 3.0
START_TIMEOUT_S = 90.0
POLL_S = 0.1

WORKSPACE = "forge-widgets-demo"
PANEL = "forge-widgets-sessions"
"""The id of the panel of sessions, as the lab extension gives it."""

# Straight to this machine, whatever proxy the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LabServer(msgspec.Struct, frozen=True):
    """A Jupyter server as its runtime file describes it."""

    # Ends in a slash and holds the base URL.
    url: str
    token: str = ""

    def with_token(self, url: str) -> str:
        """Return a URL of this server that lets a browser in."""
        return f"{url}?token={quote(self.token)}" if self.token else url

    def page(self, path: str) -> str:
        """Return the lab's page of a document, in the demo's own workspace: the panel of sessions stands beside it."""
        document = f"notebook:{unquote(path)}"
        layout = {
            "main": {
                "dock": {"type": "tab-area", "currentIndex": 0, "widgets": [document]},
                "current": document,
            },
            "left": {"collapsed": False, "visible": True, "current": PANEL, "widgets": ["filebrowser", PANEL]},
            "right": {"collapsed": True, "visible": True, "widgets": []},
            "relativeSizes": [0.24, 0.76, 0],
        }
        data = {
            "layout-restorer:data": layout,
            document: {"data": {"path": unquote(path), "factory": "Notebook"}},
        }
        try:
            self.ask(f"lab/api/workspaces/{WORKSPACE}", {"data": data, "metadata": {"id": WORKSPACE}}, "PUT")
        except OSError:
            return f"{self.url}lab/tree/{path}"  # workspaces are kept nowhere here; the notebook opens all the same
        return f"{self.url}lab/workspaces/{WORKSPACE}/tree/{path}"

    def ask(self, path: str, body: Any = None, method: str = "GET") -> Any:
        """Call one of the server's HTTP routes; None where it answers 404. Raises OSError for any other failure."""
        headers = {"Content-Type": "application/json", "Cookie": "_xsrf=forge", "X-XSRFToken": "forge"}
        if self.token:
            headers["Authorization"] = f"token {self.token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers, method=method)  # noqa: S310 - checked http
        try:
            with _opener.open(request, timeout=ASK_TIMEOUT_S) as answer:
                return None if answer.status == 204 else json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise OSError(f"{method} {self.url}{path} was answered {error.code} {error.reason}") from error
        except ValueError as error:
            raise OSError(f"{method} {self.url}{path} was not answered in JSON") from error

    def store_id(self) -> str | None:
        """Return the id of the store that its extension serves; None where it has no such extension."""
        health = self.ask("forge/api/health")
        return health.get("storeId") if isinstance(health, dict) else None


def find_server(store_id: str) -> LabServer | None:
    """Return a running Jupyter server of the user's with a lab that serves this store; None where there is none."""
    for pid, server in sorted(_described_servers(), key=lambda found: -found[0]):
        if not _runs(pid):
            continue
        try:
            if server.store_id() == store_id and server.ask("lab/api/settings") is not None:
                return server
        except OSError:
            continue  # it has just ended, or wants another way in than its token
    return None


@contextmanager
def started_server(folder: Path, log: Path, port: int, store: Store) -> Iterator[tuple[LabServer, Child]]:
    """Start JupyterLab in a folder, give it once it serves the store, and end it afterwards.

    ``port`` 0 means any free one. Raises MissingDependency where JupyterLab is not installed, and ForgeError where it
    does not start or does not serve this store.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingDependency("jupyterlab", "the demo's notebook", "forge-widgets[lab]")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port or _free_port()}"),
        f"--ServerApp.port_retries={0 if port else 50}",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
    environment = {ENVIRONMENT: store.url, "JUPYTER_CONFIG_PATH": _quiet_defaults(log.parent)}
    with Child(command, log=log, environment=environment, ends_on=signal.SIGTERM) as process:
        yield _ready(process, store), process


def _quiet_defaults(folder: Path) -> str:
    """Write a default of the lab's settings and return the configuration path with it; what the user has set stands.

    Else the page asks whether news are wanted, and the question lies over the dashboard.
    """
    defaults = folder / "defaults" / "labconfig" / "default_setting_overrides.json"
    defaults.parent.mkdir(parents=True, exist_ok=True)
    defaults.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}), "utf-8")
    return os.pathsep.join(filter(None, [os.environ.get("JUPYTER_CONFIG_PATH"), str(defaults.parents[1])]))


def _ready(process: Child, store: Store) -> LabServer:
    deadline = time.monotonic() + START_TIMEOUT_S
    trouble = "it wrote no runtime file"
    while time.monotonic() < deadline:
        if process.wait(POLL_S):
            raise ForgeError(f"JupyterLab ended at once, with exit code {process.returncode}:\n{process.tail()}")
        server = dict(_described_servers()).get(process.pid)
        if server is None:
            continue
        try:
            served = server.store_id()
        except OSError as error:
            trouble = str(error)
            continue
        if served == store.store_id:
            return server
        if served is None:
            raise ForgeError(
                f"JupyterLab runs at {server.url} without the server extension forge_widgets: "
                "'jupyter server extension list' says why, 'pip install forge-widgets' in its environment mends it"
            )
        raise ForgeError(
            f"JupyterLab at {server.url} serves another store than {store.url}: its configuration names one"
        )
    raise ForgeError(f"JupyterLab was not ready after {START_TIMEOUT_S:.0f} s: {trouble}\n{process.tail()}")


def _described_servers() -> list[tuple[int, LabServer]]:
    """Read the runtime files: the process id and the server of each that has an HTTP address."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
        try:
            described = json.loads(path.read_text("utf-8"))
            pid, url, token = int(described["pid"]), str(described["url"]), str(described.get("token", ""))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half-written, or no longer there
        if url.startswith(("http://", "https://")):
            found.append((pid, LabServer(url if url.endswith("/") else f"{url}/", token)))
    return found


def _runs(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # a signal would end it; asking it by HTTP tells as well
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
