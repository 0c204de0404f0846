"""Which store a server serves: its durable id, asked once and never on the event loop.

Every greeting, poll and list says it. Another machine's store answers over the network, and any may be slow.
"""

from __future__ import annotations

from forge_widgets.server.pool import StorePool
from forge_widgets.stores.base import Store


class Identity:
    """A store's id. Used on the event loop only."""

    def __init__(self, store: Store, pool: StorePool) -> None:
        self._store = store
        self._pool = pool
        # "": nobody has asked yet, or there was no answer.
        self._store_id = ""

    async def store_id(self) -> str:
        """Return the id. Raises StoreUnavailable."""
        if not self._store_id:
            self._store_id = await self._pool.run(lambda: self._store.store_id)
        return self._store_id
