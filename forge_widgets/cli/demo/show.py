"""The demo as it runs: the store, the Jupyter server, the training, the terminal, in this order, and their end.

The only place of the demo that wires; the command calls it.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from forge_widgets.cli.demo.child import Child
from forge_widgets.cli.demo.lab import LabServer, find_server, started_server
from forge_widgets.cli.demo.notebook import demo_notebook, place_notebook
from forge_widgets.cli.demo.page import opened_page
from forge_widgets.cli.demo.progress import Follower
from forge_widgets.cli.demo.training import training_command
from forge_widgets.errors import ForgeError, InvalidStoreURL
from forge_widgets.stores import ENVIRONMENT, open_store
from forge_widgets.stores.base import Store


class Show:
    """One run of the demo."""

    def __init__(self, *, mode: str, store_url: str | None, port: int) -> None:
        self.mode = mode
        self.session_id = time.strftime("demo-%Y%m%d-%H%M%S")
        self._store_url = store_url
        self._port = port

    def run(self, *, browser: bool, exit_when_done: bool) -> int:
        """Show it all and return the exit code: 0 trained, 1 failed, 130 interrupted before the end."""
        with ExitStack() as ends:
            ends.enter_context(_interruptible())
            store = open_store(self._store_url)
            ends.callback(store.close)
            if store.url.startswith("memory:"):
                raise InvalidStoreURL(store.url, "the demo trains in another process, which can't see this memory")
            folder = demo_folder()
            server, own = self._server(store, folder, ends)
            path = place_notebook(server, demo_notebook(self.session_id, store.store_id))
            url = f"{server.url}lab/tree/{path}"
            print(f"Watch it here: {server.with_token(url)}", flush=True)
            if browser:
                ends.enter_context(opened_page(server.with_token(url), hidden_folder(folder)))
            failed = self._train(store, folder)
            if own is not None and not exit_when_done:
                print("The server goes on until Ctrl-C.", flush=True)
                _wait(own)
            return failed

    def _server(self, store: Store, folder: Path, ends: ExitStack) -> tuple[LabServer, Child | None]:
        found = find_server(store.store_id)
        if found is not None:
            print(f"Using the Jupyter server at {found.url}", flush=True)
            return found, None
        print("Starting JupyterLab …", flush=True)
        return ends.enter_context(started_server(folder, hidden_folder(folder) / "jupyter.log", self._port, store))

    def _train(self, store: Store, folder: Path) -> int:
        command, snippet = training_command(self.mode, self.session_id, store.url, folder)
        if snippet:
            print(f"\n{snippet}\n")
        with Child(
            command, log=hidden_folder(folder) / "training.log", environment={ENVIRONMENT: store.url}
        ) as training:
            state = Follower(store, self.session_id, sys.stdout).follow(training)
        if training.returncode == 0 and state is not None and state.status == "completed":
            return 0
        why = (state.error if state is not None else "") or training.tail() or "it said nothing"
        print(f"forge-widgets: the training failed with exit code {training.returncode}: {why}", file=sys.stderr)
        return 1


def demo_folder() -> Path:
    """Return the folder of the demo's notebook in the user's data directory; made where it is missing."""
    from jupyter_core.paths import jupyter_data_dir

    folder = Path(jupyter_data_dir()) / "forge_widgets_demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def hidden_folder(folder: Path) -> Path:
    """Return the folder in it that the lab's file browser does not show: logs, which may hold a token."""
    hidden = folder / ".logs"
    hidden.mkdir(mode=0o700, exist_ok=True)
    return hidden


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, so that its children end with it."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), _interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _wait(own: Child) -> None:
    try:
        own.wait(None)
    except KeyboardInterrupt:
        print()
        return
    raise ForgeError(f"the Jupyter server ended with exit code {own.returncode}: {own.tail()}")
