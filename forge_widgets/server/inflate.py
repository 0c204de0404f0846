"""Compressed bodies: inflated up to a limit and never beyond it, so that a small body can't take much memory.

Called by the base of all handlers that take a body, before anything else looks at it.
"""

from __future__ import annotations

import zlib

from forge_widgets.server.failures import BodyTooLarge, MalformedBody, WrongContentType

_GZIP = 16 + zlib.MAX_WBITS


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Return a body as it was before its ``Content-Encoding``: none, ``identity`` or ``gzip``.

    Raises BodyTooLarge for more than ``limit`` bytes, MalformedBody for one that is cut, harmed or followed by something
    else, WrongContentType for another coding.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise WrongContentType(f"{coding[:80]!r} can't be used", where="Content-Encoding", expected="gzip, or none")
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedBody(f"no gzip ({error})", where="body", expected="what Content-Encoding says") from error
    if len(inflated) > limit:
        raise BodyTooLarge("too much when inflated", where="body", expected=f"at most {limit} bytes")
    if not inflater.eof or inflater.unused_data:
        raise MalformedBody(
            "no whole gzip" if not inflater.eof else "something follows the gzip",
            where="body",
            expected="one whole gzip member",
        )
    return inflated
