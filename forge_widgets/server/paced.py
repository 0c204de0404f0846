"""A socket that sends no faster than its viewer acknowledges: what is on its way is bounded, however slow the link.

Knows nothing of what is sent. Native pings mark places in it; a client of any kind answers them without knowing.
"""

from __future__ import annotations

import asyncio
import time

from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from forge_widgets.core.link import Link
from forge_widgets.server.context import ServerContext
from forge_widgets.server.failures import SILENT
from forge_widgets.server.handlers import ForgeHandler


class _Protocol(WebSocketProtocol13):
    """Tornado's protocol, which closes with a reason and no code where pongs stay away."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close; who was only silent, a laptop that slept, may come back. Tornado would say 1000: for good."""
        super().close(SILENT if code is None and reason is not None else code, reason)


class PacedSocket(ForgeHandler, WebSocketHandler):
    """A WebSocket with a known link."""

    def initialize(self, context: ServerContext) -> None:
        """Start with a link of which nothing is known."""
        super().initialize(context)
        # How fast the viewer takes what it is sent, and the event that is set when it says so.
        self.link = Link()
        self._arrived = asyncio.Event()

    # --- what tornado asks -----------------------------------------------------------------------

    @property
    def ping_interval(self) -> float:
        """Seconds between native pings (tornado's unit; Jupyter's own mixin means milliseconds by the same name)."""
        return self.context.limits.ping_s

    @property
    def ping_timeout(self) -> float:
        """Seconds that a pong may take."""
        return self.context.limits.pong_s

    @property
    def max_message_size(self) -> int:
        """Bytes of a message; beyond it tornado closes with 1009."""
        return self.context.limits.max_message_bytes

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """Return how this socket speaks; None for a version of WebSocket that nobody uses."""
        protocol = super().get_websocket_protocol()
        return _Protocol(self, False, protocol.params) if isinstance(protocol, WebSocketProtocol13) else protocol

    def on_pong(self, data: bytes) -> None:
        """Note what the viewer has got by now: pings mark places in what it is sent."""
        if self.link.acknowledged(data, time.monotonic()):
            self._arrived.set()
