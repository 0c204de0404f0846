"""An existing front end in a real browser: page.html, which knows the contract alone, against a server without a token."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import browser as browser
from tests.contract.conftest import Script
from tests.contract.servers import Server, until
from tests.contract.test_contract_websocket import STEPS
from tests.faults.proxy import Proxy, proxied

pytestmark = pytest.mark.browser

PAGE = Path(__file__).with_name("page.html")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves this folder's files, and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Serve the page from another port of this machine, as the existing front end's own server does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=os.fspath(PAGE.parent)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{PAGE.name}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def proxy(open_mount: Server) -> Iterator[Proxy]:
    """What lies between the page and the server."""
    with proxied(open_mount.port) as between:
        yield between


def look_at(page: Page, address: str, port: int, session_id: str) -> None:
    """Open the page on a session of the server at a port."""
    page.goto(f"{address}?{urlencode({'server': f'http://127.0.0.1:{port}', 'session': session_id})}")


def shown(page: Page) -> list[tuple[str, int]]:
    """Return what the page has shown so far: by which transport, and which step."""
    return [(told["transport"], told["step"]) for told in page.evaluate("window.shown")]


def goes_on(page: Page, transport: str, steps: int = 3) -> None:
    """Wait until the page has shown so many more steps by a transport."""
    start = shown(page)[-1][1] if shown(page) else 0
    until(
        lambda: len({step for by, step in shown(page) if by == transport and step > start}) >= steps,
        f"{steps} more steps by {transport}",
        20,
    )


@pytest.mark.parametrize("opened", ["from another port", "from a file"])
def test_a_page_of_the_contract_shows_a_session_live(
    page: Page, elsewhere: str, open_mount: Server, session_id: str, script: Script, opened: str
) -> None:
    """
    a client written against it works unchanged
    WebSocket first
    """
    address = elsewhere if opened == "from another port" else PAGE.as_uri()
    look_at(page, address, open_mount.port, session_id)
    expect(page.locator("#status")).to_have_text("waiting")
    training = script(STEPS.format(session_id=session_id, pause_s=0.02))
    goes_on(page, "websocket", 10)
    training.kill()
    assert open_mount.post(f"/api/progress/{session_id}/error", {"error": "<b>no</b> memory"}).status_code == 200
    expect(page.locator("#status")).to_have_text("error")
    expect(page.locator("#error")).to_have_text("<b>no</b> memory")
    assert {transport for transport, _ in shown(page)} == {"websocket"}


@pytest.mark.parametrize("opened", ["from another port", "from a file"])
def test_the_page_polls_while_the_socket_is_refused_and_comes_back(
    page: Page, elsewhere: str, open_mount: Server, proxy: Proxy, session_id: str, script: Script, opened: str
) -> None:
    """
    WebSocket first, HTTP polling when it fails, back to WebSocket when it returns: without a glitch, a gap or a repeat
    Existing polling of `/api/progress/{id}` beside it keeps working.
    recovered without help
    """
    script(STEPS.format(session_id=session_id, pause_s=0.02))
    until(lambda: open_mount.get(f"/api/progress/{session_id}").status_code == 200, "session")
    look_at(page, elsewhere if opened == "from another port" else PAGE.as_uri(), proxy.port, session_id)
    goes_on(page, "websocket")
    proxy.upgrade = 403
    proxy.reset()
    goes_on(page, "http", 2)
    proxy.upgrade = None
    goes_on(page, "websocket")
    steps = [step for _, step in shown(page)]
    assert steps == sorted(steps), "steps never go back"
    ways = [transport for transport, _ in shown(page)]
    changes = [way for place, way in enumerate(ways) if place == 0 or ways[place - 1] != way]
    assert changes == ["websocket", "http", "websocket"]


def test_the_page_goes_on_after_the_server_was_away(
    page: Page, elsewhere: str, proxy: Proxy, session_id: str, script: Script, new_id: Callable[[], str]
) -> None:
    """
    Stale connections are noticed, closed and recovered without help.
    """
    script(STEPS.format(session_id=session_id, pause_s=0.02))
    look_at(page, elsewhere, proxy.port, session_id)
    goes_on(page, "websocket")
    proxy.refuse()
    proxy.reset()
    until(lambda: proxy.live == 0, "end of the connection")
    proxy.accept()
    goes_on(page, "websocket")
    steps = [step for _, step in shown(page)]
    assert steps == sorted(steps), "steps never go back"


def test_the_stand_alone_server_has_a_page_that_shows_a_session_and_its_transport(
    page: Page, open_mount: Server, session_id: str, script: Script
) -> None:
    """
    A demo page without a build step, served by the stand-alone server, shows a session live and says which transport is in use.
    """
    script(STEPS.format(session_id=session_id, pause_s=0.02))
    until(lambda: open_mount.get(f"/api/progress/{session_id}").status_code == 200, "session")
    page.goto(f"{open_mount.url}/?session={session_id}")
    expect(page.get_by_text("WebSocket").first).to_be_visible()

    def step() -> int:
        found = re.search(r"step ([\d,]+) of", page.locator("body").inner_text())
        return int(found.group(1).replace(",", "")) if found else 0

    until(step, "step on the page")
    before = step()
    until(lambda: step() > before, "newer step on the page")
