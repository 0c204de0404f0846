"""What a WebSocket client says and reads, as bytes (RFC 6455). Pure, and of the standard library: peers' processes need no more."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterator

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def request(path: str, *, compress: bool) -> bytes:
    """Build a client's handshake; ``compress`` offers permessage-deflate."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY.decode()}",
        "Sec-WebSocket-Version: 13",
    ]
    if compress:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response(asked: bytes) -> bytes:
    """Build a server's answer to a handshake."""
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", asked)
    assert found, "no handshake"
    accept = base64.b64encode(hashlib.sha1(found.group(1) + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )


def frame(opcode: int, payload: bytes) -> bytes:
    """Build a frame as a server sends it."""
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65_536:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload


def masked(opcode: int, payload: bytes) -> bytes:
    """Build a short frame as a client sends it: its mask is zero, so that the payload stands as it is."""
    assert len(payload) < 126, "a client says nothing long here"
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield opcode, payload and end of each whole frame that a server sent, in order."""
    at, size = 0, len(data)
    while size - at >= 2:
        length, begins = data[at + 1], at + 2
        if length == 126 and size - at >= 4:
            length, begins = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif length == 127 and size - at >= 10:
            length, begins = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        elif length >= 126:
            return
        ends = begins + length
        if ends > size:
            return
        yield data[at] & 0x0F, data[begins:ends], ends
        at = ends
