"""A real Chromium on a real Jupyter server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.jupyter import JupyterServer
from tests.browser.notebook_page import NotebookPage

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def jp_asyncio_loop() -> None:
    """Keep away the loop that pytest-jupyter gives each test: Playwright has its own in this thread."""


@pytest.fixture
def jp_server_cleanup() -> None:
    """Keep away what needs that loop; the servers here are processes of their own."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a module its Chromium; Playwright's loop runs in this thread as long, and no test elsewhere could have its own."""
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        # None: the browser that `playwright install chromium` has put in its place.
        chromium = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """One JupyterLab for all tests that leave it alive."""
    server = JupyterServer(tmp_path_factory.mktemp("lab"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """One Notebook 7."""
    server = JupyterServer(tmp_path_factory.mktemp("notebook7"), kind="notebook")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> NotebookPage:
    return NotebookPage(context.new_page())


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots go: to be looked at by whoever changes what people see."""
    folder = Path(os.environ.get("FORGE_WIDGETS_SCREENSHOTS", "build/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
