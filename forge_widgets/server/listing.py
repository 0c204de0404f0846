"""The list of sessions, read from the store at most once a second for all who ask.

REST handlers call it. A write through this server makes the next list a new one; a write elsewhere shows within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from forge_widgets.core.document import Json, metrics_of
from forge_widgets.core.eta import progress_share, time_left
from forge_widgets.core.metrics import split_nonfinite
from forge_widgets.core.pulse import standing
from forge_widgets.server.documents import times_of
from forge_widgets.server.pool import StorePool
from forge_widgets.stores.base import Store, Summary
from forge_widgets.stores.missed import summaries_now


class Listing:
    """A store's summaries, shared by all requests of a while."""

    def __init__(self, store: Store, pool: StorePool, clock: Callable[[], float], good_for_s: float) -> None:
        self._store = store
        self._clock = clock
        self._pool = pool
        self._good_for_s = good_for_s
        self._reading: asyncio.Task[list[Summary]] | None = None
        self._read_at = 0.0

    async def summaries(self) -> list[Summary]:
        """Return the sessions, newest update first. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        if self._reading is None or loop.time() - self._read_at >= self._good_for_s or _failed(self._reading):
            self._read_at = loop.time()
            self._reading = loop.create_task(self._pool.run(lambda: summaries_now(self._store, self._clock())))
        # A requester that goes away must not take the list from the others.
        return await asyncio.shield(self._reading)

    def forget(self) -> None:
        """Let the next list be read anew."""
        self._reading = None


def _failed(reading: asyncio.Task[list[Summary]]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)


def list_entry(summary: Summary, connections: int, now: float) -> Json:
    """Build a session's entry of a list at ``now``: the contract's fields, and those of docs/PROTOCOL.md."""
    state = summary.state
    left = time_left(state)
    metrics, nonfinite = split_nonfinite(metrics_of(state))
    entry: Json = {
        "sessionId": summary.session_id,
        "connectionCount": connections,
        "status": state.status,
        **times_of(summary),
        "metrics": metrics,
        "attempts": summary.attempts,
        "attempt": state.attempt,
        "lost": state.lost,
        "standing": standing(state, now),
        "error": state.error,
        "recorded": sorted(state.metrics),
        "progress": progress_share(state),
        "secondsLeft": None if left is None else left.seconds,
        "stepsPerSecond": None if left is None else left.steps_per_second,
    }
    return {**entry, "nonfinite": nonfinite} if nonfinite else entry
