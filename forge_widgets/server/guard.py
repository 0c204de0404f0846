"""The guard of the stand-alone mount: Host, Origin and token are checked below every verb, whatever the handler does.

Called by ``application`` through the one table of routes; no handler can be mounted without it. What is let in says ``access``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado.httputil import url_concat
from tornado.web import Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from forge_widgets.server.access import Access
from forge_widgets.server.failures import ServerGoes, WrongContentType
from forge_widgets.server.inflight import InFlight
from forge_widgets.server.page import PageHandler

if TYPE_CHECKING:
    from forge_widgets.server.app import Route

_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class StandaloneBase(RequestHandler):
    """What every handler gets of the stand-alone mount: Host, Origin and token are checked before any verb."""

    # False: Host and Origin are checked, but nothing is told, so nobody needs a token.
    needs_token = True
    # Why the request was refused, for the log; "" where it was not.
    refusal = ""

    @property
    def access(self) -> Access:
        """What this server lets in."""
        access: Access = self.application.settings["access"]
        return access

    @property
    def in_flight(self) -> InFlight:
        """The requests that this server has still to answer."""
        in_flight: InFlight = self.application.settings["in_flight"]
        return in_flight

    def set_default_headers(self) -> None:
        """Send what a browser needs to know, on errors too."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Vary", "Origin")
        self.clear_header("Server")
        if self.in_flight.closing:
            self.set_header("Connection", "close")
        origin = self.request.headers.get("Origin")
        if origin is not None and self._knows(origin):
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Expose-Headers", "Allow, Retry-After")

    def prepare(self) -> None:
        """Let in who may ask. Raises ServerGoes, HTTPError 403 and WrongContentType."""
        if self.in_flight.closing:
            raise ServerGoes
        self.in_flight.enter(self)
        if not self.access.knows_host(self.request.host):
            self._refuse("the Host is not known; --allow-host names further ones")
        explicit = self._has_token()
        origin = self.request.headers.get("Origin")
        if not explicit and origin is not None and not self._knows(origin):
            self._refuse("the Origin is not known; --allow-origin names further ones")
        if self.request.method == "OPTIONS" or not self.needs_token:
            return
        if not explicit and not self._is_known():
            self._refuse("there is no token")
        if not explicit and self.request.method in _UNSAFE:
            self._refuse_simple_request()

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        """End the answer; the request is in flight until all of it has been written."""
        written = super().finish(chunk)
        written.add_done_callback(lambda _: self.in_flight.leave(self))
        return written

    def on_connection_close(self) -> None:
        """Wait no longer for whoever has gone."""
        self.in_flight.leave(self)
        super().on_connection_close()

    def options(self, **_: str) -> None:
        """Answer a preflight; Host and Origin were checked."""
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
        self.set_header(
            "Access-Control-Allow-Headers", "authorization, content-encoding, content-type, idempotency-key"
        )
        self.set_header("Access-Control-Max-Age", "600")
        self.set_status(204)
        self.finish()

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - tornado's
        """Say yes to tornado's own question: ``prepare`` has asked already, and a token needs no Origin."""
        return True

    def _knows(self, origin: str) -> bool:
        return self.access.knows_origin(origin, self.request.host, self.request.protocol)

    def _has_token(self) -> bool:
        """Say whether a right token came with the request itself; a wrong one is refused whatever else there is."""
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        given = value.strip() if scheme.lower() in ("token", "bearer") else self.get_query_argument("token", "")
        if not given or self.access.token is None:
            return False
        if not self.access.fits(given):
            self._refuse("the token is a wrong one")
        return True

    def _is_known(self) -> bool:
        return self.access.token is None or self.access.fits_cookie(self.get_cookie(self.access.cookie_name) or "")

    def _refuse(self, why: str) -> None:
        """Refuse; the log is told why, and whoever asks is not."""
        self.refusal = why
        raise HTTPError(403)

    def _refuse_simple_request(self) -> None:
        """Refuse what a foreign page could send without asking first: a form, or text."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.request.method != "DELETE" and kind != "application/json":
            raise WrongContentType(f"{kind[:80]!r} can't be used", where="Content-Type", expected="application/json")


class StandalonePage(StandaloneBase):
    """What the page gets besides: opened with ``?token=`` it keeps the visitor known by a cookie."""

    def prepare(self) -> None:
        """Take the token out of the address, so that no history and no Referer holds it."""
        super().prepare()
        if self.request.method == "GET" and self.get_query_argument("token", "") and self.access.token is not None:
            self.set_cookie(
                self.access.cookie_name,
                self.access.cookie_value,
                httponly=True,
                samesite="Lax",
                secure=self.request.protocol == "https",
                path=f"{self.application.settings['base']}/",
            )
            kept = {name: self.get_query_argument(name) for name in self.request.query_arguments if name != "token"}
            # Relative: a proxy may have taken something off the front of the path.
            folder = self.request.path.rpartition("/")[2]
            self.redirect(url_concat(f"{folder}/" if folder else "./", kept))
            raise Finish


class StandaloneNothing(StandaloneBase):
    """What no route is for."""

    needs_token = False


def guarded(route: Route) -> type[RequestHandler]:
    """Return the route's handler behind this mount's checks."""
    handler = route.handler
    namespace: dict[str, Any] = {"route": route.path}
    base: type[StandaloneBase] = StandaloneBase
    if issubclass(handler, WebSocketHandler):
        namespace["check_origin"] = StandaloneBase.check_origin
    if issubclass(handler, PageHandler):
        base = StandalonePage
    return type(f"Standalone{handler.__name__}", (handler, base), namespace)
