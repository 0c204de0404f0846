"""The files of docs/deploy/nginx in a real nginx, before real servers: what every kind of client gets through it."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from websockets.sync.client import ClientConnection, connect

from tests.deploy.nginx import Certificate, Nginx, nginx
from tests.deploy.serving import AUTHORIZATION, Serving, serving
from tests.faults.house import TOKEN, House
from tests.faults.process import until
from tests.faults.viewer import Viewer

BEHIND = ("--trust-proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def servers(store: House) -> Iterator[tuple[Serving, Serving]]:
    """Two servers of one store."""
    with serving(store.folder, *BEHIND) as one, serving(store.folder, *BEHIND) as other:
        yield one, other


@pytest.fixture(scope="module")
def front(certificate: Certificate, servers: tuple[Serving, Serving]) -> Iterator[Nginx]:
    """An nginx before both."""
    with nginx(certificate, *(server.port for server in servers)) as made:
        yield made


def watch(front: Nginx, session_id: str, **options: str) -> Viewer:
    viewer = Viewer(front.bare_url, session_id, TOKEN, **options).start()  # type: ignore[arg-type]
    viewer.until(lambda: viewer.chapters, f"first frame ({front.errors()})", 20)
    return viewer


def naive(front: Nginx, path: str) -> ClientConnection:
    return connect(f"{front.bare_url.replace('http', 'ws', 1)}{path}", additional_headers=AUTHORIZATION, proxy=None)


def test_a_person_is_led_to_https_and_offered_http_2(front: Nginx) -> None:
    answer = requests.get(f"http://127.0.0.1:{front.plain_port}/?session=a", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://127.0.0.1/?session=a")
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", front.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"


def test_viewers_move_between_two_servers_and_over_restarts_without_gap_or_repeat(
    front: Nginx, servers: tuple[Serving, Serving], store: House
) -> None:
    training = store.train("moves", steps_per_s=100)
    socketed, polling = watch(front, "moves"), watch(front, "moves", transport="http")
    page = store.view_browser("moves", url=front.url)
    viewers = (socketed, polling, page)
    for server in servers:
        server.end(signal.SIGKILL)
        training.goes_on(20)
        server.start()
        training.goes_on(20)
    front.reload()
    training.goes_on(30)
    assert training.stop() == 0
    store.judge(training, session_id="moves", viewers=viewers)
    assert all(viewer.unbroken for viewer in viewers), viewers
    asked = front.upstreams("/api/sessions/moves/events")
    assert {f"127.0.0.1:{server.port}" for server in servers} <= set(asked), asked


def test_a_naive_client_gets_what_the_contract_says_and_native_pings(
    front: Nginx, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "websockets.client")
    with naive(front, "/ws/posted") as viewer:
        assert json.loads(viewer.recv(timeout=10))["type"] == "session_joined"
        update = {"eventType": "step_update", "metrics": {"loss": 1.5, "currentStep": 7}}
        answer = requests.post(
            f"{front.url}/api/progress/posted/update", json=update, headers=AUTHORIZATION, timeout=10
        )
        assert answer.json() == {"status": "success", "sessionId": "posted"}
        said = json.loads(viewer.recv(timeout=10))
        assert (said["type"], said["metrics"]["loss"], said["metrics"]["currentStep"]) == ("progress_update", 1.5, 7)
        viewer.send(json.dumps({"type": "ping"}))
        assert json.loads(viewer.recv(timeout=10))["type"] == "pong"
    assert any(message.startswith("< PING") for message in caplog.messages), caplog.messages


def test_a_poll_waits_at_the_proxy_as_at_the_server(front: Nginx) -> None:
    def post(loss: float) -> None:
        update = {"metrics": {"loss": loss}}
        assert requests.post(
            f"{front.url}/api/progress/waits/update", json=update, headers=AUTHORIZATION, timeout=10
        ).ok

    def poll(**query: str | float) -> Any:
        return requests.get(
            f"{front.url}/api/sessions/waits/events", params={"protocol": 1, **query}, headers=AUTHORIZATION, timeout=30
        ).json()

    post(2.0)
    frame = poll()["frame"]
    cursor = {"epoch": frame["epoch"], "after": frame["to"]}
    began = time.monotonic()
    assert poll(**cursor, wait=0.5)["frame"] is None
    assert time.monotonic() - began >= 0.4
    with ThreadPoolExecutor(1) as elsewhere:
        waiting = elsewhere.submit(poll, **cursor, wait=20)
        post(1.0)
        assert waiting.result(15)["frame"]["from"] == cursor["after"] + 1


@pytest.mark.parametrize("path", ["/api/sessions/wide/events?protocol=1", "/api/sessions", "/static/page.js"])
def test_what_comes_is_compressed_once_and_only_for_who_takes_it(front: Nginx, path: str) -> None:
    for name in ("wide", *(f"wide-{number}" for number in range(8))):
        update = {"metrics": {f"metric-{number}": number / 7 for number in range(100)}}
        url = f"{front.url}/api/progress/{name}/update"
        assert requests.post(url, json=update, headers=AUTHORIZATION, timeout=10).ok
    for taken in ("gzip", "identity"):
        headers = {**AUTHORIZATION, "Accept-Encoding": taken}
        with requests.get(front.url + path, headers=headers, stream=True, timeout=10) as answer:
            assert answer.headers.get("Content-Encoding", "identity") == taken
            body = answer.raw.read(decode_content=False)
        plain = gzip.decompress(body) if taken == "gzip" else body
        assert len(plain) > 1_000
        assert plain[:1] in b'{(/vicl"', plain[:40]


def test_the_server_says_itself_what_is_too_large_and_nginx_keeps_much_more_away(front: Nginx) -> None:
    url = f"{front.url}/api/progress/large/update"
    statuses = []
    for size in (900_000, 1_100_000, 3_000_000):
        answer = requests.post(url, json={"message": "x" * 10, "filler": "x" * size}, headers=AUTHORIZATION, timeout=20)
        statuses.append((answer.status_code, answer.headers["Content-Type"].partition(";")[0]))
    assert statuses == [(200, "application/json"), (413, "application/json"), (413, "text/html")]


def test_the_polling_of_socket_io_stays_with_the_server_that_has_its_connection(front: Nginx) -> None:
    query = {"EIO": "4", "transport": "polling"}
    url = f"{front.url}/socket.io/"
    opened = requests.get(url, params=query, headers=AUTHORIZATION, timeout=10).text
    query["sid"] = json.loads(opened[1:])["sid"]
    heard = ""
    for packet in ("40", '42["join_room","socketed"]'):
        assert requests.post(url, params=query, data=packet, headers=AUTHORIZATION, timeout=10).text == "ok"
        heard += requests.get(url, params=query, headers=AUTHORIZATION, timeout=10).text
    while '"session_joined"' not in heard:
        heard += requests.get(url, params=query, headers=AUTHORIZATION, timeout=10).text
    until(lambda: len(front.upstreams("/socket.io/")) >= 5, "lines in the access log")
    assert len(set(front.upstreams("/socket.io/"))) == 1


def test_a_token_in_an_address_is_in_no_access_log(front: Nginx) -> None:
    assert requests.get(f"{front.url}/", params={"token": TOKEN}, timeout=10).ok
    assert requests.get(f"{front.url}/api/sessions?said-here", params={"token": TOKEN}, timeout=10).ok
    until(lambda: '"GET /api/sessions HTTP/1.1"' in front.accesses(), "line in the access log")
    assert TOKEN not in front.accesses()
    assert "said-here" not in front.accesses()


class From(HTTPAdapter):
    """Sends from another address of the loopback: another client, as far as a server can see."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, source_address=(self._address, 0))


