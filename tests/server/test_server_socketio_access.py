"""Who may speak Socket.IO, and what may be said: the mount's guard below every request, and packets that are none."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from forge_widgets.server.access import Access
from tests.server.mounts import TOKEN, Json, Mount, standalone
from tests.server.socketio_clients import WAYS, BarePoller, node_client

FOREIGN = {"Origin": "https://evil.example"}
ALLOWED = "https://friend.example"
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    access = Access(token=TOKEN, allow_origin=(ALLOWED,))
    with standalone(tmp_path_factory.mktemp("guarded") / "store", access=access) as served:
        yield served


@pytest.fixture(scope="module")
def open_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with standalone(tmp_path_factory.mktemp("open") / "store", access=Access(token=None)) as served:
        served.authorization = {}
        yield served


def bare_socket(mount: Mount, **headers: str) -> ClientConnection:
    """Open Socket.IO's WebSocket by hand."""
    address = mount.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    return connect(address, additional_headers={**mount.authorization, **headers}, max_size=None)


@pytest.mark.parametrize("way", ["websocket", "polling", "default"])
@pytest.mark.parametrize(
    "shown",
    [{"query": {"token": TOKEN}}, {"extraHeaders": {"Authorization": f"Bearer {TOKEN}"}, "query": {}}],
    ids=["query", "header"],
)
def test_a_token_lets_a_client_in(guarded: Mount, way: str, shown: Json) -> None:
    with node_client(guarded.url, **shown, **WAYS[way]) as client:
        assert client.hear_event("connection_established")["status"] == "connected"


@pytest.mark.parametrize("way", ["websocket", "polling"])
@pytest.mark.parametrize(
    "shown",
    [{}, {"query": {"token": "wrong"}}, {"auth": {"token": TOKEN}}, {"extraHeaders": {"Origin": FOREIGN["Origin"]}}],
    ids=["nothing", "wrong", "auth", "foreign"],
)
def test_without_one_nobody_gets_in(guarded: Mount, way: str, shown: Json) -> None:
    with node_client(guarded.url, **{"query": {}, "reconnection": False, **shown}, **WAYS[way]) as client:
        client.hear_event("connect_error")
    assert not guarded.context.hub.connections


def test_every_request_of_a_connection_is_asked_for_the_token(guarded: Mount) -> None:
    poller = BarePoller(guarded.url)
    poller.headers = {}
    assert poller.get().status_code == 403
    assert poller.post('42["join_room","a"]').status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        connect(guarded.url.replace("http", "ws", 1) + f"/socket.io/?EIO=4&transport=websocket&sid={poller.sid}")
    assert refused.value.response.status_code == 403
    assert guarded.context.hub.viewers("a") == 0
    poller.headers = guarded.authorization
    poller.post("1")


def test_the_pages_cookie_lets_a_client_in_but_not_from_elsewhere(guarded: Mount) -> None:
    access = Access(token=TOKEN)
    cookie = {"Cookie": f"{access.cookie_name}={access.cookie_value}"}
    poller = BarePoller(guarded.url, headers={**cookie, "Origin": guarded.url})
    assert "connection_established" in poller.poll_until("connection_established")
    poller.headers = {**cookie, **FOREIGN}
    assert poller.get().status_code == 403
    assert poller.post('42["join_room","a"]').status_code == 403
    poller.headers = cookie
    poller.post("1")


def test_origins_are_answered_by_the_guard_alone(guarded: Mount) -> None:
    for origin, named in ((ALLOWED, ALLOWED), (FOREIGN["Origin"], None)):
        answer = guarded.get(HANDSHAKE, headers={"Origin": origin})
        # The token says who it is; a page of another origin can't read the answer.
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") == named
        assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = requests.options(guarded.url + HANDSHAKE, headers={"Origin": ALLOWED}, timeout=5)
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (204, ALLOWED)
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"]


def test_in_open_mode_a_foreign_page_can_neither_begin_nor_post(open_mount: Mount) -> None:
    poller = BarePoller(open_mount.url, headers={})
    for foreign in (FOREIGN, {"Origin": "null"}, {"Host": "evil.example"}):
        poller.headers = foreign
        assert requests.get(open_mount.url + HANDSHAKE, headers=foreign, timeout=5).status_code == 403
        assert poller.get().status_code == 403
        assert poller.post('42["join_room","stolen"]').status_code == 403
    # As an image is asked for, which tells no Origin.
    assert requests.get(open_mount.url + HANDSHAKE, headers={"Sec-Fetch-Mode": "no-cors"}, timeout=5).status_code == 403
    with pytest.raises(InvalidStatus):
        bare_socket(open_mount, **FOREIGN)
    assert open_mount.context.hub.viewers("stolen") == 0
    # A page on another port of this machine is one of its owner's.
    poller.headers = {"Origin": "http://localhost:3000"}
    answer = poller.get()
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "http://localhost:3000")
    poller.post("1")


