"""What a request to Socket.IO's address asks for. Raises errors that say what would be right; changes nothing."""

from __future__ import annotations

from tornado.web import RequestHandler

from forge_widgets.server.failures import MalformedArgument
from forge_widgets.server.socketio_engine import Engine

_TRANSPORTS = ("polling", "websocket")


def is_websocket(handler: RequestHandler) -> bool:
    """Whether a WebSocket's handshake is asked for."""
    return handler.request.headers.get("Upgrade", "").lower() == "websocket"


def connection_of(handler: RequestHandler, engine: Engine) -> str:
    """Return the id of the connection that a request belongs to, "" for a new one.

    Raises MalformedArgument where it is no request of Engine.IO 4, or of a connection that is not known (any more).
    """
    if handler.get_query_argument("j", None) is not None:
        # A script that any page may include, and would read the answer of.
        raise MalformedArgument("JSONP is not served", where="j", expected="polling, or a WebSocket")
    transport = handler.get_query_argument("transport", "polling")
    if transport not in _TRANSPORTS:
        raise MalformedArgument(
            f"{transport[:40]!r} is not served", where="transport", expected=" or ".join(_TRANSPORTS)
        )
    if is_websocket(handler) != (transport == "websocket"):
        raise MalformedArgument(
            f"{transport!r} is not what this is", where="transport", expected="websocket in its handshake, else polling"
        )
    engine_id = handler.get_query_argument("sid", "")
    if engine_id and not engine.exists(engine_id):
        raise MalformedArgument("this connection is not known", where="sid", expected="a new one: connect again")
    version = handler.get_query_argument("EIO", "")
    if not engine_id and version != "4":
        raise MalformedArgument(
            f"{version[:40]!r} is not spoken", where="EIO", expected="4, as socket.io-client 3 and 4 speak"
        )
    return engine_id