def test_each_client_behind_the_proxy_has_its_own_rate_and_none_can_pretend_to_be_another(
    certificate: Certificate, store: House
) -> None:
    # Two requests, a third on credit, and no more for long.
    limits = ("--limit", "publish_requests_per_s=0.1", "--limit", "publish_burst_s=20")
    with serving(store.folder, *BEHIND, *limits) as server, nginx(certificate, server.port) as front:

        def statuses(url: str, address: str, said: str) -> list[int]:
            headers = {**AUTHORIZATION, "X-Forwarded-For": said}
            with requests.Session() as session:
                session.mount(url, From(address))
                path = f"{url}/api/progress/rated/update"
                return [session.post(path, json={}, headers=headers, timeout=10).status_code for _ in range(4)]

        assert statuses(front.url, "127.0.0.2", "192.0.2.1") == [200, 200, 200, 429]
        assert statuses(front.url, "127.0.0.3", "192.0.2.1") == [200, 200, 200, 429]
        assert statuses(front.url, "127.0.0.2", "192.0.2.2") == [429, 429, 429, 429]
        # Beside the proxy, from a peer that is none.
        assert statuses(server.url, "127.0.0.4", "192.0.2.1") == [200, 200, 200, 429]
        assert statuses(server.url, "127.0.0.4", "192.0.2.2") == [429, 429, 429, 429]
