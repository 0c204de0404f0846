"""The demo as it runs: the store, the Jupyter server, the notebook, the parts, in this order, and their end.

The only place of the demo that wires; the command calls it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from forge_widgets.cli.demo.child import Child
from forge_widgets.cli.demo.lab import LabServer, find_server, started_server
from forge_widgets.cli.demo.notebook import demo_notebook, place_notebook
from forge_widgets.cli.demo.page import opened_page
from forge_widgets.cli.demo.parts import Part, parts_of
from forge_widgets.cli.demo.playing import PartFailed, Player
from forge_widgets.errors import ForgeError, InvalidStoreURL
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store

PAGE_OPENS_WITHIN_S = 10.0
LOOK_S = 0.2
PAUSE_S = 2.0
QUICK_PAUSE_S = 0.5


class Show:
    """One run of the demo."""

    def __init__(self, *, mode: str, store_url: str | None, port: int) -> None:
        self.mode = mode
        # What the ids of its sessions end in.
        self.stamp = time.strftime("%Y%m%d-%H%M%S")
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
            parts = parts_of(self.mode, self.stamp, folder)
            url = server.with_token(place_notebook(server, demo_notebook(parts, store.store_id)))
            print(f"Watch it here: {url}", flush=True)
            if browser:
                ends.enter_context(opened_page(url, hidden_folder(folder)))
                _wait_for_viewer(server, parts[0].session_id)
            workplace = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="forge-demo-")))
            logs, pause_s = hidden_folder(folder), PAUSE_S if self.mode == "demo" else QUICK_PAUSE_S
            player = Player(store, server, logs=logs, workplace=workplace, out=sys.stdout, pause_s=pause_s)
            failed = _play(player, parts)
            if own is not None and not exit_when_done:
                print("\nThe server goes on until Ctrl-C.", flush=True)
                _wait(own)
            return failed

    def _server(self, store: Store, folder: Path, ends: ExitStack) -> tuple[LabServer, Child | None]:
        found = find_server(store.store_id)
        if found is not None:
            print(f"Using the Jupyter server at {found.url}", flush=True)
            return found, None
        print("Starting JupyterLab …", flush=True)
        return ends.enter_context(started_server(folder, hidden_folder(folder) / "jupyter.log", self._port, store))


def _play(player: Player, parts: Sequence[Part]) -> int:
    """Play the parts one after the other; where one fails, the others are left out."""
    try:
        for number, part in enumerate(parts, 1):
            player.play(part, f"{number} of {len(parts)}" if len(parts) > 1 else "")
    except (PartFailed, OSError) as error:
        print(f"forge-widgets: {error}", file=sys.stderr)
        return 1
    return 0


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


def _wait_for_viewer(server: LabServer, session_id: str) -> None:
    """Give the page the time that it takes to open: what is trained meanwhile would not be seen."""
    deadline = time.monotonic() + PAGE_OPENS_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            if session_id in server.ask("forge/api/health")["sessions"]:
                return
        time.sleep(LOOK_S)


def _wait(own: Child) -> None:
    try:
        own.wait(None)
    except KeyboardInterrupt:
        print()
        return
    raise ForgeError(f"the Jupyter server ended with exit code {own.returncode}: {own.tail()}")
