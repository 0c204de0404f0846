"""The stand-alone server: a bare tornado application at ``/``, its guard, and the loop that runs it.

Never a Jupyter ServerApp: there is no kernel, no file and no terminal to reach here. The command line calls ``serve``.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from tornado.httpserver import HTTPServer
from tornado.httputil import url_concat
from tornado.web import Application, Finish, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from forge_widgets.errors import InvalidInput
from forge_widgets.server.access import Access, host_of, is_loopback
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES, Route, close_context, open_context, rules
from forge_widgets.server.context import ServerContext
from forge_widgets.server.failures import WrongContentType
from forge_widgets.server.limits import Limits
from forge_widgets.server.page import PageHandler
from forge_widgets.server.rest import NothingHandler
from forge_widgets.stores import Store

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8001

_LARGER = 4
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class StandaloneBase(RequestHandler):
    """What every handler gets of the stand-alone mount: Host, Origin and token are checked before any verb."""

    # False: Host and Origin are checked, but nothing is told, so nobody needs a token.
    needs_token = True

    @property
    def access(self) -> Access:
        """What this server lets in."""
        access: Access = self.application.settings["access"]
        return access

    def set_default_headers(self) -> None:
        """Send what a browser needs to know, on errors too."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Vary", "Origin")
        self.clear_header("Server")
        origin = self.request.headers.get("Origin")
        if origin is not None and self.access.knows_origin(origin, self.request.host):
            self.set_header("Access-Control-Allow-Origin", origin)

    def prepare(self) -> None:
        """Let in who may ask. Raises HTTPError 403 and WrongContentType."""
        headers = self.request.headers
        if not self.access.knows_host(self.request.host):
            raise HTTPError(403)
        explicit = self._has_token()
        origin = headers.get("Origin")
        if not explicit and origin is not None and not self.access.knows_origin(origin, self.request.host):
            raise HTTPError(403)
        if self.request.method == "OPTIONS" or not self.needs_token:
            return
        if not explicit and not self._is_known():
            raise HTTPError(403)
        if not explicit and self.request.method in _UNSAFE:
            self._refuse_simple_request()

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

    def _has_token(self) -> bool:
        """Say whether a right token came with the request itself; a wrong one is refused whatever else there is."""
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        given = value.strip() if scheme.lower() in ("token", "bearer") else self.get_query_argument("token", "")
        if not given or self.access.token is None:
            return False
        if not self.access.fits(given):
            raise HTTPError(403)
        return True

    def _is_known(self) -> bool:
        return self.access.token is None or self.access.fits_cookie(self.get_cookie(self.access.cookie_name) or "")

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
            self.set_cookie(self.access.cookie_name, self.access.cookie_value, httponly=True, samesite="Lax", path="/")
            kept = {name: self.get_query_argument(name) for name in self.request.query_arguments if name != "token"}
            self.redirect(url_concat(self.request.path, kept))
            raise Finish


class StandaloneNothing(StandaloneBase):
    """What no route is for."""

    needs_token = False


def guarded(route: Route) -> type[RequestHandler]:
    """Return the route's handler behind this mount's checks."""
    handler = route.handler
    namespace: dict[str, Any] = {}
    base: type[StandaloneBase] = StandaloneBase
    if issubclass(handler, WebSocketHandler):
        namespace["check_origin"] = StandaloneBase.check_origin
    if issubclass(handler, PageHandler):
        base = StandalonePage
    return type(f"Standalone{handler.__name__}", (handler, base), namespace)


def create_standalone_app(context: ServerContext, access: Access) -> Application:
    """Make the application: our routes at the root, and 404 for all else."""
    nothing = type("StandaloneNothingHandler", (NothingHandler, StandaloneNothing), {})
    return Application(
        rules(context, "", guarded, ROUTES + STANDALONE_ROUTES),
        access=access,
        default_handler_class=nothing,
        default_handler_args={"context": context},
        log_function=_log_request,
    )


