"""Who watches what: a session is read only while somebody watches it, once for all of its viewers.

Handlers enter ``watching``; the app closes the hub. What was read of a session is kept a while after its last viewer
left, unread, so that a page that polls or reloads doesn't make the server read a long log again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from forge_widgets.server.failures import CLOSED, COME_BACK, ServerGoes
from forge_widgets.server.meter import Transport
from forge_widgets.server.reading import Reading
from forge_widgets.server.rounds import Rounds
from forge_widgets.server.watched import Watched

_GOODBYE_LOOK_S = 0.02
_GOODBYE_LOOKS = 50


class Connection(Protocol):
    """A socket that has to be told when the server goes."""

    transport: Transport

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close with a code."""


class Hub:
    """The watched sessions of one server."""

    def __init__(self, reading: Reading) -> None:
        # Open sockets, in a session or not.
        self.connections: set[Connection] = set()
        self._reading = reading
        self._rounds = Rounds(reading.pool)
        self._watched: dict[str, Watched] = {}
        self._forgetting: dict[str, asyncio.TimerHandle] = {}
        # Set once: whoever comes now is told at once to come back.
        self._closed = False

    @contextmanager
    def watching(self, session_id: str, wake: asyncio.Event) -> Iterator[Watched]:
        """Be a viewer of a session: ``wake`` is set whenever there may be something new. Raises ServerGoes."""
        watched = self.enter(session_id)
        watched.waking.add(wake)
        try:
            yield watched
        finally:
            watched.waking.discard(wake)
            self.leave(watched)

    def enter(self, session_id: str) -> Watched:
        """Be a viewer of a session until ``leave``. Raises ServerGoes."""
        if self._closed:
            raise ServerGoes
        watched = self._watched.get(session_id)
        if watched is None or watched.closed is not None:
            watched = self._watched[session_id] = Watched(session_id, self._reading)
        timer = self._forgetting.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        watched.viewers += 1
        if watched.viewers == 1:
            watched.start()
            self._rounds.enter(watched)
        return watched

    def leave(self, watched: Watched) -> None:
        """Be a viewer no longer."""
        watched.viewers -= 1
        session_id = watched.session_id
        if watched.viewers:
            return
        self._rounds.leave(watched)
        if self._watched.get(session_id) is not watched:
            return
        if watched.closed is not None:
            del self._watched[session_id]
            return
        loop = asyncio.get_running_loop()
        self._forgetting[session_id] = loop.call_later(self._reading.limits.linger_s, self._forget, session_id)

    def viewers(self, session_id: str) -> int:
        """Return how many viewers a session has. Any thread may ask."""
        watched = self._watched.get(session_id)
        return 0 if watched is None else watched.viewers

    def watched_sessions(self) -> list[str]:
        """Return the sessions that have viewers, sorted."""
        return sorted(session_id for session_id, watched in self._watched.items() if watched.viewers)

    def nudge(self, session_id: str) -> None:
        """Let a watched session be looked at now: something was appended to it here."""
        watched = self._watched.get(session_id)
        if watched is not None:
            watched.nudge()
            self._rounds.hurry()

    def drop(self, session_id: str) -> None:
        """Close the viewers of a session that was deleted, and forget it."""
        watched = self._watched.get(session_id)
        if watched is not None:
            self._forget(session_id)
            watched.close(CLOSED)

    async def close(self) -> None:
        """Tell all viewers to come back later, give their sockets a moment to say goodbye, and stop to read."""
        self._closed = True
        for session_id in list(self._watched):
            watched = self._watched[session_id]
            self._forget(session_id)
            watched.close(COME_BACK)
        await self._rounds.close()
        for connection in list(self.connections):
            connection.close(COME_BACK, "the server goes; come back")
        for _ in range(_GOODBYE_LOOKS):
            if not self.connections:
                return
            await asyncio.sleep(_GOODBYE_LOOK_S)

    def _forget(self, session_id: str) -> None:
        timer = self._forgetting.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        watched = self._watched.pop(session_id, None)
        if watched is not None:
            self._rounds.leave(watched)
