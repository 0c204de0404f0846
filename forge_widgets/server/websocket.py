"""The WebSocket route: rooms for naive clients (what they say: conversation), frames for our own (``?protocol=``).

One task a room follows a watched session and awaits each write, so that a slow viewer skips and nothing is queued for it.
The socket owns its tasks and ends them when it closes. Who may connect is decided by the mount below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from forge_widgets.core.brief import Wish
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.subscription import Cursor
from forge_widgets.errors import ForgeError, InvalidInput
from forge_widgets.server.asking import coarse_of, cursor_of, protocol_of, takes_packed, wish_of
from forge_widgets.server.body import Json, parse_object, text_field
from forge_widgets.server.context import ServerContext
from forge_widgets.server.conversation import answer, check_room_for_one
from forge_widgets.server.failures import CROWDED, REFUSED, NoHandshake, ServerGoes, answer_of, facts_of
from forge_widgets.server.handlers import FURTHEST
from forge_widgets.server.meter import Transport
from forge_widgets.server.paced import PacedSocket
from forge_widgets.server.rooms import Start, Viewer, follow_frames, follow_story

Follow = Callable[[Viewer, ServerContext, str], Awaitable[int]]


class SocketHandler(PacedSocket):
    """One connection: in no room, in several, or a viewer of our own protocol."""

    # What counts of connections call it.
    transport: Transport = "websocket"

    def initialize(self, context: ServerContext) -> None:
        """Start in no room."""
        super().initialize(context)
        # The session of the path; "" for a connection that started in none.
        self.session_id = ""
        # A task for each room, by session; our own protocol has one.
        self._rooms: dict[str, asyncio.Task[None]] = {}
        # Asks now and then whether the viewer may still see.
        self._recheck: asyncio.Task[None] | None = None
        # Our own protocol: its version (None: a naive client), whether messages may be deflated and rows in brief, where the
        # client wants to go on, and the event that wakes the viewer.
        self.protocol: int | None = None
        self.packs = False
        self.wish: Wish | None = None
        self._start: Start | None = None
        self.wake = asyncio.Event()

    async def may_still_see(self, *, ask_again: bool) -> bool:  # noqa: ARG002 - for mounts that can revoke
        """Say whether the viewer may still see; ``ask_again`` asks for the identity too."""
        return True

    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands. Raises NoHandshake where an address of a WebSocket is opened by hand."""
        asked = self.request.headers.get("Upgrade", "")
        if asked.lower() != "websocket":
            raise NoHandshake(
                f"{asked[:40]!r} can't be used", where="Upgrade", expected="websocket: this is a WebSocket"
            )
        await super().get(*args, **kwargs)

    async def open(self, session_id: str = "") -> None:
        """Greet, and follow the session of the path."""
        most = self.context.limits.max_connections
        if most is not None and len(self.context.hub.connections) >= most:
            self.context.meter.refused_connection()
            self.close(CROWDED, "too many connections are open; come back later")
            return
        self.context.hub.connections.add(self)
        self._recheck = self._spawn(self._ask_now_and_then())
        try:
            self.protocol = protocol_of(self)
            if session_id or self.protocol is not None:
                self.session_id = check_session_id(session_id)
            if self.protocol is not None:
                self._start = Start(cursor_of(self), coarse_of(self))
                self.packs, self.wish = takes_packed(self), wish_of(self)
                self._rooms[self.session_id] = self._spawn(self._stay(self.session_id, follow_frames))
            elif self.session_id:
                self.join(self.session_id)
        except InvalidInput as error:
            await self.send(_error_message(error))
            # Not decoded again: that may be what can't be done. An error that leaves here leaves the socket behind.
            if self.request.query_arguments.get("protocol"):
                self.close(answer_of(error).close_code)

    async def on_message(self, message: str | bytes) -> None:
        """Answer a client's message; what can't be understood is answered with an error, and the connection lives."""
        if not await self.may_still_see(ask_again=False):
            self.close(REFUSED, "no longer allowed")
            return
        try:
            if isinstance(message, bytes):
                raise InvalidInput("a binary message can't be used", where="message", expected="JSON text")
            asked = parse_object(message, self.context.limits)
            kind = text_field(asked, "type", 80)
            if self.protocol is None or kind not in ("ping", "resume"):
                await answer(self, kind, asked)
            elif kind == "ping":
                # The contract's times are ISO 8601, our own protocol's are seconds.
                await self.send({"type": "pong", "timestamp": self.context.clock()})
            else:
                self._take_resume(asked)
        except ForgeError as error:
            await self.send(_error_message(error))

    def on_close(self) -> None:
        """End the tasks."""
        self.context.hub.connections.discard(self)
        for task in (*self._rooms.values(), self._recheck):
            if task is not None:
                task.cancel()
        self._rooms.clear()

    def take_start(self) -> Start | None:
        """Return where the client wants to go on, once."""
        start, self._start = self._start, None
        return start

    def _take_resume(self, asked: Json) -> None:
        after = asked.get("after")
        if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after <= FURTHEST:
            raise InvalidInput(f"{str(after)[:40]} can't be used", where="after", expected="an offset")
        epoch = text_field(asked, "epoch", 200)
        self._start = Start(Cursor(epoch, int(after)) if epoch else None, asked.get("coarse") is True)
        self.wake.set()

    # --- rooms -----------------------------------------------------------------------------------

    @property
    def own_session(self) -> str | None:
        """The session that is meant where a message names none; None where there is none."""
        return self.session_id or next(iter(self._rooms), None)

    def join(self, session_id: str) -> None:
        """Follow a session as a naive client. Raises InvalidInput where that is one room too many."""
        if self.protocol is not None:
            raise InvalidInput("rooms can't be joined here", where="type", expected="ping or resume")
        old = self._rooms.pop(session_id, None)
        if old is not None:
            old.cancel()  # joining again greets again
        else:
            check_room_for_one(session_id, len(self._rooms), self.context.limits)
        self._rooms[session_id] = self._spawn(self._stay(session_id, follow_story))

    def leave(self, session_id: str) -> None:
        """Follow a session no longer."""
        if self.protocol is not None:
            raise InvalidInput("the room can't be left", where="type", expected="ping or resume")
        task = self._rooms.pop(session_id, None)
        if task is not None:
            task.cancel()

    async def _stay(self, session_id: str, follow: Follow) -> None:
        """Follow a session until it sends its viewers away; the last room's code closes the connection."""
        try:
            code = await follow(self, self.context, session_id)
        except ServerGoes as error:
            code = answer_of(error).close_code
        except ForgeError as error:
            await self.send(_error_message(error))
            code = answer_of(error).close_code
        self._rooms.pop(session_id, None)
        if self._rooms:
            await self.send({"type": "room_left", "sessionId": session_id})
        else:
            self.close(code)

    async def _ask_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.context.limits.recheck_s)
            if not await self.may_still_see(ask_again=True):
                self.close(REFUSED, "no longer allowed")

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Log what nobody foresaw, and let the client come back: a task that fails must not fail in silence."""
        if not task.cancelled() and task.exception() is not None:
            self.context.log.log(logging.ERROR, "a viewer's task failed", exc_info=task.exception())
            self.close(answer_of(RuntimeError()).close_code)


def _error_message(error: ForgeError) -> Json:
    return {"type": "error", "error": answer_of(error).text, **facts_of(error)}
