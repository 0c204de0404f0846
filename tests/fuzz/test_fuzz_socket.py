"""Anything at all over a WebSocket or a bare connection: answered, or closed with a code of docs/PROTOCOL.md; the server
goes on, logs no traceback, and tells nobody else about it."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from forge_widgets.server.limits import Limits
from tests.fuzz.garbage import JSON, PATIENT, TEXTS, bent, fuzzed, mutated, strict, written
from tests.server.mounts import TOKEN, Mount, event, rows, standalone, until

pytestmark = PATIENT

# Closed by us (docs/PROTOCOL.md), or by the WebSocket's own rules (RFC 6455, 7.4.1).
CODES = {1000, 1002, 1003, 1006, 1007, 1008, 1009, 4404, 4409, 4429, 4500, 4510}

SAID = [
    {"type": "ping"},
    {"type": "get_status"},
    {"type": "get_session_status", "sessionId": "kept"},
    {"type": "join_room", "sessionId": "kept"},
    {"type": "join_room", "session_id": "another"},
    {"type": "leave_room", "sessionId": "kept"},
    {"type": "resume", "epoch": "e", "after": 3},
]
MESSAGES = (
    st.sampled_from(SAID).flatmap(
        lambda said: st.just(written(said)) | bent(said).map(written) | mutated(written(said))
    )
    | JSON.map(written)
    | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=300)
)
PATHS = st.sampled_from(
    ["/ws", "/ws/kept", "/ws/unknown", "/ws/kept?protocol=1", "/ws/kept?protocol=1&epoch=e&after=2"]
)


class Failures(logging.Handler):
    """Keeps what is logged as an error, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mount, Failures]]:
    """Serve a session that must stay as it is."""
    failures = Failures()
    logs = [logging.getLogger(name) for name in ("forge_widgets.server", "tornado.application", "asyncio")]
    with standalone(tmp_path_factory.mktemp("fuzz") / "store", limits=Limits(heartbeat_s=0.2)) as mount:
        mount.append("kept", event("training_started"), rows(0, 5, odd=float("nan")), event("model_completed"))
        for log in logs:
            log.addHandler(failures)
        yield mount, failures
        # Nothing is left of any of them, however short it was there.
        until(lambda: not mount.context.hub.connections)
        assert not mount.context.hub.watched_sessions()
        for log in logs:
            log.removeHandler(failures)


def assert_unharmed(served: tuple[Mount, Failures]) -> None:
    """See that the server goes on, that nobody else's session has changed, and that nothing failed unforeseen."""
    mount, failures = served
    snapshot = mount.context.store.snapshot("kept")
    assert snapshot is not None
    assert snapshot.cursor.offset == 7
    assert mount.get("/api/progress/kept").status_code == 200
    assert failures.messages == []


def is_alive(connection: ClientConnection) -> bool:
    """Ask for a pong; False where the connection was closed as it should be."""
    try:
        connection.send('{"type": "ping"}')
        while True:
            heard = strict(connection.recv(timeout=10))
            if heard["type"] == "pong":
                return True
    except ConnectionClosed as closed:
        code = 1006 if closed.rcvd is None else closed.rcvd.code
        assert code in CODES, code
        return False


@fuzzed(120, 5_000)
@given(PATHS, st.lists(st.tuples(MESSAGES, st.booleans()), min_size=1, max_size=5))
@example("/ws/kept?protocol=1", [(b'{"type": "resume", "epoch": "e", "after": 1e400}', True)])
@example("/ws/kept?protocol=1", [(b'{"type": "resume", "epoch": "\\ud800", "after": 3}', True)])
@example("/ws/kept?protocol=1", [(b'{"type": "resume", "epoch": "e", "after": NaN}', True)])
@example("/ws/kept", [(b'{"type": "\\ud800"}', True)])
@example("/ws/kept", [(b'{"type": "join_room", "sessionId": "\\ud800"}', True)])
@example("/ws/kept", [(b"[" * 60_000, True)])
@example("/ws/kept", [(b"\xff\xfe", True)])
@example("/ws/kept", [(b"x" * 70_000, False)])
def test_any_messages_are_answered_or_close_the_connection(
    served: tuple[Mount, Failures], path: str, messages: list[tuple[bytes, bool]]
) -> None:
    mount, _ = served
    with connect(
        mount.url.replace("http", "ws", 1) + path,
        additional_headers=mount.authorization,
        compression=None,
        close_timeout=1,
    ) as connection:
        with suppress(ConnectionClosed):
            for message, is_text in messages:
                connection.send(message, text=is_text)
        is_alive(connection)
    assert_unharmed(served)


