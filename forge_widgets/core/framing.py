"""A WebSocket's frames (RFC 6455) without I/O: what goes out as bytes, what comes in as messages.

What a server sends is not masked, so a frame that is built once fits every viewer. Called by server/line.py, which closes
with the code of a Violation.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_FINAL, _MASKED, _CONTROL = 0x80, 0x80, 0x8
_RESERVED, _OPCODE, _LENGTH = 0x70, 0x0F, 0x7F
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_KEY_BYTES = 4
_MOST_REASON_BYTES = 123

MALFORMED, NO_TEXT, TOO_LONG = 1002, 1007, 1009
"""Close codes of what can't be taken."""

_SAYABLE = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Codes that may stand in a farewell; the others are reserved, or mean that there was none (RFC 6455, 7.4)."""


class Violation(Exception):
    """Raised for what breaks the rules of a WebSocket; nothing after it can be understood."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} (close code {code})")
        self.code = code
        self.reason = reason


class Heard(NamedTuple):
    """A message, or a control frame."""

    opcode: int
    data: bytes


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return a payload as one frame."""
    size = len(payload)
    if size < _TWO_BYTES:
        return bytes((_FINAL | opcode, size)) + payload
    if size <= 0xFFFF:
        return struct.pack("!BBH", _FINAL | opcode, _TWO_BYTES, size) + payload
    return struct.pack("!BBQ", _FINAL | opcode, _EIGHT_BYTES, size) + payload


def farewell(code: int, reason: str = "") -> bytes:
    """Return the frame that closes with a code; of a long reason as much as fits."""
    said = reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore").encode()
    return framed(code.to_bytes(2, "big") + said, CLOSE)


def farewell_in_return(said: bytes) -> bytes:
    """Return the frame that answers a farewell, with its code. Raises Violation for what may not be said in one."""
    if not said:
        return framed(b"", CLOSE)
    if len(said) == 1 or int.from_bytes(said[:2], "big") not in _SAYABLE:
        raise Violation(MALFORMED, "a farewell that is none")
    text_of(said[2:])
    return framed(said[:2], CLOSE)


def text_of(data: bytes) -> str:
    """Return what a text says. Raises Violation."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Violation(NO_TEXT, "no UTF-8") from error


class Incoming:
    """What came in and was not taken yet: bounded by the longest message and one piece of the network's."""

    __slots__ = ("_kind", "_max_bytes", "_message", "_pending")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # None while nothing waits, which is nearly always: an idle viewer holds no buffer.
        self._pending: bytearray | None = None
        # Of a message that comes in several frames: its kind, and what is there.
        self._kind = TEXT
        self._message: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self._pending is None:
            self._pending = bytearray(data)
        else:
            self._pending += data

    def take(self) -> Heard | None:
        """Return the next message or control frame; None until more has come. Raises Violation."""
        while (frame := self._take_frame()) is not None:
            final, opcode, data = frame
            if opcode & _CONTROL:
                return Heard(opcode, data)
            if opcode != CONTINUED:
                self._kind = opcode
            if final and self._message is None:
                return Heard(opcode, data)
            if self._message is None:
                self._message = bytearray()
            self._message += data
            if final:
                whole, self._message = bytes(self._message), None
                return Heard(self._kind, whole)
        return None

    def _take_frame(self) -> tuple[bool, int, bytes] | None:
        pending = self._pending
        if pending is None or len(pending) < 2:
            return None
        final, opcode = bool(pending[0] & _FINAL), pending[0] & _OPCODE
        self._check_head(pending[0], opcode, pending[1])
        size, start = _size_of(pending)
        if size is None:
            return None
        if not opcode & _CONTROL and size + len(self._message or b"") > self._max_bytes:
            raise Violation(TOO_LONG, "message too big")
        key_at, start = start, start + _KEY_BYTES
        if len(pending) < start + size:
            return None
        data = _unmasked(bytes(pending[start : start + size]), bytes(pending[key_at:start]))
        if len(pending) == start + size:
            self._pending = None
        else:
            del pending[: start + size]
        return final, opcode, data

    def _check_head(self, first: int, opcode: int, second: int) -> None:
        if first & _RESERVED:
            raise Violation(MALFORMED, "an extension that was not agreed on")
        if not second & _MASKED:
            raise Violation(MALFORMED, "a frame without a mask")
        if opcode & _CONTROL:
            if opcode not in (CLOSE, PING, PONG) or second & _LENGTH >= _TWO_BYTES or not first & _FINAL:
                raise Violation(MALFORMED, "a control frame that is none")
        elif opcode not in (CONTINUED, TEXT, BINARY) or (opcode == CONTINUED) != (self._message is not None):
            raise Violation(MALFORMED, "a frame out of its turn")


def _size_of(pending: bytearray) -> tuple[int | None, int]:
    """Return a frame's length, None until it is there, and where it ends."""
    length = pending[1] & _LENGTH
    if length < _TWO_BYTES:
        return length, 2
    width = 2 if length == _TWO_BYTES else 8
    if len(pending) < 2 + width:
        return None, 2
    return int.from_bytes(pending[2 : 2 + width], "big"), 2 + width


def _unmasked(data: bytes, key: bytes) -> bytes:
    """Undo a client's mask, all bytes at once: as numbers of any length, 0.2 µs for a pong and 40 µs for 64,000 bytes."""
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
