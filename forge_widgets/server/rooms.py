"""How one viewer follows one session: at most so many frames a second, the first at once, whatever came in between in one.

Called by a socket as a task of its own. A viewer is a cursor and never a queue: it asks for what lies after its cursor only
once the socket has taken what was sent before.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Struct

from forge_widgets.core.brief import Wish, shape_message
from forge_widgets.core.document import connection_lost, session_joined
from forge_widgets.core.link import GREETING_S, Link
from forge_widgets.core.packing import MIN_BYTES
from forge_widgets.core.refinement import Refinement
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import PROTOCOL, heartbeat_message, welcome_message
from forge_widgets.server.body import Json
from forge_widgets.server.context import ServerContext
from forge_widgets.server.documents import shown
from forge_widgets.server.failures import CLOSED
from forge_widgets.server.sent import Sent
from forge_widgets.server.waking import wait_at_most
from forge_widgets.server.watched import Watched

OUTLINES_APART = 2
"""Of rows that come fast a viewer is sent every second frame: ten a second show as much, at half the bytes; an
event waits for no more than one."""


class Start(Struct, frozen=True):
    """Where a viewer of our own protocol wants to go on."""

    # None: it has nothing yet.
    cursor: Cursor | None
    # Whether its curves came in few points.
    coarse: bool


class Listener(Protocol):
    """What following a session by the contract's messages needs of a connection."""

    @property
    def link(self) -> Link:
        """What is known of the way to it."""

    async def deliver(self, message: Json | bytes, *, binary: bool = False) -> None:
        """Send a message and wait until there is room on the link for the next."""


class Viewer(Listener, Protocol):
    """What following by frames needs besides."""

    # Our own protocol: the version that was agreed on, whether it reads deflated messages and rows in brief, and what is set
    # when the client has said where it wants to go on.
    protocol: int | None
    packs: bool
    wish: Wish | None
    wake: asyncio.Event

    def take_start(self) -> Start | None:
        """Return where the client wants to go on, once."""

    async def greeted(self, seconds: float) -> None:
        """Wait until all that was sent is acknowledged, but not for longer than this."""


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


async def follow_frames(viewer: Viewer, context: ServerContext, session_id: str) -> int:
    """Send frames and heartbeats of a session; return the code to close with once its viewers have to go."""
    limits, wake = context.limits, viewer.wake
    loop = asyncio.get_running_loop()
    spacing_s = 1.0 / limits.frames_per_s
    store_id, protocol = await context.identity.store_id(), viewer.protocol or PROTOCOL
    await viewer.deliver(welcome_message(session_id, store_id, limits.heartbeat_s, context.clock(), protocol))
    with context.hub.watching(session_id, wake) as watched:
        await watched.fresh()
        await viewer.greeted(GREETING_S)
        cursor, ending, told, heartbeat_due = None, None, watched.arrears, loop.time()
        refinement = Refinement(loop.time(), coarse=False)
        shapes: set[int] = set()
        while True:
            if watched.closed is not None or (watched.gone and watched.misses(cursor)):
                return CLOSED if watched.closed is None else watched.closed
            wake.clear()
            start = viewer.take_start()
            if start is not None:
                cursor, ending, refinement = start.cursor, None, Refinement(loop.time(), coarse=start.coarse)
            finer = refinement.due(loop.time(), viewer.link.detail)
            refines = finer is not None
            detail = finer or viewer.link.detail
            sent = await watched.frame_after(cursor, detail, refines=refines, brief=viewer.wish, ending=ending)
            if sent is not None:
                cursor, ending = sent.cursor, sent.ending
                await _deliver(viewer, sent, context, shapes)
                if sent.key:
                    refinement.sent(loop.time(), coarse=sent.coarse, refines=refines)
            if watched.arrears != told or loop.time() >= heartbeat_due:
                told, heartbeat_due = watched.arrears, loop.time() + limits.heartbeat_s
                await viewer.deliver(heartbeat_message(watched.cursor, told, context.clock()))
            if sent is not None:
                await _keep_distance(viewer, sent, watched, spacing_s)
            else:
                await wait_at_most(wake, min(heartbeat_due - loop.time(), refinement.pause_s))


async def _keep_distance(viewer: Viewer, sent: Sent, watched: Watched, spacing_s: float) -> None:
    """Wait as long as the next frame has to stay away from this one."""
    pause_s = max(spacing_s, viewer.link.pause_s)
    await asyncio.sleep(pause_s)
    outlined = sent.brief is not None and sent.brief.outlined
    if outlined and watched.newest_event <= sent.cursor.offset:
        await asyncio.sleep(max(0.0, OUTLINES_APART * spacing_s - pause_s))


async def _deliver(viewer: Viewer, sent: Sent, context: ServerContext, shapes: set[int]) -> None:
    """Send a frame; ``shapes`` are those that the viewer was told of by now."""
    if sent.brief is not None:
        shape = sent.brief.shape
        if shape.number not in shapes:
            shapes.add(shape.number)
            await viewer.deliver(shape_message(shape))
        await viewer.deliver(sent.encoded, binary=True)
    elif viewer.packs and len(sent.encoded) >= MIN_BYTES:
        await viewer.deliver((await sent.packed(context.pool)).message, binary=True)
    else:
        await viewer.deliver(sent.encoded)
