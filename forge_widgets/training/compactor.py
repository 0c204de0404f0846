"""When a publisher has time to compact its session's log, and how much of it.

Called on the publisher's thread after what waited is durable. It may take a twentieth of that thread's time, and at the end a
moment: what is left then is compacted by whoever watches the session in a server.
"""

from __future__ import annotations

import logging
import time

from forge_widgets.stores.base import Compacting, Store

logger = logging.getLogger("forge_widgets")

EVERY_ROWS = 8_192
"""Rows and events between two compactions: as many as one of them takes (stores.compaction)."""

SHARE = 0.05
"""Of the thread's time. At 1,000 steps a second it takes 20 ms every 8 s, a twentieth of this; above 100,000 it lags behind."""

WORTH_ROWS = 1_024
"""A training of fewer rows is left as it is: it takes a few dozen pages."""

LAST_S = 0.25
"""Seconds at the end: some ten compactions."""


class Compactor:
    """Compacts one session."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        # Rows and events that were recorded here, and those of them that no compaction is known to have taken.
        self._recorded = 0
        self._loose = 0
        # The monotonic moment before which it has had its share.
        self._not_before = 0.0

    def note(self, rows: int) -> None:
        """Note that so many rows and events are durable."""
        self._recorded += rows
        self._loose += rows

    def compact_some(self, store: Store) -> None:
        """Compact once, if there is enough to compact and its share of the time is not used up."""
        if self._loose < EVERY_ROWS or time.monotonic() < self._not_before:
            return
        began = time.monotonic()
        done = self._compact(store, whole=False)
        ended = time.monotonic()
        self._loose = self._loose - EVERY_ROWS if done else 0
        self._not_before = ended + (ended - began) * (1 / SHARE - 1)

    def compact_rest(self, store: Store, until: float) -> None:
        """Compact what is left, till LAST_S or a monotonic moment have passed."""
        deadline = min(until, time.monotonic() + LAST_S)
        if self._recorded >= WORTH_ROWS:
            while time.monotonic() < deadline and self._compact(store, whole=True):
                pass

    def _compact(self, store: Store, *, whole: bool) -> bool:
        try:
            return isinstance(store, Compacting) and store.compact(self._session_id, whole=whole)
        except Exception:  # what is recorded is durable; a store that is busy or broken says so where it is appended to
            logger.debug("%s: not compacted", self._session_id, exc_info=True)
            return False
