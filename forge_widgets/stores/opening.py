"""How a reader begins with a long log: at its newest state, with curves of what came before, and not row by row.

Reading a million rows takes seconds, an opening some milliseconds however long the log is. A store that can give one is an
Opener; whoever keeps a SessionLog (server.watched, widgets.reader) begins it here, and a server compacts what it finds.
"""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

from forge_widgets.core.subscription import Opening, SessionLog
from forge_widgets.errors import ForgeError
from forge_widgets.stores.base import Compacting, Store

_log = logging.getLogger(__name__)

LONG_ROWS = 50_000
"""Rows and events from which on a log is long: reading so many takes 0.1 to 0.2 s."""


@runtime_checkable
class Opener(Protocol):
    """A store that knows where a log stands without reading all of it."""

    def opening(self, session_id: str, least_rows: int) -> Opening | None:
        """Return where a log of so many rows and events or more stands; None for a shorter one, or an unknown session.

        Raises StoreUnavailable, StoreDamaged.
        """


def begin(store: Store, log: SessionLog) -> None:
    """Begin a log that nothing was read of yet with an opening, where it is long and the store can give one."""
    if not log.top and isinstance(store, Opener):
        opening = store.opening(log.session_id, LONG_ROWS)
        if opening is not None:
            log.begin(opening)


def compact_some(store: Store, log: SessionLog) -> bool:
    """Compact a few thousand rows of a long log, if its training has left them; False where there is nothing to do."""
    if log.top < LONG_ROWS or not isinstance(store, Compacting):
        return False
    try:
        return store.compact(log.session_id)
    except ForgeError:  # somebody else writes, or nobody can: it is read as it is
        _log.debug("%s: not compacted", log.session_id, exc_info=True)
        return False
