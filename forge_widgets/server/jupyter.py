"""The guard of the mount in Jupyter Server: its identity provider, its authorizer and its Origin check below every verb.

Called by ``extension`` through the one table of routes; no handler can be mounted without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from msgspec import Struct
from tornado import web
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.websocket import WebSocketHandler

from forge_widgets.server.connection import MaySee
from forge_widgets.server.page import PageHandler, StaticHandler

if TYPE_CHECKING:
    from forge_widgets.server.app import Route

VERBS = ("get", "head", "post", "put", "patch", "delete")


class _Detached(HTTPConnection):
    """Stands for the connection of a request whose handshake is done; nothing is answered on it."""

    def __init__(self, context: _Context) -> None:
        self.context = context

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Take a callback that tornado hands over; the connection is not ours to watch."""


class _Context(Struct, frozen=True):
    remote_ip: str | None
    protocol: str


class Visitor:
    """Who came by a socket, to be asked for again; of the handshake it holds what identity providers read, as text.

    A request and a handler that are kept for that would take 8 KiB a viewer.
    """

    __slots__ = ("_application", "_context", "_headers", "_resource", "_uri", "_user")

    def __init__(self, handler: JupyterHandler, resource: str) -> None:
        request = handler.request
        self._application = handler.application
        self._context = _Context(request.remote_ip, request.protocol)
        self._headers = str(request.headers)
        self._uri = request.uri
        self._user = handler.current_user
        self._resource = resource

    async def __call__(self, *, ask_again: bool) -> bool:
        """Ask the authorizer, and with ``ask_again`` the identity provider first, whether the visitor may still see."""
        request = HTTPServerRequest(
            start_line=RequestStartLine("GET", self._uri or "/", "HTTP/1.1"),
            headers=HTTPHeaders.parse(self._headers),
            connection=_Detached(self._context),
        )
        # A provider may want to renew a cookie, which an open socket can't: it is asked about a request of its own.
        handler = JupyterHandler(self._application, request)
        if ask_again:
            self._user = await ensure_async(handler.identity_provider.get_user(handler))
        if self._user is None:
            return False
        handler.current_user = self._user
        return bool(await ensure_async(handler.authorizer.is_authorized(handler, self._user, "read", self._resource)))


class JupyterSocket(JupyterHandler):
    """What a socket gets of Jupyter: identity without a redirect to a login page, and the check for revoked viewers."""

    auth_resource: str

    def prepare(self, *, _redirect_to_login: bool = False) -> Any:
        """Find out who asks; 403 where nobody is known."""
        return super().prepare(_redirect_to_login=False)

    def may_see(self) -> MaySee | None:
        """Return who asks again, whatever becomes of the handshake."""
        return Visitor(self, self.auth_resource)


def guarded(route: Route) -> type[web.RequestHandler]:
    """Return the route's handler with every verb authenticated (outermost) and authorized."""
    handler = route.handler
    namespace: dict[str, Any] = {"auth_resource": route.resource, "route": route.path}
    is_socket = issubclass(handler, WebSocketHandler)
    for verb in VERBS:
        method = getattr(handler, verb)
        if method is not getattr(web.RequestHandler, verb):
            authenticated = ws_authenticated if is_socket else web.authenticated
            namespace[verb] = authenticated(authorized(method))
    if is_socket:
        # In the order of bases tornado's check would win over Jupyter's, and our own defaults over the mount's.
        namespace |= {name: getattr(JupyterSocket, name) for name in ("check_origin", "prepare", "may_see")}
        return type(f"Jupyter{handler.__name__}", (handler, JupyterSocket), namespace)
    base = JupyterHandler if issubclass(handler, (PageHandler, StaticHandler)) else APIHandler
    # A page that polls must not keep a server from being culled as idle.
    namespace["_track_activity"] = False
    return type(f"Jupyter{handler.__name__}", (handler, base), namespace)