def create_server(context: ServerContext, access: Access) -> HTTPServer:
    """Make the server of the application: one that waits for nobody for ever, and keeps no large body of anybody."""
    limits = context.limits
    return HTTPServer(
        create_standalone_app(context, access),
        idle_connection_timeout=limits.idle_s,
        body_timeout=limits.body_s,
        # Routes that take a body refuse it by themselves and say so; of any other one that comes is kept until it is whole.
        max_body_size=_LARGER * limits.max_body_bytes,
    )


def serve(
    store_url: str | os.PathLike[str] | Store | None = None,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    open_: bool = False,
    allow_origin: Sequence[str] = (),
    allow_host: Sequence[str] = (),
    on_ready: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        store_url: where sessions are kept; None as in ``open_store``.
        host: the address to bind. Names other than the loopback's have to be in ``allow_host`` too.
        port: the port to bind; 0 takes a free one.
        token: what clients have to know; None makes one.
        open_: True asks for no token, and serves this machine alone.
        allow_origin: Origins of pages that may ask besides our own: ``https://a.example``, ``null``, ``*``.
        allow_host: Host names that lead here besides the loopback's; ``*`` is any.
        on_ready: called once with the URL to open, token included.
        limits: bounds and periods; None for the defaults.

    Raises InvalidInput for a port in use or an address that can't be bound, and InvalidStoreURL.
    """
    if open_ and not is_loopback(host):
        raise InvalidInput(
            f"{host!r} can be reached by others, and open mode asks for no token",
            where="host",
            expected="127.0.0.1, ::1 or localhost, or no open mode",
        )
    access = Access(
        token=None if open_ else token or secrets.token_urlsafe(24),
        allow_host=(*allow_host, *([host_of(_netloc(host, port))] if host not in ("", "0.0.0.0", "::") else [])),  # noqa: S104
        allow_origin=tuple(allow_origin),
    )
    asyncio.run(_serve(store_url, host, port, access, on_ready, limits))


async def _serve(
    store_url: str | os.PathLike[str] | Store | None,
    host: str,
    port: int,
    access: Access,
    on_ready: Callable[[str], None] | None,
    limits: Limits | None,
) -> None:
    context = open_context(store_url, limits=limits)
    try:
        server = create_server(context, access)
        sockets = _bind(host, port)
        server.add_sockets(sockets)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        if on_ready is not None:
            on_ready(_url(host, sockets[0].getsockname()[1], access.token))
        await stopped.wait()
        server.stop()
        await context.hub.close()
        await server.close_all_connections()
    finally:
        await close_context(context)


def _bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of a host name to the same port. Raises InvalidInput saying what is in the way."""
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in _addresses(host, port):
            taken = bound[0].getsockname()[1] if bound else port
            bound.append(socket.create_server((address[0], taken), family=family))
            bound[-1].setblocking(False)
    except OSError as error:
        for listening in bound:
            listening.close()
        if error.errno == errno.EADDRINUSE:
            free = "a free port: end the other server, or choose another with --port"
            raise InvalidInput(f"port {port} is in use", where="port", expected=free) from error
        # The error's own words repeat the address; what the number stands for is plain.
        why = os.strerror(error.errno) if error.errno is not None and error.errno in errno.errorcode else error.strerror
        raise InvalidInput(
            f"{_netloc(host, port)} can't be bound ({why})", where="host", expected="an address of this machine"
        ) from error
    return bound


def _addresses(host: str, port: int) -> list[Any]:
    """Return what getaddrinfo knows of a host, each address once; of the loopback's name only what this machine has."""
    known = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    )
    return list({info[4][0]: info for info in known}.values())


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url(host: str, port: int, token: str | None) -> str:
    reachable = DEFAULT_HOST if host in ("", "0.0.0.0") else "::1" if host == "::" else host  # noqa: S104
    query = f"?{urlencode({'token': token})}" if token is not None else ""
    return f"http://{_netloc(reachable, port)}/{query}"


def _log_request(handler: RequestHandler) -> None:
    """Log a request without its query, which may hold the token."""
    level = logging.WARNING if handler.get_status() >= 500 else logging.DEBUG
    logging.getLogger("forge_widgets.server").log(
        level, "%d %s %s", handler.get_status(), handler.request.method, handler.request.path
    )
