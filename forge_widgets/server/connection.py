"""One WebSocket of a viewer: in rooms as a naive client (what it says: conversation), or sent frames of our own protocol.

A room is a task that follows a watched session and waits until each message is taken, so that a slow viewer skips. Frames
come by the session's pump, and need none. The handshake is websocket's, and who may come the mount's below it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

from msgspec import Struct

from forge_widgets.core.brief import Wish
from forge_widgets.core.framing import PING, framed
from forge_widgets.core.link import GREETING_S, Link
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.view import View
from forge_widgets.core.wire import encode, welcome_message
from forge_widgets.errors import ForgeError, InvalidInput
from forge_widgets.server.body import Json, parse_object, text_field
from forge_widgets.server.context import ServerContext
from forge_widgets.server.conversation import answer, check_room_for_one
from forge_widgets.server.failures import REFUSED, ServerGoes, answer_of, facts_of
from forge_widgets.server.handlers import FURTHEST
from forge_widgets.server.line import Line
from forge_widgets.server.meter import Transport
from forge_widgets.server.rooms import follow_story
from forge_widgets.server.sent import Framed, framed_message
from forge_widgets.server.watched import Watched


class MaySee(Protocol):
    """Says whether a viewer may still see; where that can't change there is none."""

    def __call__(self, *, ask_again: bool) -> Awaitable[bool]:
        """Ask; with ``ask_again`` for the identity, too."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a client of our own protocol asks for by its query."""

    protocol: int
    # Where it wants to go on, None: it has nothing yet; and whether its curves came in few points.
    cursor: Cursor | None
    coarse: bool
    # Whether it reads deflated messages, and how it takes rows in brief.
    packs: bool
    wish: Wish | None


