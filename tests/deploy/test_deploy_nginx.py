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
from urllib.parse import urlsplit

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from tests.deploy.nginx import Certificate, Nginx, nginx
from tests.deploy.serving import AUTHORIZATION, Serving, serving
from tests.faults.house import TOKEN, House
from tests.faults.process import until
from tests.faults.viewer import Viewer


@pytest.fixture(scope="module")
def servers(store: House) -> Iterator[tuple[Serving, Serving]]:
    """Two servers of one store."""
    with serving(store.folder) as one, serving(store.folder) as other:
        yield one, other


@pytest.fixture(scope="module")
def front(certificate: Certificate, servers: tuple[Serving, Serving]) -> Iterator[Nginx]:
    """An nginx before both."""
    with nginx(certificate, *(server.port for server in servers)) as made:
        yield made


def watch(front: Nginx, session_id: str, **options: str) -> Viewer:
    viewer = Viewer(front.url, session_id, TOKEN, **options).start()  # type: ignore[arg-type]
    viewer.until(lambda: viewer.chapters, f"first frame ({front.errors()})", 20)
    return viewer


def naive(front: Nginx, path: str, **options: object) -> ClientConnection:
    return connect(
        f"{front.url.replace('http', 'ws', 1)}{path}", additional_headers=AUTHORIZATION, proxy=None, **options
    )


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
