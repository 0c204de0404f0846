"""How one naive client follows one session: so many updates a second at most, the first at once, all between them in one.

Called by a connection, of Socket.IO too, as a task of its own. A viewer is a cursor and never a queue: it asks for what lies
after its cursor only once what was sent before has been taken.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from forge_widgets.core.document import connection_lost, session_joined
from forge_widgets.core.link import Link
from forge_widgets.server.body import Json
from forge_widgets.server.context import ServerContext
from forge_widgets.server.documents import shown


class Listener(Protocol):
    """What following a session by the contract's messages needs of a connection."""

    @property
    def link(self) -> Link:
        """What is known of the way to it."""

    async def deliver(self, message: Json | bytes) -> None:
        """Send a message and wait until there is room on the link for the next."""


async def follow_story(viewer: Listener, context: ServerContext, session_id: str) -> int:
    """Send the contract's messages of a session; return the code to close with once its viewers have to go."""
    wake = asyncio.Event()
    spacing_s = 1.0 / context.limits.frames_per_s
    with context.hub.watching(session_id, wake) as watched:
        await watched.fresh()
        cursor = watched.cursor
        state = watched.state
        await viewer.deliver(session_joined(session_id, shown(state, context.clock())))
        if state.lost:
            # The greeting has no word for it, and the event lies behind this viewer.
            await viewer.deliver(connection_lost(session_id, state))
        while True:
            if watched.closed is not None:
                return watched.closed
            wake.clear()
            told = await watched.story_after(cursor)
            cursor = told.cursor
            for message in told.messages:
                await viewer.deliver(message)
            if told.messages:
                await asyncio.sleep(max(spacing_s, viewer.link.pause_s))
            else:
                await wake.wait()
