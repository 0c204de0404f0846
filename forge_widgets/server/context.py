"""What the handlers are given: the store and everything around it. Made by ``app``, ended by ``app``; holds no logic.

A handler reads fields from here and nothing else from anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

from forge_widgets.core.events import Producer
from forge_widgets.server.admission import Admission
from forge_widgets.server.hub import Hub
from forge_widgets.server.identity import Identity
from forge_widgets.server.limits import Limits
from forge_widgets.server.listing import Listing
from forge_widgets.server.meter import Meter
from forge_widgets.server.pool import StorePool
from forge_widgets.server.rates import PublishRates
from forge_widgets.server.sweep import Sweep
from forge_widgets.server.upkeep import Upkeep
from forge_widgets.stores.base import Store


class ServerContext(Struct, frozen=True, kw_only=True):
    """Everything that one server's handlers share."""

    store: Store
    pool: StorePool
    identity: Identity
    hub: Hub
    sweep: Sweep
    listing: Listing
    limits: Limits
    meter: Meter
    rates: PublishRates
    admission: Admission
    # None where the store has no quota, or keeps nothing on this machine's disk.
    upkeep: Upkeep | None
    # Seconds since the epoch, UTC.
    clock: Callable[[], float]
    # Who writes what clients post; it has no identity of its own (core.events.Producer.bare).
    producer: Producer
    log: logging.Logger
