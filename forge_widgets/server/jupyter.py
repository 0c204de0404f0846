"""The guard of the mount in Jupyter Server: its identity provider, its authorizer and its Origin check below every verb.

Called by ``extension`` through the one table of routes; no handler can be mounted without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.websocket import WebSocketHandler

from forge_widgets.server.page import PageHandler, StaticHandler

if TYPE_CHECKING:
    from forge_widgets.server.app import Route

VERBS = ("get", "head", "post", "put", "patch", "delete")


class JupyterSocket(JupyterHandler):
    """What a socket gets of Jupyter: identity without a redirect to a login page, and the check for revoked viewers."""

    auth_resource: str

    def prepare(self, *, _redirect_to_login: bool = False) -> Any:
        """Find out who asks; 403 where nobody is known."""
        return super().prepare(_redirect_to_login=False)

    async def may_still_see(self, *, ask_again: bool) -> bool:
        """Ask the authorizer, and with ``ask_again`` the identity provider first, whether the viewer may still see."""
        if ask_again:
            # A provider may want to renew a cookie, which an open socket can't: it is asked about a request of its own.
            request = JupyterHandler(self.application, self.request)
            self.current_user = await ensure_async(self.identity_provider.get_user(request))
        user = self.current_user
        if user is None:
            return False
        allowed = await ensure_async(self.authorizer.is_authorized(self, user, "read", self.auth_resource))
        return bool(allowed)


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
        namespace |= {name: getattr(JupyterSocket, name) for name in ("check_origin", "prepare", "may_still_see")}
        return type(f"Jupyter{handler.__name__}", (handler, JupyterSocket), namespace)
    base = JupyterHandler if issubclass(handler, (PageHandler, StaticHandler)) else APIHandler
    # A page that polls must not keep a server from being culled as idle.
    namespace["_track_activity"] = False
    return type(f"Jupyter{handler.__name__}", (handler, base), namespace)