class Connection(Line):
    """One WebSocket: in no room, in several, or a viewer of our own protocol."""

    # Without a task and a dictionary an idle viewer takes 3 KiB instead of 30.
    __slots__ = (
        "_may_see",
        "_recheck",
        "_recheck_at",
        "_rooms",
        "_watched",
        "context",
        "link",
        "making",
        "packs",
        "passed_over",
        "session_id",
        "view",
    )

    # What counts of connections call it.
    transport: Transport = "websocket"

    # Set for our own protocol before a pump asks.
    view: View

    def __init__(self, context: ServerContext, may_see: MaySee | None) -> None:
        super().__init__(context.limits, context.log)
        self.context = context
        # The session of the path; "" for a connection that started in none.
        self.session_id = ""
        # How fast the viewer takes what it is sent.
        self.link = Link()
        # A task for each room, by session; one while our own protocol begins, None while there is none.
        self._rooms: dict[str, asyncio.Task[None]] | None = None
        # What says whether the viewer may still see, when to ask it again, and who is asking.
        self._may_see = may_see
        self._recheck_at = time.monotonic() + context.limits.recheck_s
        self._recheck: asyncio.Task[None] | None = None
        # Our own protocol (pump.Follower): the session, None for a naive client.
        self._watched: Watched | None = None
        self.packs = self.making = self.passed_over = False

    # --- what is followed ------------------------------------------------------------------------

    def follow(self, session_id: str, wanted: Wanted | None) -> None:
        """Follow the session of the path: as a naive client, or by frames."""
        self.session_id = session_id
        if wanted is None:
            self.join(session_id)
            return
        self.packs = wanted.packs
        now = time.monotonic()
        self.view = View(wanted.wish, now)
        self.view.start(wanted.cursor, now, coarse=wanted.coarse)
        self._rooms = {session_id: self.spawn(self._begin_frames(wanted.protocol))}

    async def _begin_frames(self, protocol: int) -> None:
        """Greet a viewer of our own protocol, and let the session's pump serve it."""
        context, session_id = self.context, self.session_id
        try:
            store_id = await context.identity.store_id()
            heartbeat_s = context.limits.heartbeat_s
            await self.deliver(welcome_message(session_id, store_id, heartbeat_s, context.clock(), protocol))
            watched = self._watched = context.hub.enter(session_id)
            await watched.fresh()
            await self._greeted(GREETING_S)
        except ForgeError as error:
            await self._excuse(error)
            self.close(answer_of(error).close_code)
            return
        self._rooms = None
        if watched.closed is None:
            watched.pump.enter(self)
        else:
            self.close(watched.closed)

    async def _greeted(self, seconds: float) -> None:
        """Wait until all that was sent is acknowledged; a link that takes longer than this is taken for a slow one."""
        timer = asyncio.get_running_loop().call_later(seconds, self._presume_slow)
        try:
            while not (self.link.greeted or self.link.presumed or self.gone):
                await self.stir()
        finally:
            timer.cancel()

    def _presume_slow(self) -> None:
        self.link.presume_slow()
        self.notify()

    def on_close(self) -> None:
        """End the tasks, and leave the session."""
        context = self.context
        context.hub.connections.discard(self)
        context.sweep.leave(self)
        for task in (*(self._rooms or {}).values(), self._recheck):
            if task is not None:
                task.cancel()
        self._rooms = None
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.pump.leave(self)
            context.hub.leave(watched)

    # --- what is said ----------------------------------------------------------------------------

    async def on_message(self, message: str | bytes) -> None:
        """Answer a client's message; what can't be understood is answered with an error, and the connection lives."""
        if self._may_see is not None and not await self._may_see(ask_again=False):
            self.close(REFUSED, "no longer allowed")
            return
        try:
            if isinstance(message, bytes):
                raise InvalidInput("a binary message can't be used", where="message", expected="JSON text")
            asked = parse_object(message, self.context.limits)
            kind = text_field(asked, "type", 80)
            if not self._has_frames or kind not in ("ping", "resume"):
                await answer(self, kind, asked)
            elif kind == "ping":
                # The contract's times are ISO 8601, our own protocol's are seconds.
                await self.send({"type": "pong", "timestamp": self.context.clock()})
            else:
                self._resume(asked)
        except ForgeError as error:
            await self.send(error_message(error))

    def _resume(self, asked: Json) -> None:
        after = asked.get("after")
        if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after <= FURTHEST:
            raise InvalidInput(f"{str(after)[:40]} can't be used", where="after", expected="an offset")
        epoch = text_field(asked, "epoch", 200)
        cursor = Cursor(epoch, int(after)) if epoch else None
        self.view.start(cursor, time.monotonic(), coarse=asked.get("coarse") is True)
        if self._watched is not None:
            self._watched.pump.serve(self)

    def tell(self, message: Json | bytes) -> None:
        """Send a message; to a connection that is closed nothing is sent."""
        self.push(framed_message(message if isinstance(message, bytes) else encode(message)), time.monotonic())

    async def send(self, message: Json | bytes) -> None:
        """Send a message and wait until the network has taken it."""
        self.tell(message)
        await self.taken()

    async def deliver(self, message: Json | bytes) -> None:
        """Send a message and wait until there is room on the link for the next."""
        await self.send(message)
        while self.link.full and not self.gone:
            await self.stir()

    def push(self, message: Framed, now: float) -> None:
        """Send a message, with the mark that its link asks for."""
        if self.gone:
            return
        mark = self.link.sent(message.size, now)
        self.context.meter.traffic.count("websocket", message.size)
        self.put(message.frame if mark is None else message.frame + framed(mark, PING))

    def ping_data(self) -> bytes:
        """Repeat the newest mark: of several pings a client may answer the newest alone (RFC 6455, 5.5.3)."""
        return self.link.newest_mark

    def on_pong(self, data: bytes) -> None:
        """Note what the viewer has got by now: pings mark places in what it is sent."""
        if self.link.acknowledged(data, time.monotonic()):
            self.notify()
            self.on_room()

    def on_room(self) -> None:
        """Let the pump serve a viewer that it had to pass over."""
        if self.passed_over and self._watched is not None:
            self.passed_over = False
            self._watched.pump.serve(self)

    def look(self, now: float) -> None:
        """Do what is due; now and then ask whether the viewer may still see."""
        super().look(now)
        # Whoever is asked may take long, and is not asked again meanwhile.
        asking = self._recheck is not None and not self._recheck.done()
        if self._may_see is not None and now >= self._recheck_at and not asking:
            self._recheck_at = now + self.context.limits.recheck_s
            self._recheck = self.spawn(self._ask_again(self._may_see))

    async def _ask_again(self, may_see: MaySee) -> None:
        if not await may_see(ask_again=True):
            self.close(REFUSED, "no longer allowed")

    # --- rooms -----------------------------------------------------------------------------------

    @property
    def own_session(self) -> str | None:
        """The session that is meant where a message names none; None where there is none."""
        return self.session_id or next(iter(self._rooms or ()), None)

    def join(self, session_id: str) -> None:
        """Follow a session as a naive client. Raises InvalidInput where that is one room too many."""
        if self._has_frames:
            raise InvalidInput("rooms can't be joined here", where="type", expected="ping or resume")
        rooms = self._rooms = {} if self._rooms is None else self._rooms
        old = rooms.pop(session_id, None)
        if old is not None:
            old.cancel()  # joining again greets again
        else:
            check_room_for_one(session_id, len(rooms), self.context.limits)
        rooms[session_id] = self.spawn(self._stay(session_id))

    def leave(self, session_id: str) -> None:
        """Follow a session no longer."""
        if self._has_frames:
            raise InvalidInput("the room can't be left", where="type", expected="ping or resume")
        task = (self._rooms or {}).pop(session_id, None)
        if task is not None:
            task.cancel()

    @property
    def _has_frames(self) -> bool:
        """Whether it is a viewer of our own protocol."""
        return hasattr(self, "view")

    async def _stay(self, session_id: str) -> None:
        """Follow a session until it sends its viewers away; the last room's code closes the connection."""
        try:
            code = await follow_story(self, self.context, session_id)
        except ForgeError as error:
            await self._excuse(error)
            code = answer_of(error).close_code
        rooms = self._rooms or {}
        rooms.pop(session_id, None)
        if rooms:
            await self.send({"type": "room_left", "sessionId": session_id})
        else:
            self.close(code)

    async def _excuse(self, error: ForgeError) -> None:
        """Say why a session can't be followed; that the server goes is said by the code alone."""
        if not isinstance(error, ServerGoes):
            await self.send(error_message(error))


def error_message(error: ForgeError) -> Json:
    """Build the message that says what can't be used, or can't be done now."""
    return {"type": "error", "error": answer_of(error).text, **facts_of(error)}