QUERIES = st.dictionaries(st.sampled_from(["protocol", "epoch", "after", "wait", "x"]), TEXTS | st.integers().map(str))


@fuzzed(80, 3_000)
@given(st.sampled_from(["kept", "unknown", "..", "a b", "\u0661"]) | TEXTS, QUERIES)
@example("kept", {"protocol": "1", "after": "9" * 400, "epoch": "e"})
@example("kept", {"protocol": "1", "after": "-1", "epoch": "e"})
@example("kept", {"protocol": "\ud800"})
def test_any_address_of_a_socket_is_answered(served: tuple[Mount, Failures], name: str, query: dict[str, str]) -> None:
    mount, _ = served

    def quoted(text: str) -> str:
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    path = f"/ws/{quoted(name)}?" + "&".join(f"{key}={quoted(value)}" for key, value in query.items())
    got = raw(mount, handshake(path), b"\x88\x80\x00\x00\x00\x00")
    status = int(got.split(b" ", 2)[1])
    assert status in (101, 400, 404, 422), got[:300]
    assert_unharmed(served)


def handshake(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
    ).encode("ascii")


def raw(mount: Mount, first: bytes, *later: bytes) -> bytes:
    """Send bytes, more once there is an answer, say that no more come; return all that the server said to it."""
    address = urlsplit(mount.url)
    heard = b""
    connection = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)
    with connection, suppress(OSError):  # it has seen enough
        connection.sendall(first)
        if later:
            heard += connection.recv(65_536)
        for piece in later:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65_536):
            heard += piece
    return heard


@fuzzed(100, 5_000)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
@example([b"\x81\xfe\xff\xff"])  # a length that nothing follows
@example([b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"])  # nine million terabytes
@example([b"\x88\x82\x00\x00\x00\x00\x00\x00"])  # closed with code 0
@example([b"\xff" * 30])
@example([b"\x01\x80\x00\x00\x00\x00"] * 3)  # fragments that never end
def test_any_bytes_after_the_handshake_close_that_connection_alone(
    served: tuple[Mount, Failures], pieces: list[bytes]
) -> None:
    got = raw(served[0], handshake("/ws/kept"), *pieces)
    assert got.startswith(b"HTTP/1.1 101 ")
    assert_unharmed(served)


BODY = json.dumps({"metrics": {"loss": 1.0}}).encode()
REQUESTS = [
    b"GET /api/progress/kept HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token %s\r\n\r\n" % TOKEN.encode(),
    b"POST /api/progress/fuzzed/update HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token %s\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (TOKEN.encode(), len(BODY), BODY),
    b"POST /api/progress/fuzzed/error HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token %s\r\n"
    b'Transfer-Encoding: chunked\r\n\r\n11\r\n{"error": "text"}\r\n0\r\n\r\n' % TOKEN.encode(),
    b"GET /api/sessions/kept/events?protocol=1&epoch=e&after=3&wait=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Authorization: token %s\r\n\r\n" % TOKEN.encode(),
    handshake("/ws/kept"),
]


@fuzzed(150, 8_000)
@given(st.sampled_from(REQUESTS).flatmap(mutated) | st.binary(min_size=1, max_size=200))
@example(b"POST /api/progress/fuzzed/update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n{}")
@example(
    b"POST /api/progress/fuzzed/update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}"
)
@example(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
@example(b"GET /%ff HTTP/1.1\r\nHost: [\r\n\r\n")
@example(b'GET /?token=%ff HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: a="\xff\r\n\r\n')
def test_any_request_is_answered_below_500_or_the_connection_ends(
    served: tuple[Mount, Failures], request_: bytes
) -> None:
    got = raw(served[0], request_)
    if got:
        status = int(got.split(b" ", 2)[1])
        assert status < 500, got[:300]
        assert b"Traceback" not in got
    assert_unharmed(served)
