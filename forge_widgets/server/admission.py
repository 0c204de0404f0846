"""Whether one more session may begin: the first record of each is let in while there are fewer sessions than the limit.

Handlers that record do it inside ``turn``. Trainings that write to the store themselves are not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forge_widgets.server.failures import TooManySessions
from forge_widgets.server.listing import Listing
from forge_widgets.server.pool import StorePool
from forge_widgets.stores.base import Store

_MAX_KNOWN = 10_000


class Admission:
    """Counts a store's sessions before one more begins. Used on the event loop only."""

    def __init__(self, store: Store, pool: StorePool, listing: Listing, max_sessions: int | None) -> None:
        self._store = store
        self._pool = pool
        self._listing = listing
        self._max_sessions = max_sessions
        # Sessions that were there when they were asked for; emptied when there are very many.
        self._known: set[str] = set()
        # Those that begin do so one after the other: each counts those before it.
        self._beginning = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[None]:
        """Record to a session within this. Raises TooManySessions."""
        if self._max_sessions is None or await self._is_there(session_id):
            yield
            return
        async with self._beginning:
            if len(await self._listing.summaries()) >= self._max_sessions:
                raise TooManySessions(self._max_sessions)
            yield
            self._listing.forget()
        self._know(session_id)

    def forget(self, session_id: str) -> None:
        """Ask for a session again: it was deleted."""
        self._known.discard(session_id)

    async def _is_there(self, session_id: str) -> bool:
        if session_id not in self._known:
            if await self._pool.run(lambda: self._store.version(session_id)) is None:
                return False
            self._know(session_id)
        return True

    def _know(self, session_id: str) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known.add(session_id)
