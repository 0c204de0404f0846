"""HTTP/1.1 and WebSocket written by hand on a socket: what a client of any make may put on the line.

Nothing is done that the test did not ask for. Imports nothing of the package.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.contract.servers import Server

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
Own = TypeVar("Own", bound="Line")


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    version: str
    status: int
    # By their names in lower case.
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A connection."""

    def __init__(self, server: Server, timeout_s: float = 10.0) -> None:
        self.server = server
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout_s)
        self._stream = self._socket.makefile("rb")

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def write(self, data: str | bytes) -> None:
        self._socket.sendall(data.encode() if isinstance(data, str) else data)

    def head(self, verb: str, path: str, *headers: str, version: str = "HTTP/1.1") -> str:
        """Return a request's head, with Host and the token."""
        token = [] if self.server.token is None else [f"Authorization: token {self.server.token}"]
        lines = [
            f"{verb} {self.server.prefix}{path} {version}",
            f"Host: 127.0.0.1:{self.server.port}",
            *token,
            *headers,
        ]
        return "\r\n".join(lines) + "\r\n\r\n"

    def answer(self, *, bodiless: bool = False) -> Answer:
        """Read the next answer; its body by its length, else to the end of the connection."""
        version, status, *_ = self._stream.readline().decode().split()
        headers = {}
        while line := self._stream.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = headers.get("content-length")
        body = b"" if bodiless else self._stream.read() if length is None else self._stream.read(int(length))
        return Answer(version, int(status), headers, body)

    def read(self, count: int) -> bytes:
        """Read so many bytes; fewer where the connection ends."""
        return self._stream.read(count)


def request(server: Server, verb: str, path: str, body: str = "") -> Answer:
    """Ask by a connection that ends with the answer."""
    length = f"Content-Length: {len(body.encode())}"
    with Line(server) as line:
        line.write(line.head(verb, path, "Connection: close", "Content-Type: application/json", length) + body)
        return line.answer()


class Frames(Line):
    """A WebSocket by hand: handshake, frames, and no answer to anything that the test does not answer."""

    def __init__(self, server: Server, path: str, timeout_s: float = 10.0) -> None:
        super().__init__(server, timeout_s)
        key = base64.b64encode(os.urandom(16)).decode()
        shake = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13")
        self.write(self.head("GET", path, *shake))
        self.handshake = self.answer(bodiless=True)
        self.key = key

    def frame(self, code: int, payload: bytes | str = b"", *, final: bool = True) -> None:
        """Send a masked frame."""
        data = payload.encode() if isinstance(payload, str) else payload
        mask = os.urandom(4)
        first = (0x80 if final else 0) | code
        head = (
            struct.pack("!BB", first, 0x80 | len(data))
            if len(data) < 126
            else struct.pack("!BBH", first, 0xFE, len(data))
        )
        self.write(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)))

    def next_frame(self) -> tuple[int, bytes]:
        """Return the next frame's code and payload; (0, b"") where the connection has ended."""
        head = self.read(2)
        if len(head) < 2:
            return 0, b""
        assert head[0] & 0x70 == 0, "an extension that nobody asked for"
        assert head[0] & 0x80, "the server's messages are not in pieces"
        assert head[1] & 0x80 == 0, "a server masks nothing"
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.read(8))[0]
        return head[0] & 0x0F, self.read(size)

    def hear(self) -> Any:
        """Return the next message, passing over what is no text."""
        while True:
            code, payload = self.next_frame()
            assert code not in (0, CLOSE), payload
            if code == TEXT:
                return json.loads(payload)


class SilentViewer:
    """A viewer that is connected and answers nothing, as behind a link that has died."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session_id = f"silent-{server.port}"
        self.frames = Frames(server, f"/ws/{self.session_id}", timeout_s=60)
        assert self.frames.hear()["type"] == "session_joined"
