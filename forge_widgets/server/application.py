"""The stand-alone server's application: the table of routes below a path of its own, behind its guard, and its HTTP server.

``standalone`` makes it, runs it and ends it. What is served here besides the table is an annex (Socket.IO is one).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.web import Application

from forge_widgets.server.access import Access
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES, Route, Rule, rules
from forge_widgets.server.context import ServerContext
from forge_widgets.server.guard import StandaloneNothing, guarded
from forge_widgets.server.handlers import LARGER
from forge_widgets.server.inflight import InFlight
from forge_widgets.server.logs import log_request
from forge_widgets.server.page import PageHandler
from forge_widgets.server.proxies import Proxies
from forge_widgets.server.rest import NothingHandler
from forge_widgets.server.socketio import make_socketio


class Site(Struct, frozen=True, kw_only=True):
    """Where a stand-alone server is mounted, and whom it lets in."""

    access: Access
    # The path that everything lies below, without a slash at its end; "" is the root.
    base: str = ""
    proxies: Proxies = Proxies()


class Annex(Protocol):
    """Something that the stand-alone server serves besides the table of routes; it brings its own guard."""

    def rules(self) -> Sequence[Rule]:
        """Return tornado's rules, the site's base in front of each path."""

    async def close(self) -> None:
        """Send all clients away to come back later; called once, before requests in flight are waited for."""


MakeAnnex = Callable[[ServerContext, Site], Annex]

ANNEXES: tuple[MakeAnnex, ...] = (make_socketio,)
"""What makes each annex."""


class StandaloneApplication(Application):
    """A bare tornado application that knows which proxies to believe."""

    def __init__(self, context: ServerContext, site: Site) -> None:
        self.in_flight = InFlight()
        self.annexes = [make(context, site) for make in ANNEXES]
        self._proxies = site.proxies
        base = re.escape(site.base)
        routes = ROUTES + STANDALONE_ROUTES
        if base:
            # Where a browser gets with the address as people write it: the page, which leads on.
            routes += (Route("", PageHandler, "forge_widgets:page"),)
        nothing = type("StandaloneNothingHandler", (NothingHandler, StandaloneNothing), {})
        super().__init__(
            [*(rule for annex in self.annexes for rule in annex.rules()), *rules(context, base, guarded, routes)],
            access=site.access,
            base=site.base,
            in_flight=self.in_flight,
            default_handler_class=nothing,
            default_handler_args={"context": context},
            log_function=log_request,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Say of the request who asks before anybody looks at it."""
        caller = self._proxies.caller(request.remote_ip or "", request.headers)
        if caller is not None:
            request.remote_ip, request.protocol = caller.address, caller.scheme
        return super().find_handler(request, **kwargs)


def create_server(context: ServerContext, application: StandaloneApplication) -> HTTPServer:
    """Make the server of the application: one that waits for nobody for ever, and keeps no large body of anybody."""
    limits = context.limits
    return HTTPServer(
        application,
        idle_connection_timeout=limits.idle_s,
        body_timeout=limits.body_s,
        # Routes that take a body refuse it by themselves and say so; of any other one that comes is kept until it is whole.
        max_body_size=LARGER * limits.max_body_bytes,
    )
