"""One Socket.IO client: the rooms it is in, what it is told and what it is answered, as on the contract's WebSocket.

A room is a task that follows a watched session and waits until the client has taken what it was sent before, so that
nothing piles up. The annex makes it at CONNECT and ends it when the connection does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

import msgspec

from forge_widgets.core.document import iso_time
from forge_widgets.core.link import Link
from forge_widgets.core.wire import encode
from forge_widgets.errors import ForgeError
from forge_widgets.server.body import Json, text_field
from forge_widgets.server.context import ServerContext
from forge_widgets.server.conversation import answer, check_room_for_one
from forge_widgets.server.failures import CLOSED, SILENT, answer_of, facts_of
from forge_widgets.server.meter import Transport
from forge_widgets.server.rooms import follow_story
from forge_widgets.server.socketio_reply import Reply, asked_of

# Bytes of answers that may wait to be taken; who asks on without taking any is let go, and may come back.
_MAX_BACKLOG_BYTES = 1_000_000


class _Named(msgspec.Struct):
    type: str


class Carrier(Protocol):
    """What a client needs of whatever carries its packets."""

    @property
    def link(self) -> Link:
        """What is known of the way to it."""

    async def put(self, text: str) -> None:
        """Put a packet among what goes out."""

    async def taken(self) -> None:
        """Wait until all that was put has gone, and there is room for more."""

    @property
    def idle(self) -> bool:
        """Whether nothing waits to go."""

    def close(self, code: int, reason: str) -> None:
        """End the transport; the client comes back by itself."""


class Client:
    """A listener (rooms.Listener) that is in no room, or in several."""

    # What counts of connections call it, also where it polls.
    transport: Transport = "socketio"

    def __init__(self, context: ServerContext, carrier: Carrier) -> None:
        self.context = context
        self._carrier = carrier
        # A task for each room, by session.
        self._rooms: dict[str, asyncio.Task[None]] = {}
        # Rooms send one after the other.
        self._turn = asyncio.Lock()
        # Bytes that were sent since nothing waited.
        self._backlog = 0

    async def greet(self) -> None:
        """Say that it is connected."""
        greeting = {"status": "connected", "timestamp": iso_time(self.context.clock()), "fallback_available": True}
        await self._put("connection_established", encode(greeting))

    # --- what rooms ask --------------------------------------------------------------------------

    @property
    def link(self) -> Link:
        """What is known of the way to it."""
        return self._carrier.link

    async def deliver(self, message: Json | bytes) -> None:
        """Send what a room has to say, and wait until it has been taken."""
        async with self._turn:
            await self.send(message)
            await self._carrier.taken()

    # --- what conversation asks ------------------------------------------------------------------

    @property
    def own_session(self) -> str | None:
        """The session that is meant where an event names none."""
        return next(iter(self._rooms), None)

    async def send(self, message: Json | bytes) -> None:
        """Send a message of the WebSocket's as an event of the name that its type is."""
        if isinstance(message, bytes):
            await self._put(msgspec.json.decode(message, type=_Named).type, message)
        elif message["type"] == "session_joined":
            # The contract's word for it here; the session's own status stands beside it.
            said = {**message, "status": "joined", "sessionStatus": message["status"]}
            await self._put("session_joined", encode(said))
        else:
            await self._put(message["type"], encode(message))

    def join(self, session_id: str) -> None:
        """Follow a session. Raises InvalidInput where that is one room too many."""
        old = self._rooms.pop(session_id, None)
        if old is not None:
            old.cancel()  # joining again greets again
        else:
            check_room_for_one(session_id, len(self._rooms), self.context.limits)
        task = asyncio.get_running_loop().create_task(self._stay(session_id))
        task.add_done_callback(self._ended)
        self._rooms[session_id] = task

    def leave(self, session_id: str) -> None:
        """Follow a session no longer."""
        task = self._rooms.pop(session_id, None)
        if task is not None:
            task.cancel()

    # --- events ----------------------------------------------------------------------------------

    async def hear(self, event: str, arguments: tuple[object, ...]) -> Json:
        """Answer an event; return what its acknowledgement says. What can't be used is answered, and changes nothing."""
        try:
            reply = Reply(self)
            await answer(reply, text_field({"event": event}, "event", 80), asked_of(arguments))
        except ForgeError as error:
            return await self.refuse(error, event)
        # By polling it is the library that sends it: it counts as what waits.
        self._backlog += len(encode(reply.said))
        return reply.said

    async def refuse(self, error: ForgeError, event: str = "", **facts: str) -> Json:
        """Tell the client what can't be used; return that."""
        said: Json = {"error": answer_of(error).text, **facts_of(error), **facts}
        # A lone surrogate has no UTF-8.
        named = event[:80].encode("utf-8", "replace").decode()
        await self.send({"type": "request_error", "event": named, **said})
        return said

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the connection, so that the client comes back and joins again."""
        self._carrier.close(code or SILENT, reason or "")

    def end(self) -> None:
        """Leave all rooms: the connection has gone."""
        for task in self._rooms.values():
            task.cancel()
        self._rooms.clear()

    # --- inside ----------------------------------------------------------------------------------

    async def _stay(self, session_id: str) -> None:
        """Follow a session until it sends its viewers away."""
        try:
            code = await follow_story(self, self.context, session_id)
        except ForgeError as error:
            await self.refuse(error, "join_room", sessionId=session_id)
            code = answer_of(error).close_code
        self._rooms.pop(session_id, None)
        if code == CLOSED:
            now = iso_time(self.context.clock())
            await self.send({"type": "session_closed", "sessionId": session_id, "timestamp": now})
        else:
            self.close(code, "come back")

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Log what nobody foresaw, and let the client come back: a task that fails must not fail in silence."""
        if not task.cancelled() and task.exception() is not None:
            self.context.log.log(logging.ERROR, "a viewer's task failed", exc_info=task.exception())
            self.close(answer_of(RuntimeError()).close_code)

    async def _put(self, event: str, encoded: bytes) -> None:
        if self._carrier.idle:
            self._backlog = 0
        self._backlog += len(encoded)
        self.context.meter.traffic.count("socketio", len(encoded))
        if self._backlog > _MAX_BACKLOG_BYTES + len(encoded):
            self.close(SILENT, "answers are not taken")
            return
        # An EVENT packet of Socket.IO 5. Event names are our own words: they need no escape.
        await self._carrier.put(f'2["{event}",{encoded.decode()}]')
