"""Which HTTP status and which WebSocket close code an error is answered with: the one table.

Handlers ask here at their edge; no other module of the room maps errors. Close codes 4000 to 4499 mean "come back".
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from tornado.web import HTTPError

from forge_widgets.core.wire import PROTOCOLS
from forge_widgets.errors import (
    ForgeError,
    InvalidInput,
    InvalidSessionId,
    RateLimited,
    SequenceGap,
    SessionNotFound,
    StoreDamaged,
    StoreUnavailable,
)

CLOSED = 1000
REFUSED = 1008
COME_BACK = 1012
FAILED = 4011
SILENT = 4408
CROWDED = 4429

BACK_S = 1.0
"""Seconds after which whoever meets a server that ends may ask again."""


class TooManySessions(ForgeError):
    """Raised where a first record would make one session more than there may be; nothing is recorded then."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are {limit} sessions or more, and no other may begin: expected one of those that are there; "
            "delete some, or raise the server's max_sessions"
        )
        self.limit = limit


class MalformedBody(InvalidInput):
    """Raised when a body or message is no JSON, or is nested too deep."""


class MalformedArgument(InvalidInput):
    """Raised when a part of an address is no UTF-8."""


class NoHandshake(InvalidInput):
    """Raised when a WebSocket's address is asked for without a WebSocket's handshake."""


class MalformedPacket(InvalidInput):
    """Raised when what a Socket.IO client sends is none of that protocol's packets."""


class BodyTooLarge(InvalidInput):
    """Raised when a body is over the limit."""


class WrongContentType(InvalidInput):
    """Raised when a page could have sent this body without asking: only JSON is taken."""


class TooManyConnections(ForgeError):
    """Raised where a connection would be one more than may be open."""

    def __init__(self) -> None:
        super().__init__("too many connections are open: expected fewer; come back later")


class UnknownProtocol(InvalidInput):
    """Raised when a viewer offers no version of our protocol that is spoken here."""


class ServerGoes(ForgeError):
    """Raised for whatever still comes while a server ends: it, or the next one, will be back in a moment."""

    def __init__(self) -> None:
        super().__init__("this server is just ending: expected back in a moment; ask again then")


class Answer(Struct, frozen=True):
    """How an error is answered."""

    status: int
    close_code: int
    # What ``error`` says.
    text: str


_TABLE: tuple[tuple[type[Exception], int, int], ...] = (
    (InvalidSessionId, 400, REFUSED),
    (MalformedBody, 400, REFUSED),
    (MalformedArgument, 400, REFUSED),
    (NoHandshake, 400, REFUSED),
    (MalformedPacket, 400, REFUSED),
    (BodyTooLarge, 413, 1009),
    (WrongContentType, 415, REFUSED),
    (UnknownProtocol, 422, 4505),
    (InvalidInput, 422, REFUSED),
    (SessionNotFound, 404, 4404),
    (SequenceGap, 409, 4409),
    (RateLimited, 429, 4129),
    (TooManySessions, 507, FAILED),
    (TooManyConnections, 503, CROWDED),
    (ServerGoes, 503, COME_BACK),
    (StoreUnavailable, 503, 4103),
    (StoreDamaged, 500, 4510),
    (ForgeError, 500, FAILED),
)

_XSRF = (
    "the X-XSRFToken header is missing, or is another than the cookie: expected the value of the cookie _xsrf in it, or "
    "'Authorization: token …'"
)

_WORDS = {
    400: "this request can't be understood",
    403: "not allowed: a valid token, a known Host and a known Origin are expected; a browser gets the token with the URL "
    "that the server printed",
    404: "there is nothing at this address",
    405: "this address doesn't know this method",
    413: "the body is too large",
}


def answer_of(error: BaseException) -> Answer:
    """Return how an error is answered. An error that nobody foresaw says nothing of itself: the log has it."""
    if isinstance(error, SessionNotFound):
        return Answer(404, 4404, "Session not found")
    for kind, status, close_code in _TABLE:
        if isinstance(error, kind):
            return Answer(status, close_code, str(error))
    if isinstance(error, HTTPError):
        # The words are tornado's, who asks browsers for it before anybody else is asked.
        told = _XSRF if error.status_code == 403 and "xsrf" in (error.log_message or "").lower() else None
        return Answer(error.status_code, REFUSED, told or words_of(error.status_code))
    return Answer(500, FAILED, words_of(500))


def facts_of(error: BaseException) -> dict[str, Any]:
    """Return what an answer says besides: what is spoken here, where a producer is to go on, when to come back (seconds)."""
    if isinstance(error, UnknownProtocol):
        return {"protocols": list(PROTOCOLS)}
    if isinstance(error, SequenceGap):
        return {"expected": error.expected}
    if isinstance(error, ServerGoes):
        return {"retryAfter": BACK_S}
    return {"retryAfter": round(error.retry_after_s, 3)} if isinstance(error, RateLimited) else {}


def words_of(status: int) -> str:
    """Return what is said of a status that has no error of ours behind it."""
    return _WORDS.get(status, "the server failed; its log says why" if status >= 500 else "the request was refused")
