"""What a message says of where it stands: the offsets of a frame of ours, or the number that a peer's carries.

Offsets are enough: a training's first step has FIRST, and it knows when it emitted which. Values are never read.
"""

from __future__ import annotations

import json
import re
import zlib

from tests.bench.streams.speech import BINARY

FIRST = 2
"""The offset of a log's first step, and the number of a peer's first message."""

Span = tuple[int, int]

# The first byte of frames in brief (docs/PROTOCOL.md): a kind at first, bits since frames go on from each other.
_ROWS, _OUTLINE, _DEFLATED = 1, 2, 0x78
_IN_BITS, _ONWARD, _MANY, _NAMED = 0x80, 0x20, 0x08, 0x02

_NUMBER = re.compile(rb"@(\d+)@")


def numbered(number: int, size: int) -> bytes:
    """Build a peer's message of so many bytes that carries a number."""
    return f"@{number}@".encode().ljust(size, b"x")


class Reader:
    """Reads the messages of one session, each distinct one once, about in the order in which they came."""

    def __init__(self) -> None:
        # The offset after the newest frame: a frame that goes on from another says its own place by eight bits only.
        self._next = FIRST
        # How many columns frames of a shape have.
        self._columns: dict[int, int] = {}

    def span(self, opcode: int, payload: bytes) -> Span | None:
        """Return the first and the last offset of a frame of ours, a peer's number twice, and None for any other message."""
        number = _NUMBER.search(payload)
        if number is not None:
            return int(number.group(1)), int(number.group(1))
        span = self._binary(payload) if opcode == BINARY else self._text(payload)
        if span is not None:
            self._next = span[1] + 1
        return span

    def _text(self, text: bytes) -> Span | None:
        if text.startswith(b'{"type":"shape"'):
            shape = json.loads(text)
            self._columns[shape["id"]] = 1 + len(shape["names"])
        if not text.startswith(b'{"type":"frame"'):
            return None
        frame = json.loads(text)
        return frame["from"], frame["to"]

    def _binary(self, data: bytes) -> Span | None:
        if data[0] == _DEFLATED:
            return self._text(zlib.decompress(data))
        if data[0] & _IN_BITS:
            return self._in_bits(data)
        if data[0] not in (_ROWS, _OUTLINE):
            return None
        _, at = _varint(data, 1)
        first, at = _varint(data, at)
        count, _ = _varint(data, at)
        return first, first + count - 1

    def _in_bits(self, data: bytes) -> Span:
        flags, at, first, shape = data[0], 1, self._next, 0
        if flags & _ONWARD:
            # The nearest to what was to be expected.
            first += (data[at] - first + 128) % 256 - 128
            at += 1
        if flags & _NAMED:
            shape, at = _varint(data, at)
        if not flags & _ONWARD:
            first, at = _varint(data, at)
            _, at = _varint(data, at)
            at += 8 * self._columns[shape]
        count = _varint(data, at)[0] if flags & _MANY else 1
        return first, first + count - 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; return it and where it ends."""
    value = shift = 0
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1
