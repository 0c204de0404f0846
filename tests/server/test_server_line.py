"""A WebSocket on a bare socket, or on one that encrypts: what comes in whole, what goes out, and how it ends."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from forge_widgets.server.access import Access
from forge_widgets.server.application import Site, StandaloneApplication
from forge_widgets.server.connection import Connection
from forge_widgets.server.ends import SocketEnd, StreamEnd
from forge_widgets.server.failures import SILENT
from forge_widgets.server.limits import Limits
from forge_widgets.server.line import FAREWELL_S
from tests.server.mounts import TOKEN, Mount, Socket, event, rows, standalone, until

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: token " + TOKEN + "\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
)


def masked(opcode: Opcode, data: bytes, *, final: bool = True) -> bytes:
    return Frame(opcode, data, fin=final).serialize(mask=True)


@contextmanager
def bare(mount: Mount, path: str, early: bytes = b"", **options: int) -> Iterator[socket.socket]:
    """Shake hands by hand, and send some bytes without waiting for the answer."""
    at = urlsplit(mount.url)
    connection = socket.socket()
    for name, value in options.items():
        connection.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    with connection:
        connection.settimeout(10)
        connection.connect((at.hostname, at.port or 0))
        connection.sendall(HANDSHAKE.format(path=path, host=at.netloc).encode() + early)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        yield connection


def heard(connection: socket.socket) -> tuple[int, bytes]:
    """Return the next frame's opcode and data."""

    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            assert piece, "the connection has ended"
            data += piece
        return data

    first, length = exactly(2)
    width = {126: 2, 127: 8}.get(length, 0)
    size = int.from_bytes(exactly(width), "big") if width else length
    return first & 0x0F, exactly(size)


def the_connection(mount: Mount) -> Connection:
    until(lambda: mount.context.hub.connections)
    (connection,) = mount.context.hub.connections
    assert isinstance(connection, Connection)
    return connection


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Mount]:
    with standalone(tmp_path / "store") as mount:
        yield mount


@pytest.mark.parametrize("size", [10, 16_384, 40_000, 60_000])
def test_what_came_with_the_handshake_is_heard_whole(served: Mount, size: int) -> None:
    text = b'{"type": "ping", "x": "%s"}' % (b"x" * size)
    for _ in range(5):
        with bare(served, "/ws", early=masked(Opcode.TEXT, text)) as client:
            assert b'"pong"' in heard(client)[1]


def test_a_message_in_parts_with_a_ping_between_them_is_answered_as_one(served: Mount) -> None:
    with bare(served, "/ws") as client:
        client.sendall(masked(Opcode.TEXT, b'{"type": ', final=False))
        client.sendall(masked(Opcode.PING, b"still there?"))
        assert heard(client) == (Opcode.PONG, b"still there?")
        client.sendall(masked(Opcode.CONT, b'"ping"}'))
        assert b'"pong"' in heard(client)[1]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"\xf1\x80", 1002, id="an extension"),
        pytest.param(masked(Opcode.TEXT, b"\xff\xfe"), 1007, id="no UTF-8"),
        pytest.param(b"\x81\xff\x7f" + b"\xff" * 7, 1009, id="too long"),
        pytest.param(masked(Opcode.CLOSE, b"\x03"), 1002, id="a farewell with half a code"),
    ],
)
def test_what_breaks_the_rules_is_closed_with_its_code_alone(served: Mount, sent: bytes, code: int) -> None:
    with served.socket("/ws") as other, bare(served, "/ws") as client:
        client.sendall(sent)
        opcode, data = heard(client)
        assert (opcode, int.from_bytes(data[:2], "big")) == (Opcode.CLOSE, code)
        assert client.recv(10) == b""
        other.say(type="ping")
        assert other.hear()["type"] == "pong"


def test_a_farewell_is_answered_with_the_same_code_and_ends_the_connection(served: Mount) -> None:
    with bare(served, "/ws") as client:
        client.sendall(masked(Opcode.CLOSE, (1001).to_bytes(2, "big") + b"goes elsewhere"))
        assert heard(client) == (Opcode.CLOSE, (1001).to_bytes(2, "big"))
        assert client.recv(10) == b""
    until(lambda: not served.context.hub.connections)