def test_no_answer_is_a_script_that_a_foreign_page_could_include(open_mount: Mount) -> None:
    answer = open_mount.get(f"{HANDSHAKE}&j=0")
    assert answer.status_code == 400
    assert "JSONP" in answer.json()["error"]
    fine = open_mount.get(HANDSHAKE)
    assert fine.headers["X-Content-Type-Options"] == "nosniff"
    assert fine.headers["Content-Type"].startswith("text/plain")
    assert fine.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("EIO=3&transport=polling", "EIO"),
        ("transport=polling", "EIO"),
        ("EIO=4&transport=flashsocket", "transport"),
        ("EIO=4&transport=websocket", "transport"),
        ("EIO=4&transport=polling&sid=gone", "sid"),
        ("EIO=4&transport=polling&sid=%ff", "UTF-8"),
    ],
)
def test_a_request_that_is_none_is_answered_with_what_was_expected(open_mount: Mount, query: str, said: str) -> None:
    for verb in ("GET", "POST"):
        answer = open_mount.ask(verb, f"/socket.io/?{query}")
        assert answer.status_code == 400
        assert said in answer.json()["error"]


@pytest.mark.parametrize(
    "packet",
    [
        "4",
        "42[]",
        "42{}",
        "42[7]",
        '42["connect"]',
        '42["disconnect","x"]',
        '42["join_room",' + "[" * 30 + "]" * 30 + "]",
        '42["join_room",' + "[" * 30_000,
        '451-["join_room",{"_placeholder":true,"num":0}]',
        b"\x00\x01",
        "42" + json.dumps(["join_room", "\ud800"]),
        "42" + json.dumps(["\ud800"]),
        '42["get_session_status",1e999]',
    ],
)
def test_an_event_that_is_none_is_answered_by_both_ways_and_the_connection_lives(
    open_mount: Mount, packet: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    poller = BarePoller(open_mount.url, headers={})
    assert poller.post("bAAE=" if isinstance(packet, bytes) else packet).status_code == 200
    assert "request_error" in poller.poll_until("request_error")
    poller.post("1")
    with bare_socket(open_mount) as peer:
        peer.send("40")
        peer.send(packet)
        peer.send('42["get_session_status","lives"]')
        heard = ""
        while "session_status" not in heard:
            heard = str(peer.recv(timeout=5))
            if heard == "2":
                peer.send("3")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("packet", ["", "no packet", "9", "4x", "42[", '42["a"', '42"a"9', "0", "2" * 50])
def test_what_breaks_the_protocol_ends_that_connection_alone(
    open_mount: Mount, packet: str, caplog: pytest.LogCaptureFixture
) -> None:
    untouched = BarePoller(open_mount.url, headers={})
    poller = BarePoller(open_mount.url, headers={})
    broken = poller.post(packet)
    with bare_socket(open_mount) as peer:
        peer.send("40")
        peer.send(packet)
        with pytest.raises(ConnectionClosed):
            _ = list(peer)
    assert broken.status_code == 400
    assert poller.get().status_code == 400
    assert untouched.get().status_code == 200
    untouched.post("1")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_body_beyond_the_limit_is_refused_and_ends_the_connection(open_mount: Mount) -> None:
    poller = BarePoller(open_mount.url, headers={})
    answer = poller.post('42["join_room","' + "a" * 70_000 + '"]')
    assert answer.status_code == 413
    assert "64000" in answer.json()["error"]
    assert poller.get().status_code == 400


def test_jupyter_serves_none(jupyter_mount: Mount) -> None:
    for prefix in ("", "/../"):
        assert jupyter_mount.get(f"{prefix}{HANDSHAKE}").status_code == 404


def test_without_the_extra_the_server_works_and_says_once_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "socketio", None)
    with caplog.at_level(logging.INFO), standalone(tmp_path / "store") as served:
        assert served.get(HANDSHAKE).status_code == 404
        assert served.get("/api/health").status_code == 200
    assert caplog.text.count("pip install 'forge-widgets[socketio]'") == 1
