"""The page in a real Chromium through nginx: HTTPS and HTTP/2, below a path that nginx strips or leaves, and without WebSockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.deploy.nginx import Certificate, nginx
from tests.deploy.serving import serving
from tests.faults.house import TOKEN, House

pytestmark = pytest.mark.browser

BEHIND = ("--trust-proxy", "127.0.0.1")
REFUSES_UPGRADES = {"proxy_set_header Upgrade $http_upgrade;": "proxy_set_header Upgrade '';"}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    ("below", "options"),
    [("", ()), ("subpath.conf", ("--base-url", "/forge/")), ("subpath-stripped.conf", ())],
    ids=["name", "path", "stripped-path"],
)
def test_the_page_is_live_over_http_2_and_a_secure_socket(
    certificate: Certificate, store: House, page: Page, below: str, options: tuple[str, ...]
) -> None:
    training = store.train("paged")
    with ExitStack() as stack:
        server = stack.enter_context(serving(store.folder, *BEHIND, *options))
        front = stack.enter_context(nginx(certificate, server.port, below=below))
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        page.goto(f"{front.url}/?token={TOKEN}&session=paged")
        badge = page.locator(".forge-badge")
        expect(badge).to_have_text(re.compile(r"^\s*WebSocket\b"), timeout=15_000)
        expect(page.get_by_text(re.compile(r"\bstep [\d,]+"))).to_be_visible()
        # The token is out of the address, and the cookie goes nowhere but here, by TLS.
        assert page.url == f"{front.url}/?session=paged"
        (cookie,) = page.context.cookies()
        place = urlsplit(front.url).path or "/"
        assert (cookie["secure"], cookie["httpOnly"], cookie["path"].rstrip("/")) == (True, True, place.rstrip("/"))
        # A list of sessions is asked for once a second.
        page.wait_for_function(
            "performance.getEntriesByType('resource').some(one => one.name.includes('/api/sessions'))"
        )
        spoken = page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map(one => one.nextHopProtocol)"
        )
        assert set(spoken) == {"h2"}
        assert [url.partition("?")[0] for url in sockets] == [f"{front.url.replace('http', 'ws', 1)}/ws/paged"]
    assert training.stop() == 0


def test_where_the_proxy_passes_no_upgrade_on_the_page_polls(
    certificate: Certificate, store: House, page: Page
) -> None:
    training = store.train("polled")
    with (
        serving(store.folder, *BEHIND) as server,
        nginx(certificate, server.port, changed=REFUSES_UPGRADES) as front,
    ):
        page.goto(f"{front.url}/?token={TOKEN}&session=polled")
        expect(page.locator(".forge-badge")).to_have_text(re.compile(r"^\s*polling\b"), timeout=15_000)
        shown = page.get_by_text(re.compile(r"\bstep [\d,]+"))
        before = shown.inner_text()
        expect(shown).not_to_have_text(before)
    assert training.stop() == 0
