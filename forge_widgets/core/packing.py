"""JSON text deflated once, and put into as many envelopes as there are ways to send it.

Pure. The packed text is deflate blocks (RFC 1951) that end on a byte and refer to nothing before them, so that they stand
as they are in a zlib stream (RFC 1950: a WebSocket's binary message) and in the midst of a gzip member (RFC 1952: a poll).
"""

from __future__ import annotations

import zlib

LEVEL = 6

MIN_BYTES = 1_000
"""Less is not worth packing."""

_NO_HEADER = -zlib.MAX_WBITS
_ZLIB_HEADER = b"\x78\x9c"
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty block of the fixed kind that says that it is the last.
_LAST_BLOCK = b"\x03\x00"


def pack(text: bytes) -> bytes:
    """Deflate a text into blocks that others may follow."""
    return _deflated(text, zlib.Z_FULL_FLUSH)


def zlib_envelope(text: bytes, packed: bytes) -> bytes:
    """Return a packed text as a zlib stream."""
    return b"".join((_ZLIB_HEADER, packed, _LAST_BLOCK, zlib.adler32(text).to_bytes(4, "big")))


def gzip_envelope(before: bytes, text: bytes, packed: bytes, after: bytes) -> bytes:
    """Return a packed text, with what stands before and after it, as one gzip member."""
    crc = zlib.crc32(after, zlib.crc32(text, zlib.crc32(before)))
    length = (len(before) + len(text) + len(after)) & 0xFFFF_FFFF
    blocks = (_deflated(before, zlib.Z_FULL_FLUSH), packed, _deflated(after, zlib.Z_FINISH))
    return b"".join((_GZIP_HEADER, *blocks, crc.to_bytes(4, "little"), length.to_bytes(4, "little")))


def _deflated(text: bytes, end: int) -> bytes:
    deflating = zlib.compressobj(LEVEL, zlib.DEFLATED, _NO_HEADER)
    return deflating.compress(text) + deflating.flush(end)
