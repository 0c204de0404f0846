"""What the watched sessions of a server are read with. Made by ``app``; holds no logic."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

from forge_widgets.server.limits import Limits
from forge_widgets.server.pool import StorePool
from forge_widgets.stores.base import Store
from forge_widgets.stores.lookout import Lookout


class Reading(Struct, frozen=True, kw_only=True):
    """What a watched session is read with."""

    store: Store
    pool: StorePool
    limits: Limits
    lookout: Lookout
    # Seconds since the epoch, UTC.
    clock: Callable[[], float]
    log: logging.Logger
