"""The only place that wires: makes what the handlers are given, and the one table of routes that is mounted twice.

``extension`` mounts it in Jupyter Server, ``standalone`` at the root of a server of its own; each brings its guard.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from tornado.web import RequestHandler

from forge_widgets.core.events import Producer
from forge_widgets.server.admission import Admission
from forge_widgets.server.context import ServerContext
from forge_widgets.server.description import ROUTE as DESCRIPTION
from forge_widgets.server.description import DescriptionHandler
from forge_widgets.server.handlers import ForgeHandler
from forge_widgets.server.hub import Hub
from forge_widgets.server.identity import Identity
from forge_widgets.server.limits import Limits
from forge_widgets.server.listing import Listing
from forge_widgets.server.meter import Meter
from forge_widgets.server.metrics_page import MetricsHandler
from forge_widgets.server.page import PageHandler, StaticHandler
from forge_widgets.server.polling import EventsHandler
from forge_widgets.server.pool import StorePool
from forge_widgets.server.rates import PublishRates
from forge_widgets.server.reading import Reading
from forge_widgets.server.records import RecordsHandler
from forge_widgets.server.rest import (
    ErrorHandler,
    HealthHandler,
    ProgressHandler,
    SessionHandler,
    SessionsHandler,
    UpdateHandler,
)
from forge_widgets.server.series import SeriesHandler
from forge_widgets.server.store_routes import (
    HeartbeatsHandler,
    SnapshotHandler,
    StoreHandler,
    SummariesHandler,
    TrimHandler,
    VersionHandler,
)
from forge_widgets.server.sweep import Sweep
from forge_widgets.server.upkeep import Upkeep
from forge_widgets.server.websocket import SocketHandler
from forge_widgets.stores import Store, open_store
from forge_widgets.stores.lookout import Lookout
from forge_widgets.stores.processes import process_alive, this_host
from forge_widgets.stores.quota import DiskStore


class Route(Struct, frozen=True):
    """A route of ours."""

    # A regular expression of the path below the prefix.
    pattern: str
    handler: type[ForgeHandler]
    # What Jupyter's authorizer is asked about.
    resource: str

    @property
    def path(self) -> str:
        """The pattern as people read it: ``/api/progress/{session_id}``."""
        return re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", self.pattern).removesuffix("/?")


# An empty one is a session id too, and a wrong one: 400 as any other.
_ID = "(?P<session_id>[^/]*)"

ROUTES: tuple[Route, ...] = (
    Route("/api/health", HealthHandler, "forge_widgets:health"),
    Route(f"/api/progress/{_ID}", ProgressHandler, "forge_widgets:progress"),
    Route(f"/api/progress/{_ID}/update", UpdateHandler, "forge_widgets:progress"),
    Route(f"/api/progress/{_ID}/error", ErrorHandler, "forge_widgets:progress"),
    Route("/api/sessions", SessionsHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}", SessionHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/events", EventsHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/records", RecordsHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/series", SeriesHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/snapshot", SnapshotHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/version", VersionHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/heartbeats", HeartbeatsHandler, "forge_widgets:sessions"),
    Route(f"/api/sessions/{_ID}/trim", TrimHandler, "forge_widgets:sessions"),
    Route("/api/store", StoreHandler, "forge_widgets:sessions"),
    Route("/api/store/summaries", SummariesHandler, "forge_widgets:sessions"),
    Route("/ws/?", SocketHandler, "forge_widgets:progress"),
    Route(f"/ws/{_ID}", SocketHandler, "forge_widgets:progress"),
    Route("/metrics", MetricsHandler, "forge_widgets:metrics"),
    Route("/static/(?P<path>.+)", StaticHandler, "forge_widgets:static"),
    Route(DESCRIPTION, DescriptionHandler, "forge_widgets:page"),
    Route("/", PageHandler, "forge_widgets:page"),
)
"""Every route, once; both mounts serve all of them."""

STANDALONE_ROUTES: tuple[Route, ...] = (Route("/health", HealthHandler, "forge_widgets:health"),)
"""What the contract has in the stand-alone server besides."""

Guard = Callable[[Route], type[RequestHandler]]
"""Puts a mount's authentication and authorization below every verb of a route's handler."""

Rule = tuple[str, type[RequestHandler], dict[str, Any]]


def rules(context: ServerContext, prefix: str, guard: Guard, routes: tuple[Route, ...] = ROUTES) -> list[Rule]:
    """Return tornado's rules of the routes below a prefix (``""`` or ``/a/forge``), each behind the guard."""
    return [(f"{prefix}{route.pattern}$", guard(route), {"context": context}) for route in routes]


def open_context(
    store: str | os.PathLike[str] | Store | None,
    *,
    limits: Limits | None = None,
    log: logging.Logger | None = None,
    clock: Callable[[], float] = time.time,
) -> ServerContext:
    """Open a store and make everything that a server's handlers share. Raises InvalidStoreURL."""
    limits = limits or Limits()
    log = log or logging.getLogger("forge_widgets.server")
    opened = open_store(store)
    meter = Meter()
    pool = StorePool(limits.store_threads, meter)
    producer = Producer(id=f"http-{secrets.token_hex(8)}", bare=True, pid=os.getpid(), host=this_host())
    reading = Reading(
        store=opened,
        pool=pool,
        limits=limits,
        lookout=Lookout(store=opened, producer=producer, clock=clock, process_alive=process_alive),
        clock=clock,
        log=log,
    )
    hub, listing = Hub(reading), Listing(opened, pool, clock, limits.list_s)
    return ServerContext(
        store=opened,
        pool=pool,
        identity=Identity(opened, pool),
        hub=hub,
        sweep=Sweep(min(limits.ping_s, limits.pong_s, limits.recheck_s), log),
        listing=listing,
        limits=limits,
        meter=meter,
        rates=PublishRates(limits),
        admission=Admission(opened, pool, listing, limits.max_sessions),
        upkeep=_upkeep(opened, limits, hub, clock, log),
        clock=clock,
        producer=producer,
        log=log,
    )


def _upkeep(store: Store, limits: Limits, hub: Hub, clock: Callable[[], float], log: logging.Logger) -> Upkeep | None:
    """Start to keep a store within its quota, where it has one."""
    if limits.disk_quota_bytes is None:
        return None
    if not isinstance(store, DiskStore):
        log.warning("disk_quota_bytes is set, but %s keeps nothing on a disk of this machine.", store.url)
        return None
    upkeep = Upkeep(
        store,
        limits.disk_quota_bytes,
        is_watched=lambda session_id: hub.viewers(session_id) > 0,
        clock=clock,
        every_s=limits.upkeep_s,
        log=log,
    )
    upkeep.start()
    return upkeep


async def close_context(context: ServerContext) -> None:
    """Send all viewers away to come back later, end the threads and let go of the store."""
    await context.hub.close()
    context.sweep.close()
    if context.upkeep is not None:
        await asyncio.to_thread(context.upkeep.close)
    await asyncio.to_thread(context.pool.close)  # a call that a lock holds up must not hold up the loop
    context.store.close()
