"""What the benchmarks of promises run on: a stand-alone server, a Chromium with pages on it, and trainings, all real processes."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, sync_playwright

from tests.browser.conftest import FLAGS

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "forge_widgets" / "static"
Seen = list[tuple[int, float]]


class Stage:
    """A server of a store of its own, and a browser; ``port`` is the server's."""

    def __init__(self, folder: Path, port: int, pages_port: int, browser: Browser) -> None:
        self.folder = folder
        self.port = port
        self._pages = f"http://127.0.0.1:{pages_port}"
        self._browser = browser

    @contextmanager
    def page(
        self, name: str, session_id: str, port: int, *, sockets: bool = True, every_ms: int = 1_000
    ) -> Iterator[Page]:
        """Open ``cell.html`` or ``polled.html`` of a session on a server (or a proxy to it), with or without WebSockets."""
        context = self._browser.new_context(viewport={"width": 900, "height": 700}, reduced_motion="reduce")
        for script in ("seen.js", "painted.js"):
            context.add_init_script(path=HERE / script)
        if not sockets:
            _block_sockets(context)
        query = {"server": f"http://127.0.0.1:{port}/", "session": session_id, "every": every_ms}
        page = context.new_page()
        page.goto(f"{self._pages}/{name}?{urlencode(query)}")
        try:
            yield page
        finally:
            context.close()

    @contextmanager
    def training(self, session_id: str, rate: str) -> Iterator[Training]:
        """Start a training; left, it has ended."""
        training = Training(self.folder / "store", session_id, rate)
        try:
            yield training
        finally:
            training.stop()


class Training:
    """A run of trainer.py."""

    def __init__(self, store: Path, session_id: str, rate: str) -> None:
        # When which step was emitted, in seconds since 1970; known once it has ended.
        self.emitted: dict[int, float] = {}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "trainer.py"), session_id, rate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FORGE_WIDGETS_STORE": str(store)},
        )

    def stop(self) -> None:
        """Let it end well, and hear what it says; again is nothing."""
        if self._process.poll() is not None:
            return
        said, _ = self._process.communicate("", timeout=60)
        assert self._process.returncode == 0, f"the training ended with {self._process.returncode}"
        lines = (line.split() for line in said.splitlines())
        self.emitted = {int(step): float(at) for step, at in lines}


@contextmanager
def stage(store: Path | None = None) -> Iterator[Stage]:
    """Set it all up, and take it down again; with a store of its own where none is given."""
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as name:
        folder = Path(name)
        with _served(store or folder / "store") as port, _pages(folder) as pages_port, sync_playwright() as playwright:
            installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
            browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
            yield Stage(folder, port, pages_port, browser)
            browser.close()


@contextmanager
def _served(store: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "forge_widgets.cli", "serve", "--open", "--port", "0"]
    command += ["--base-url", "/forge/", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert found, f"the server said {said!r}"
        yield int(found.group(1))
        server.terminate()


@contextmanager
def _pages(folder: Path) -> Iterator[int]:
    """Serve our pages and the built front end from one folder, as another server's front end would lie."""
    root = folder / "pages"
    shutil.copytree(STATIC, root)
    for page in HERE.glob("*.html"):
        shutil.copy(page, root)
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _block_sockets(context: BrowserContext) -> None:
    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=4400)

    context.route_web_socket(re.compile("/ws/"), refuse)


def seen(page: Page) -> Seen:
    """Return when which step was first shown, in seconds since 1970."""
    return [(int(step), at / 1000.0) for step, at in page.evaluate("window.seen")]


def open_when_rising(page: Page) -> None:
    """Wait until a page shows a step."""
    page.wait_for_function("window.seen.length > 0", timeout=30_000)
