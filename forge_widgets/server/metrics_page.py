"""``GET metrics``: what the server has counted and what goes on in it now, as Prometheus reads it.

Mounted like every other route, so behind the token: a scraper sends ``Authorization: Bearer``. docs/METRICS.md lists it.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from forge_widgets.core.events import STATUSES
from forge_widgets.errors import ForgeError
from forge_widgets.server.handlers import ForgeHandler
from forge_widgets.server.meter import Transport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CONNECTED: tuple[Transport, ...] = ("websocket", "socketio")
"""Transports that have connections; by HTTP there are requests alone."""

# A scraper gives up after ten seconds, and then knows nothing at all.
_STORE_S = 2.0


class MetricsHandler(ForgeHandler):
    """``GET metrics``."""

    async def get(self) -> None:
        """Say what goes on, also where the store can't be read."""
        context = self.context
        meter, hub = context.meter, context.hub
        try:
            summaries = await asyncio.wait_for(context.listing.summaries(), _STORE_S)
        except (ForgeError, asyncio.TimeoutError):
            meter.store_readable.set(0)
            meter.sessions.clear()
        else:
            meter.store_readable.set(1)
            statuses: Counter[str] = Counter(summary.state.status for summary in summaries)
            for status in sorted(STATUSES):
                meter.sessions.labels(status).set(statuses[status])
        watched = hub.watched_sessions()
        for transport in CONNECTED:
            meter.connections.labels(transport).set(sum(one.transport == transport for one in hub.connections))
        meter.watched_sessions.set(len(watched))
        meter.viewers.set(sum(map(hub.viewers, watched)))
        rendered = meter.render()
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Content-Length", str(len(rendered)))
        self.set_header("Cache-Control", "no-store")
        self.write(rendered)
        # Before the end: Jupyter's API handlers end every answer as JSON, whatever it is.
        await self.flush()
