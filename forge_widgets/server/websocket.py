"""The WebSocket route: shakes hands, reads what is asked for, and hands the bare connection over (connection.py).

Nothing of the handshake is kept: neither request and handler nor tornado's stream and its tasks. Who may connect is decided
by the mount below.
"""

from __future__ import annotations

from contextvars import Context
from typing import cast

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from forge_widgets.core.metrics import check_session_id
from forge_widgets.errors import InvalidInput
from forge_widgets.server.asking import coarse_of, cursor_of, protocol_of, takes_packed, wish_of
from forge_widgets.server.connection import Connection, MaySee, Wanted, error_message
from forge_widgets.server.failures import CROWDED, NoHandshake, answer_of
from forge_widgets.server.handlers import ForgeHandler


class _Handshake(WebSocketProtocol13):
    """Tornado's protocol up to the handshake: afterwards it neither pings nor reads."""

    def start_pinging(self) -> None:
        """Leave it to the sweep."""

    async def _receive_frame_loop(self) -> None:
        """Leave it to the connection, which has taken the stream over by now."""


class SocketHandler(ForgeHandler, WebSocketHandler):
    """The handshake of one connection."""

    def may_see(self) -> MaySee | None:
        """Return what says whether the viewer may still see; None where nobody can take that back."""
        return None

    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands. Raises NoHandshake where an address of a WebSocket is opened by hand."""
        asked = self.request.headers.get("Upgrade", "")
        if asked.lower() != "websocket":
            raise NoHandshake(
                f"{asked[:40]!r} can't be used", where="Upgrade", expected="websocket: this is a WebSocket"
            )
        await super().get(*args, **kwargs)

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """Return how hands are shaken; None for a version of WebSocket that nobody uses."""
        protocol = super().get_websocket_protocol()
        return _Handshake(self, False, protocol.params) if isinstance(protocol, WebSocketProtocol13) else protocol

    def open(self, session_id: str = "") -> None:
        """Hand the connection over, in a context of its own: a handshake's may hold its request for as long as it lives."""
        Context().run(self._hand_over, session_id)

    def _hand_over(self, session_id: str) -> None:
        connection = Connection(self.context, self.may_see())
        try:
            connection.begin(cast("WebSocketProtocol13", self.ws_connection).stream)
        except StreamClosedError:
            return
        if not self._has_room():
            connection.close(CROWDED, "too many connections are open; come back later")
            return
        self.context.hub.connections.add(connection)
        self.context.sweep.enter(connection)
        try:
            wanted = self._wanted()
            if session_id or wanted is not None:
                connection.follow(check_session_id(session_id), wanted)
        except InvalidInput as error:
            connection.tell(error_message(error))
            # Not decoded again: that may be what can't be done. An error that leaves here leaves the socket behind.
            if self.request.query_arguments.get("protocol"):
                connection.close(answer_of(error).close_code)

    def _has_room(self) -> bool:
        most = self.context.limits.max_connections
        if most is None or len(self.context.hub.connections) < most:
            return True
        self.context.meter.refused_connection()
        return False

    def _wanted(self) -> Wanted | None:
        """Return what a client of our own protocol asks for; None for a naive one. Raises InvalidInput."""
        protocol = protocol_of(self)
        if protocol is None:
            return None
        return Wanted(
            protocol=protocol,
            cursor=cursor_of(self),
            coarse=coarse_of(self),
            packs=takes_packed(self),
            wish=wish_of(self),
        )
