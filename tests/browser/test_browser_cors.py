"""Which pages a real browser lets at a stand-alone server: those that it allows, wholly; all others not at all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.browser.conftest import FLAGS
from tests.server.serving import Serving, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

TOKEN = "a-token-of-the-pages"

# All that an existing front end does, with what its script could see of the answers.
FRONT_END = """
async ({ url, token }) => {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const json = { ...headers, 'Content-Type': 'application/json' };
  const said = {};
  const attempt = async (name, call) => {
    try { said[name] = await call(); } catch (error) { said[name] = error.name; }
  };
  const post = (path, body) => fetch(url + path, { method: 'POST', headers: json, body: JSON.stringify(body) });
  await attempt('post', async () => (await (await post('/api/progress/cors/update', { metrics: { loss: 1.5 } })).json()).status);
  await attempt('get', async () => (await (await fetch(`${url}/api/progress/cors`, { headers })).json()).metrics.loss);
  await attempt('rejected', async () => (await (await post('/api/progress/cors/update', { metrics: 7 })).json()).error.length > 9);
  await attempt('socket', () => new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/cors${token ? `?token=${token}` : ''}`);
    socket.onmessage = (message) => { socket.close(); resolve(JSON.parse(message.data).type); };
    socket.onerror = () => { resolve('refused'); };
  }));
  await attempt('retryAfter', async () => {
    for (let asked = 0; asked < 9; asked += 1) {
      const answer = await post('/api/progress/cors/update', { metrics: {} });
      if (answer.status === 429) return Number(answer.headers.get('Retry-After')) > 0;
    }
    return 'never asked to wait';
  });
  await attempt('delete', async () => (await fetch(`${url}/api/sessions/cors`, { method: 'DELETE', headers })).status);
  return said;
}
"""
LET_IN = {
    "post": "success",
    "get": 1.5,
    "rejected": True,
    "socket": "session_joined",
    "retryAfter": True,
    "delete": 200,
}
KEPT_OUT = dict.fromkeys(LET_IN, "TypeError") | {"socket": "refused"}

# What a page can send without being asked for leave, and include without reading it.
FORGERIES = """
async (url) => {
  const update = `${url}/api/progress/forged/update`;
  const body = '{"metrics":{},"a":"="}';
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', undefined])
    await fetch(update, { method: 'POST', mode: 'no-cors', body, headers: type ? { 'Content-Type': type } : {} }).catch(() => {});
  navigator.sendBeacon(update, body);
  const frame = document.createElement('iframe');
  frame.name = 'target';
  const form = document.createElement('form');
  Object.assign(form, { action: update, method: 'post', enctype: 'text/plain', target: 'target' });
  const field = document.createElement('input');
  [field.name, field.value] = ['{"metrics":{},"a":"', '"}'];
  form.append(field);
  document.body.append(frame, form);
  await new Promise((done) => { frame.onload = done; form.submit(); });
  const script = document.createElement('script');
  script.src = `${url}/api/sessions`;
  return await new Promise((done) => {
    script.onload = () => { done('included'); };
    script.onerror = () => { done('blocked'); };
    document.body.append(script);
  });
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium to which every name of .example is this machine."""
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    # A browser may ask a person first whether a public page may reach this machine; here the server alone decides.
    flags = [*FLAGS, "--host-resolver-rules=MAP *.example 127.0.0.1", "--disable-features=LocalNetworkAccessChecks"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=installed, args=flags)
        yield chromium
        chromium.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Serve an empty page on a port of its own; give the port and the file."""
    folder = tmp_path_factory.mktemp("pages")
    file = folder / "index.html"
    file.write_text("<!doctype html><title>A front end</title><body>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], file
        server.shutdown()


SLOW = ("--limit", "publish_requests_per_s=0.2", "--limit", "publish_burst_s=20")


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path / "store", "--open", *SLOW) as server:
        yield server


def opened(context: BrowserContext, url: str) -> Page:
    """Open a page; https is answered by the test itself, as nobody here has a certificate."""

    def fulfil(route: Route) -> None:
        route.fulfill(content_type="text/html", body="<!doctype html><title>A front end</title><body>")

    context.route("https://*.example/", fulfil)
    page = context.new_page()
    page.goto(url)
    return page


def front_end(page: Page, server: Serving, token: str = "") -> dict[str, Any]:
    said: dict[str, Any] = page.evaluate(FRONT_END, {"url": server.url, "token": token})
    return said


def test_a_page_of_another_loopback_port_works_unchanged_in_open_mode(
    context: BrowserContext, pages: tuple[int, Path], open_server: Serving
) -> None:
    page = opened(context, f"http://localhost:{pages[0]}/")
    assert front_end(page, open_server) == LET_IN
    # By the other name of this machine, too.
    named = page.evaluate("(url) => fetch(`${url}/health`).then((answer) => answer.status)", by_name(open_server))
    assert named == 200


def by_name(server: Serving) -> str:
    return server.url.replace("127.0.0.1", "localhost")


def test_a_page_of_a_file_is_let_in_where_null_is_allowed_and_the_token_is_known(
    context: BrowserContext, pages: tuple[int, Path], tmp_path: Path
) -> None:
    with serving(tmp_path / "store", "--token", TOKEN, "--allow-origin", "null", *SLOW) as server:
        page = opened(context, pages[1].as_uri())
        assert front_end(page, server, TOKEN) == LET_IN
        told = front_end(page, server)
        assert (told["get"], told["socket"], told["post"]) == ("TypeError", "refused", None)
        assert "cors" not in server.ask("GET", "/api/sessions", TOKEN).text


def test_a_page_of_a_file_needs_no_token_where_null_is_allowed_in_open_mode(
    context: BrowserContext, pages: tuple[int, Path], tmp_path: Path
) -> None:
    with serving(tmp_path / "store", "--open", "--allow-origin", "null", *SLOW) as server:
        assert front_end(opened(context, pages[1].as_uri()), server) == LET_IN


def test_a_page_of_a_file_gets_nothing_in_open_mode(
    context: BrowserContext, pages: tuple[int, Path], open_server: Serving
) -> None:
    assert front_end(opened(context, pages[1].as_uri()), open_server) == KEPT_OUT


def test_an_allowed_https_page_is_let_in_with_the_token_and_another_is_not(
    context: BrowserContext, tmp_path: Path
) -> None:
    with serving(tmp_path / "store", "--token", TOKEN, "--allow-origin", "https://ours.example", *SLOW) as server:
        assert front_end(opened(context, "https://ours.example/"), server, TOKEN) == LET_IN
        # The browser asks for leave before it sends the token; without an answer to that nothing is sent.
        other = front_end(opened(context, "https://other.example/"), server, TOKEN)
        assert {name: said for name, said in other.items() if name != "socket"} == {
            name: said for name, said in KEPT_OUT.items() if name != "socket"
        }
        assert front_end(opened(context, "https://other.example/"), server) == KEPT_OUT
        assert "cors" not in server.ask("GET", "/api/sessions", TOKEN).text


def test_a_foreign_page_neither_reads_nor_records_in_open_mode(
    context: BrowserContext, pages: tuple[int, Path], open_server: Serving
) -> None:
    open_server.ask("POST", "/api/progress/secret/update", json={"metrics": {"loss": 1.0}})
    page = opened(context, f"http://evil.example:{pages[0]}/")
    assert front_end(page, open_server) == KEPT_OUT
    assert page.evaluate(FORGERIES, open_server.url) == "blocked"
    # Nor by a name of its own that leads here.
    rebound = open_server.url.replace("127.0.0.1", "evil.example")
    assert front_end(page, open_server) == KEPT_OUT
    assert page.evaluate("(url) => fetch(url).then((answer) => answer.text(), (error) => error.name)", rebound) == (
        "TypeError"
    )
    listed = open_server.ask("GET", "/api/sessions").json()["sessions"]
    assert [one["sessionId"] for one in listed] == ["secret"]


def test_a_page_on_this_machine_forges_nothing_by_a_form_either(
    context: BrowserContext, pages: tuple[int, Path], open_server: Serving
) -> None:
    """A page of another port is let in by what a script has to ask leave for, and by nothing else."""
    assert opened(context, f"http://127.0.0.1:{pages[0]}/").evaluate(FORGERIES, open_server.url) == "blocked"
    assert open_server.ask("GET", "/api/sessions").json()["sessions"] == []
