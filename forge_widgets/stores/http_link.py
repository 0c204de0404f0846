"""Requests to another machine's server: pooled, timed, and answered in the words of the store interface.

Called by the store over HTTP and nobody else. Follows no redirect and shows no token; safe for threads and forks.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from msgspec import Struct
from urllib3.exceptions import HTTPError, ProtocolError

from forge_widgets.errors import RateLimited, Refused, StoreUnavailable
from forge_widgets.stores.forks import watch_forks
from forge_widgets.stores.http_address import Address

CONNECT_S = 3.0
ANSWER_S = 10.0
"""Seconds that connecting, and waiting for more of an answer, may take."""

WORTH_COMPRESSING = 1_000

_CONNECTIONS = 4
_REFUSALS = (400, 413, 415, 422, 507)


class Unknown(Exception):
    """Raised where a server that answers does not know the session."""


class Hole(Exception):
    """Raised where a batch would leave a hole; ``expected`` is where it begins."""

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self.expected = expected


class _Said(Struct, frozen=True, rename="camel"):
    """What an answer that is no success says."""

    error: str = ""
    session_id: str = ""
    expected: int = 0
    retry_after: float = 0.0


class Link:
    """A server's address, and the connections to it."""

    def __init__(self, address: Address) -> None:
        self.url = address.url
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if address.token:
            self._headers["Authorization"] = f"token {address.token}"
        self._pool = _new_pool()
        watch_forks(self)

    def fork_locks(self) -> list[threading.Lock]:
        """Return no lock: the child takes connections of its own."""
        return []

    def after_fork_in_child(self) -> None:
        """Start afresh: what the parent's connections carry is the parent's."""
        self._pool = _new_pool()

    def ask(
        self,
        verb: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, str | float] | None = None,
        body: bytes | None = None,
        again: bool = True,
        answer_s: float = ANSWER_S,
    ) -> bytes:
        """Send a request and return the body of its answer.

        ``again`` sends it once more where a connection breaks: only what may come twice. Raises StoreUnavailable,
        RateLimited, Refused, Unknown, Hole.
        """
        asked = "".join(f"/{quote(part, safe='')}" for part in path)
        asked += f"?{urlencode(query)}" if query else ""
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            if len(body) >= WORTH_COMPRESSING:
                body = gzip.compress(body, 1)
                headers["Content-Encoding"] = "gzip"
        try:
            try:
                answer = self._send(verb, asked, headers, body, answer_s)
            except ProtocolError:  # most often a connection that the server had just closed for having been idle
                if not again:
                    raise
                answer = self._send(verb, asked, headers, body, answer_s)
        except HTTPError as error:
            raise StoreUnavailable(self.url, _reason(error)) from error
        if answer.status == HTTPStatus.OK:
            return answer.data
        raise self._error(answer)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _send(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes | None, answer_s: float
    ) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=answer_s)
        return self._pool.request(
            verb, self.url + path, headers=headers, body=body, timeout=timeout, retries=False, redirect=False
        )

    def _error(self, answer: urllib3.BaseHTTPResponse) -> Exception:
        """Say an answer that is no success in the interface's words."""
        status = answer.status
        try:
            said = msgspec.json.decode(answer.data, type=_Said)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = _Said()
        words = said.error[:300]
        if status == HTTPStatus.NOT_FOUND and said.session_id:
            return Unknown()
        if status == HTTPStatus.CONFLICT and said.expected:
            return Hole(said.expected)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(self.url, _wait_s(said, answer.headers.get("Retry-After", "")))
        if status in _REFUSALS and words:
            return Refused(self.url, status, words)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return StoreUnavailable(
                self.url, f"it does not let us in ({status}): give its token as ?token=… or in FORGE_WIDGETS_TOKEN"
            )
        if status == HTTPStatus.NOT_FOUND or status < HTTPStatus.BAD_REQUEST:
            return StoreUnavailable(
                self.url,
                f"no store is served there ({status}): in Jupyter Server it lies below the base URL, at /forge; "
                "'forge-widgets serve' has it at the address that it prints",
            )
        return StoreUnavailable(self.url, f"it answers {status}{': ' if words else ''}{words}")


def _new_pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(num_pools=1, maxsize=_CONNECTIONS, block=False)


def _wait_s(said: _Said, header: str) -> float:
    """Return how long a server asks to be left alone, at least a moment, at most an hour."""
    asked = said.retry_after or (float(header) if header.isascii() and header.isdigit() else 1.0)
    return min(max(asked, 0.05), 3_600.0)


def _reason(error: HTTPError) -> str:
    """Say in a few words why there was no answer."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name is not known here"
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a kind of ConnectTimeoutError
        return "nothing answers there"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_S:.0f} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "it does not answer"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"no safe connection: {error.args[0]}"
    return "the connection broke"
