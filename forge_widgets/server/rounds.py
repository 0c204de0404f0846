"""The rounds that a server makes of its watched sessions: one timer and one thread for all of them, whatever their number.

A glimpse tells on the loop who was written to; those are read together, in one call of the pool. Who is read for the first
time, or was slow the last time, is read alone, so that nobody waits for it. The hub makes it; without sessions it rests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from forge_widgets.server.pool import StorePool
from forge_widgets.server.watched import Look, Watched


class Rounds:
    """Whoever reads the watched sessions."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool
        self._sessions: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        # Looks that are under way; each session is in one at most.
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, session: Watched) -> None:
        """Read a session from now on."""
        self._sessions.add(session)
        self.hurry()

    def leave(self, session: Watched) -> None:
        """Read a session no longer."""
        self._sessions.discard(session)
        if not self._sessions and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self) -> None:
        """Make a round at once: something may have changed that no glimpse would show."""
        self._arm(0.0)

    async def close(self) -> None:
        """Make no more rounds, and wait for looks that are under way."""
        for session in tuple(self._sessions):
            self.leave(session)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _arm(self, pause_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._go)

    def _go(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due = [session for session in self._sessions if session.is_due(now)]
        together = [session for session in due if session.is_steady]
        for batch in (together, *([session] for session in due if not session.is_steady)):
            if batch:
                self._spawn(batch, now)
        if self._sessions:
            self._arm(min(session.pause_s(now) for session in self._sessions))

    def _spawn(self, batch: Sequence[Watched], now: float) -> None:
        for session in batch:
            session.begin_look()
        task = asyncio.get_running_loop().create_task(self._look(batch, now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, batch: Sequence[Watched], now: float) -> None:
        looks = await self._pool.run(lambda: [session.look(now) for session in batch])
        for session, look in zip(batch, looks, strict=True):
            self._tell(session, look, now)

    def _tell(self, session: Watched, look: Look, now: float) -> None:
        try:
            session.take_look(look, now)
        except Exception:
            # The edge of the task: others were read together with it, and it is to be read again.
            session.reading.log.exception("viewers of session %s could not be told of a look", session.session_id)