def test_a_farewell_that_nobody_answers_ends_the_connection_too(served: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_widgets.server.line.FAREWELL_S", 0.1)
    with bare(served, "/ws/a?protocol=1&after=x&epoch=e") as client:
        while (said := heard(client))[0] != Opcode.CLOSE:
            pass
        assert int.from_bytes(said[1][:2], "big") == 1008
        client.sendall(masked(Opcode.TEXT, b'{"type": "ping"}'))  # heard no more
        assert client.recv(10) == b""
    until(lambda: not served.context.hub.connections)


@contextmanager
def clogged(served: Mount) -> Iterator[socket.socket]:
    """Connect a client of session ``a`` that takes no more than a little of what it is being sent."""
    served.append("a", rows(0, 1))
    with bare(served, "/ws/a?protocol=1", SO_RCVBUF=4_096) as client:
        while b'"frame"' not in heard(client)[1][:20]:
            pass
        connection = the_connection(served)
        served.append("a", event("annotation", message="x" * 9_000_000))
        until(lambda: connection.writing)
        yield client


def test_who_takes_nothing_holds_one_frame_here_and_gets_all_of_it_in_the_end(served: Mount) -> None:
    with clogged(served) as client:
        connection = the_connection(served)
        # A flood of pings meanwhile makes no queue of answers.
        for number in range(5_000):
            client.sendall(masked(Opcode.PING, b"%d" % number))
        until(lambda: connection._pong is not None)
        for number in range(20):
            served.append("a", event("annotation", message=str(number)))
        offset, pongs = 0, []
        while offset < 22 or b"4999" not in pongs:
            opcode, data = heard(client)
            if opcode == Opcode.PING:
                client.sendall(masked(Opcode.PONG, data))
            elif opcode == Opcode.PONG:
                pongs.append(data)
            elif b'"frame"' in data[:20]:
                offset = int(data[:200].split(b'"to":')[1].split(b",")[0])
        assert len(pongs) < 1_000


def test_who_asks_on_without_taking_answers_is_not_heard_until_it_does(served: Mount) -> None:
    served.append("a", event("training_error", error="x" * 90_000))
    asked = masked(Opcode.TEXT, b'{"type": "get_status", "sessionId": "a"}')
    with bare(served, "/ws", SO_RCVBUF=4_096) as client:
        client.settimeout(0.5)
        with suppress(TimeoutError):  # at some time the server takes no more
            while True:
                client.sendall(asked)
        end = the_connection(served)._end
        assert isinstance(end, SocketEnd)
        assert len(end._unsent or b"") < 300_000
        client.settimeout(10)
        assert b"status_response" in heard(client)[1]


def test_a_farewell_is_answered_though_much_else_is_still_to_be_sent(served: Mount) -> None:
    with clogged(served) as client:
        client.sendall(masked(Opcode.CLOSE, b"\x03\xe8") + masked(Opcode.TEXT, b"nobody hears this"))
        while (said := heard(client))[0] != Opcode.CLOSE:
            pass
        assert said[1] == b"\x03\xe8"
        assert client.recv(10) == b""
    until(lambda: not served.context.hub.connections)


def test_who_says_farewell_and_takes_nothing_any_more_is_not_kept(
    served: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forge_widgets.server.line.FAREWELL_S", 0.1)
    with clogged(served) as client:
        client.sendall(masked(Opcode.CLOSE, b"\x03\xe8"))
        until(lambda: not served.context.hub.connections)


@contextmanager
def busy(mount: Mount) -> Iterator[None]:
    """Let what is said to a server be handled for as long as the block lasts."""
    go_on = threading.Event()

    async def wait(_: str | bytes) -> None:
        await mount.context.pool.run(lambda: go_on.wait(10))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "on_message", lambda _, message: wait(message))
        try:
            yield
        finally:
            go_on.set()


def test_who_is_sent_away_while_it_is_being_answered_can_answer_that_and_is_not_heard_otherwise(served: Mount) -> None:
    with bare(served, "/ws") as client:
        connection = the_connection(served)
        with busy(served):
            client.sendall(masked(Opcode.TEXT, b"{}"))
            until(lambda: connection._task is not None)

            async def send_away() -> None:
                connection.close(1012)

            served.on_loop(send_away)
            assert heard(client) == (Opcode.CLOSE, (1012).to_bytes(2, "big"))
            for _ in range(100):
                client.sendall(masked(Opcode.TEXT, b"x" * 60_000))
            assert len(connection._incoming._pending or b"") < 1_000_000
            client.sendall(masked(Opcode.CLOSE, (1012).to_bytes(2, "big")))
            until(lambda: not served.context.hub.connections, timeout=FAREWELL_S / 2)


def test_who_goes_without_a_word_is_noticed(served: Mount) -> None:
    with bare(served, "/ws/a") as client:
        heard(client)
        until(lambda: served.context.hub.viewers("a") == 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    until(lambda: not served.context.hub.connections)
    assert served.context.hub.viewers("a") == 0


def test_who_answers_pings_is_kept_and_pinged_again(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(ping_s=0.1, pong_s=0.05)) as mount, bare(mount, "/ws") as client:
        for _ in range(5):
            assert heard(client) == (Opcode.PING, b"")
            client.sendall(masked(Opcode.PONG, b""))
        while (said := heard(client))[0] == Opcode.PING:
            pass
        assert (said[0], int.from_bytes(said[1][:2], "big")) == (Opcode.CLOSE, SILENT)


def test_who_answers_only_the_newest_of_several_pings_has_acknowledged_all_before_it(tmp_path: Path) -> None:
    with (
        standalone(tmp_path / "store", limits=Limits(ping_s=0.3, pong_s=0.3)) as mount,
        bare(mount, "/ws/a?protocol=1") as client,
    ):
        mount.append("a", rows(0, 1))
        while b'"frame"' not in (said := heard(client))[1][:20] or b'"to":1' not in said[1]:
            if said[0] == Opcode.PING:
                client.sendall(masked(Opcode.PONG, said[1]))
        connection = the_connection(mount)
        mount.append("a", event("annotation", message="x" * 90_000))
        until(lambda: connection.link.full)
        mount.append("a", event("annotation", message="y"))
        pings: list[bytes] = []
        while len(pings) < 2 or not connection.passed_over:
            opcode, data = heard(client)
            pings += [data] if opcode == Opcode.PING else []
        client.sendall(masked(Opcode.PONG, pings[-1]))
        while b'"to":3' not in heard(client)[1]:
            pass


def test_who_answers_no_farewell_is_not_left_behind(tmp_path: Path) -> None:
    with ExitStack() as ends:
        with standalone(tmp_path / "store") as mount:
            mount.append("s", rows(0, 3))
            watching = ends.enter_context(bare(mount, "/ws/s?protocol=1", SO_RCVBUF=4_096))
            silent = ends.enter_context(bare(mount, "/ws"))
            while b'"frame"' not in heard(watching)[1][:20]:
                pass
            mount.append("s", event("annotation", message="x" * 9_000_000))
            until(lambda: any(isinstance(one, Connection) and one.writing for one in mount.context.hub.connections))
        assert not mount.context.hub.connections
        assert heard(silent) == (Opcode.CLOSE, (1012).to_bytes(2, "big") + b"the server goes; come back")
        assert silent.recv(10) == b""


# --- encrypted -----------------------------------------------------------------------------------


@contextmanager
def encrypted(mount: Mount, folder: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Serve the mount's store by TLS, too, on the same loop."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=forge".split()
        + f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, key)

    async def start() -> tuple[HTTPServer, int]:
        application = StandaloneApplication(mount.context, Site(access=Access(token=TOKEN)))
        listening, port = bind_unused_port()
        server = HTTPServer(application, ssl_options=theirs)
        server.add_socket(listening)
        return server, port

    async def stop() -> None:
        server.stop()
        await server.close_all_connections()

    server, port = mount.on_loop(start)
    try:
        yield f"wss://127.0.0.1:{port}", ssl.create_default_context(cafile=str(certificate))
    finally:
        mount.on_loop(stop)


def test_an_encrypted_connection_carries_the_same(served: Mount, tmp_path: Path) -> None:
    options: dict[str, Any] = {"additional_headers": served.authorization, "max_size": None}
    with encrypted(served, tmp_path) as (url, trusted):
        served.append("a", rows(0, 5))
        with connect(f"{url}/ws/a?protocol=1", ssl=trusted, **options) as connection:
            socket = Socket(connection)
            assert socket.hear_type("frame")["to"] == 5
            assert isinstance(the_connection(served)._end, StreamEnd)
            socket.say(type="ping")
            socket.hear_type("pong")
            served.append("a", event("annotation", message="x" * 3_000_000))
            assert socket.hear_type("frame")["to"] == 6
        until(lambda: not served.context.hub.connections)
        with connect(f"{url}/ws/a", ssl=trusted, **options) as connection:
            Socket(connection).hear_type("session_joined")
            served.on_loop(served.context.hub.close)
            with pytest.raises(ConnectionClosed):
                Socket(connection).hear_until(lambda _: False)
            assert connection.close_code == 1012
    until(lambda: not served.context.hub.connections)
