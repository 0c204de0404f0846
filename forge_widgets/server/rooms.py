"""How one viewer follows one session: at most so many frames a second, the first at once, whatever came in between in one.

Called by a socket as a task of its own. A viewer is a cursor and never a queue: it asks for what lies after its cursor only
once the socket has taken what was sent before.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from forge_widgets.core.document import connection_lost, session_joined
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import heartbeat_message, welcome_message
from forge_widgets.server.body import Json
from forge_widgets.server.context import ServerContext
from forge_widgets.server.documents import shown
from forge_widgets.server.waking import wait_at_most


class Viewer(Protocol):
    """What following needs of a socket."""

    # Our own protocol: set when the client has said where it wants to go on.
    wake: asyncio.Event | None

    def take_resume(self) -> Cursor | None:
        """Return the cursor that the client wants to go on from, once."""

    async def send(self, message: Json | bytes) -> None:
        """Send a message and wait until the socket has taken it."""


async def follow_story(viewer: Viewer, context: ServerContext, session_id: str) -> int:
    """Send the contract's messages of a session; return the code to close with once its viewers have to go."""
    wake = asyncio.Event()
    spacing_s = 1.0 / context.limits.frames_per_s
    with context.hub.watching(session_id, wake) as watched:
        await watched.fresh()
        cursor = watched.cursor
        state = watched.state
        await viewer.send(session_joined(session_id, shown(state, context.clock())))
        if state.lost:
            # The greeting has no word for it, and the event lies behind this viewer.
            await viewer.send(connection_lost(session_id, state))
        while True:
            if watched.closed is not None:
                return watched.closed
            wake.clear()
            told = await watched.story_after(cursor)
            cursor = told.cursor
            for message in told.messages:
                await viewer.send(message)
            if told.messages:
                await asyncio.sleep(spacing_s)
            else:
                await wake.wait()


async def follow_frames(viewer: Viewer, context: ServerContext, session_id: str) -> int:
    """Send frames and heartbeats of a session; return the code to close with once its viewers have to go."""
    limits, wake = context.limits, viewer.wake or asyncio.Event()
    loop = asyncio.get_running_loop()
    spacing_s = 1.0 / limits.frames_per_s
    await viewer.send(welcome_message(session_id, context.store.store_id, limits.heartbeat_s, context.clock()))
    with context.hub.watching(session_id, wake) as watched:
        await watched.fresh()
        cursor, told, heartbeat_due = viewer.take_resume(), watched.arrears, loop.time()
        while True:
            if watched.closed is not None:
                return watched.closed
            wake.clear()
            cursor = viewer.take_resume() or cursor
            sent = await watched.frame_after(cursor)
            if sent is not None:
                cursor = sent.cursor
                await viewer.send(sent.encoded)
            if watched.arrears != told or loop.time() >= heartbeat_due:
                told, heartbeat_due = watched.arrears, loop.time() + limits.heartbeat_s
                await viewer.send(heartbeat_message(watched.cursor, told, context.clock()))
            if sent is not None:
                await asyncio.sleep(spacing_s)
            else:
                await wait_at_most(wake, heartbeat_due - loop.time())
