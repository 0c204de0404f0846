"""How a reader begins with a long log: at its newest state, with curves of what came before, and not row by row.

Reading a million rows takes seconds, an opening some milliseconds however long the log is. A store that can give one is an
Opener; whoever keeps a SessionLog (server.watched, widgets.reader) begins it here.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from forge_widgets.core.subscription import Opening, SessionLog
from forge_widgets.stores.base import Store

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
