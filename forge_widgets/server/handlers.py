"""The base of all our HTTP handlers: reads a bounded body, writes strict JSON, and answers errors from the one table.

Knows nothing of who may ask: a mount (jupyter, standalone) adds that below every verb of every handler.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler, stream_request_body

from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.wire import encode
from forge_widgets.errors import InvalidInput, SessionNotFound
from forge_widgets.server.body import Json, parse_object
from forge_widgets.server.context import ServerContext
from forge_widgets.server.failures import BodyTooLarge, MalformedArgument, answer_of, facts_of
from forge_widgets.server.inflate import inflate
from forge_widgets.server.meter import OTHER
from forge_widgets.stores.base import Store

# What JSON and URLs agree on; float() alone would take "1_0", "nan" and the digits of every script.
_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{0,400})?([eE][+-]?\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"\d{1,40}", re.ASCII)
_SHOWN_CHARS = 200
_WORTH_COMPRESSING = 1_000
_GZIP_LEVEL = 1

Asked = TypeVar("Asked")

LARGER = 4
"""How many times the limit a body may announce for it to be read to its end, though nothing of it is kept."""

FURTHEST = 2**53
"""The greatest offset: beyond it a browser's numbers have gaps."""


class ForgeHandler(RequestHandler):
    """What every handler of ours has: the context, and errors as JSON."""

    context: ServerContext
    # The route's path as people read it; a mount sets it.
    route = OTHER

    def initialize(self, context: ServerContext) -> None:
        """Take what the app made."""
        self.context = context

    async def ask_store(self, session_id: str, ask: Callable[[Store], Asked | None]) -> Asked:
        """Ask the store about a session, off the loop. Raises InvalidSessionId, and SessionNotFound where it says None."""
        store = self.context.store
        check_session_id(session_id)
        answer = await self.context.pool.run(lambda: ask(store))
        if answer is None:
            raise SessionNotFound(session_id, store.url)
        return answer

    async def answer_from_store(self, session_id: str, ask: Callable[[Store], Json | None]) -> None:
        """Answer with what the store says of a session, which may be long: encoded off the loop, too, and gzipped for who takes it.

        Raises as ``ask_store``.
        """
        compressed = "gzip" in self.request.headers.get("Accept-Encoding", "")

        def encoded_answer(store: Store) -> tuple[bytes, bool] | None:
            document = ask(store)
            if document is None:
                return None
            encoded = encode(document)
            small = not compressed or len(encoded) < _WORTH_COMPRESSING
            return (encoded, False) if small else (gzip.compress(encoded, _GZIP_LEVEL), True)

        encoded, is_gzip = await self.ask_store(session_id, encoded_answer)
        self.add_header("Vary", "Accept-Encoding")
        if is_gzip:
            self.set_header("Content-Encoding", "gzip")
        self.write_encoded(encoded)

    def write_json(self, document: Json, status: int = 200) -> None:
        """Answer with a JSON document."""
        self.write_encoded(encode(document), status)

    def write_encoded(self, document: bytes, status: int = 200) -> None:
        """Answer with a JSON document that is encoded already."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(document)

    def compute_etag(self) -> str | None:
        """Make none: an answer is new each time, and a digest of a long frame would cost the loop for nothing."""
        return None

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Decode a part of the address. Raises MalformedArgument where it is no UTF-8."""
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise MalformedArgument(
                f"{value[:40]!r} can't be used", where=name[:_SHOWN_CHARS] if name else "path", expected="UTF-8"
            ) from error

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as ``{"error": …}``: no traceback, and nothing of a client's in the reason phrase."""
        exc_info = kwargs.get("exc_info")
        error = exc_info[1] if exc_info else HTTPError(status_code)
        answer, facts = answer_of(error), facts_of(error)
        if answer.status == 405:
            self.set_header("Allow", ", ".join(self._known_methods()))
        if "retryAfter" in facts:
            self.set_header("Retry-After", str(math.ceil(facts["retryAfter"])))
        document: Json = {"error": answer.text, **facts}
        session_id = (getattr(self, "path_kwargs", None) or {}).get("session_id")
        if session_id is not None:
            document["sessionId"] = session_id[:_SHOWN_CHARS]
        self.write_json(document, answer.status)

    def _known_methods(self) -> list[str]:
        """List the methods that this handler answers."""
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]

    def on_finish(self) -> None:
        """Count the answer."""
        super().on_finish()
        request = self.request
        self.context.meter.answered(self.route, request.method, self.get_status(), request.request_time())

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ARG002 - tornado's
        """Log with a traceback only what nobody foresaw."""
        if value is not None and answer_of(value).status < 500:
            self.context.log.debug("%s %s: %s", self.request.method, self.request.path, value)
            return
        self.context.log.error("%s %s failed", self.request.method, self.request.path, exc_info=value)


@stream_request_body
class BodyHandler(ForgeHandler):
    """A handler that takes a JSON body; of one over the limit nothing is kept."""

    def initialize(self, context: ServerContext) -> None:
        """Start with nothing received."""
        super().initialize(context)
        self._received = bytearray()
        self._bytes = 0

    async def prepare(self) -> None:
        """After the mount has said who may ask, refuse a body whose announced length is far over the limit.

        One that is a little over it is read, dropped and refused then: who is refused while it still sends sees its
        connection reset, and a proxy makes a 502 of that.
        """
        prepared = super().prepare()
        if prepared is not None:
            await prepared
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_body_timeout(self.context.limits.body_s)
        announced = self.request.headers.get("Content-Length", "0")
        size = int(announced[:19]) if announced.isdecimal() else 0
        if size > LARGER * self.context.limits.max_body_bytes:
            self._refuse_beyond_limit(size)

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._bytes += len(chunk)
        if self._bytes <= self.context.limits.max_body_bytes:
            self._received += chunk

    def body(self) -> Json:
        """Return the body as an object. Raises BodyTooLarge and what body.parse_object raises."""
        return parse_object(self.received(), self.context.limits)

    def received(self) -> bytes:
        """Return the body's bytes, inflated. Raises BodyTooLarge, MalformedBody and WrongContentType."""
        self._refuse_beyond_limit(self._bytes)
        coding = self.request.headers.get("Content-Encoding", "")
        return inflate(bytes(self._received), coding, self.context.limits.max_inflated_bytes)

    def _refuse_beyond_limit(self, size: int) -> None:
        limit = self.context.limits.max_body_bytes
        if size > limit:
            raise BodyTooLarge(f"{size} bytes are too many", where="body", expected=f"at most {limit} bytes")


def number_argument(text: str | None, where: str, low: float, high: float) -> float | None:
    """Read a number of a query within its bounds; None where it is absent or empty. Raises InvalidInput."""
    if text is None or text == "":
        return None
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not low <= value <= high:
        raise InvalidInput(f"{text[:40]!r} can't be used", where=where, expected=f"a number from {low:g} to {high:g}")
    return value


def count_argument(text: str | None, where: str, least: int = 0, most: int = FURTHEST) -> int | None:
    """Read a whole number of a query, such as an offset; None where it is absent or empty. Raises InvalidInput."""
    if text is None or text == "":
        return None
    value = int(text) if _COUNT.fullmatch(text) else -1
    if not least <= value <= most:
        raise InvalidInput(
            f"{text[:40]!r} can't be used", where=where, expected=f"a whole number from {least} to {most}, in digits"
        )
    return value
