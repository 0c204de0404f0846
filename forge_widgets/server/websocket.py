"""The WebSocket route: the contract's rooms for naive clients, frames for our own (``?protocol=1``).

One task a room follows a watched session and awaits each write, so that a slow viewer skips and nothing is queued for it.
The socket owns its tasks and ends them when it closes. Who may connect is decided by the mount below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from forge_widgets.core.document import iso_time
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import PROTOCOL, encode
from forge_widgets.errors import ForgeError, InvalidInput
from forge_widgets.server.body import Json, parse_object, text_field
from forge_widgets.server.context import ServerContext
from forge_widgets.server.documents import session_document, shown
from forge_widgets.server.failures import REFUSED, NoHandshake, answer_of
from forge_widgets.server.handlers import FURTHEST, ForgeHandler, count_argument
from forge_widgets.server.rooms import Viewer, follow_frames, follow_story

Follow = Callable[[Viewer, ServerContext, str], Awaitable[int]]


class SocketHandler(ForgeHandler, WebSocketHandler):
    """One connection: in no room, in several, or a viewer of our own protocol."""

    def initialize(self, context: ServerContext) -> None:
        """Start in no room."""
        super().initialize(context)
        # The session of the path; "" for a connection that started in none.
        self.session_id = ""
        # A task for each room, by session; our own protocol has one.
        self._rooms: dict[str, asyncio.Task[None]] = {}
        # Asks now and then whether the viewer may still see.
        self._recheck: asyncio.Task[None] | None = None
        # Our own protocol: the cursor to go on from, and the event that wakes the viewer.
        self._resume: Cursor | None = None
        self.wake: asyncio.Event | None = None

    # --- what tornado asks -----------------------------------------------------------------------

    @property
    def ping_interval(self) -> float:
        """Seconds between native pings (tornado's unit; Jupyter's own mixin means milliseconds by the same name)."""
        return self.context.limits.ping_s

    @property
    def ping_timeout(self) -> float:
        """Seconds that a pong may take."""
        return self.context.limits.pong_s

    @property
    def max_message_size(self) -> int:
        """Bytes of a message; beyond it tornado closes with 1009."""
        return self.context.limits.max_message_bytes

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
        self.context.hub.connections.add(self)
        self._recheck = self._spawn(self._ask_now_and_then())
        try:
            own = self._is_own_protocol()
            self.session_id = check_session_id(session_id) if session_id or own else ""
            if own:
                self._open_own(self.session_id)
            elif self.session_id:
                self._join(self.session_id)
        except InvalidInput as error:
            await self.send(_error_message(error))
            if self.get_query_argument("protocol", ""):
                self.close(REFUSED)

    async def on_message(self, message: str | bytes) -> None:
        """Answer a client's message; what can't be understood is answered with an error, and the connection lives."""
        if not await self.may_still_see(ask_again=False):
            self.close(REFUSED, "no longer allowed")
            return
        try:
            if isinstance(message, bytes):
                raise InvalidInput("a binary message can't be used", where="message", expected="JSON text")
            asked = parse_object(message, self.context.limits)
            await self._answer(text_field(asked, "type", 80), asked)
        except ForgeError as error:
            await self.send(_error_message(error))

    def on_close(self) -> None:
        """End the tasks."""
        self.context.hub.connections.discard(self)
        for task in (*self._rooms.values(), self._recheck):
            if task is not None:
                task.cancel()
        self._rooms.clear()

    def take_resume(self) -> Cursor | None:
        """Return the cursor that the client wants to go on from, once."""
        cursor, self._resume = self._resume, None
        return cursor

    # --- sending ---------------------------------------------------------------------------------

    async def send(self, message: Json | bytes) -> None:
        """Send a message and wait until the socket has taken it; to a closed one nothing is sent."""
        try:
            await self.write_message(message if isinstance(message, bytes) else encode(message))
        except (WebSocketClosedError, StreamClosedError):
            self.context.log.debug("a viewer has gone while it was sent to")

    # --- answering -------------------------------------------------------------------------------

    async def _answer(self, kind: str, asked: Json) -> None:
        if kind == "ping":
            now = self.context.clock()
            # The contract's times are ISO 8601, our own protocol's are seconds.
            await self.send({"type": "pong", "timestamp": iso_time(now) if self.wake is None else now})
        elif kind == "resume" and self.wake is not None:
            after = asked.get("after")
            if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after <= FURTHEST:
                raise InvalidInput(f"{str(after)[:40]} can't be used", where="after", expected="an offset")
            self._resume = Cursor(text_field(asked, "epoch", 200), int(after))
            self.wake.set()
        elif kind in ("get_status", "get_session_status"):
            await self._answer_status(kind, self._asked_session(asked))
        elif kind == "join_room" and self.wake is None:
            self._join(self._asked_session(asked))
        elif kind == "leave_room" and self.wake is None:
            await self._leave(self._asked_session(asked))
        else:
            raise InvalidInput(
                f"{kind!r} can't be answered",
                where="type",
                expected="ping, get_status, get_session_status, join_room or leave_room",
            )

    def _asked_session(self, asked: Json) -> str:
        """Return the session that a message names; one that names none means the connection's own."""
        named = asked.get("sessionId", asked.get("session_id"))
        if named is None:
            named = self.session_id or next(iter(self._rooms), None)
        return check_session_id(named)

    async def _answer_status(self, kind: str, session_id: str) -> None:
        context = self.context
        snapshot = await context.pool.run(lambda: context.store.snapshot(session_id))
        state = shown(State() if snapshot is None else snapshot.state, context.clock())
        data = session_document(session_id, state, context.hub.viewers(session_id))
        if kind == "get_status":
            await self.send({"type": "status_response", "sessionId": session_id, "data": data})
        elif snapshot is None:
            await self.send({"type": "session_status", "sessionId": session_id, "exists": False})
        else:
            await self.send({"type": "session_status", "sessionId": session_id, "exists": True, "data": data})

    # --- rooms -----------------------------------------------------------------------------------

    def _join(self, session_id: str) -> None:
        old = self._rooms.pop(session_id, None)
        if old is not None:
            old.cancel()  # joining again greets again
        elif len(self._rooms) >= self.context.limits.max_rooms:
            raise InvalidInput(
                f"room {session_id!r} is one too many",
                where="sessionId",
                expected=f"at most {self.context.limits.max_rooms} rooms",
            )
        self._rooms[session_id] = self._spawn(self._stay(session_id, follow_story))

    async def _leave(self, session_id: str) -> None:
        task = self._rooms.pop(session_id, None)
        if task is not None:
            task.cancel()
        await self.send({"type": "room_left", "sessionId": session_id})

    def _open_own(self, session_id: str) -> None:
        after = count_argument(self.get_query_argument("after", None), "after")
        epoch = self.get_query_argument("epoch", "")
        self._resume = Cursor(epoch, after or 0) if epoch else None
        self.wake = asyncio.Event()
        self._rooms[session_id] = self._spawn(self._stay(session_id, follow_frames))

    def _is_own_protocol(self) -> bool:
        asked = self.get_query_argument("protocol", "")
        if asked and asked != str(PROTOCOL):
            raise InvalidInput(f"{asked[:20]!r} can't be used", where="protocol", expected=str(PROTOCOL))
        return bool(asked)

    async def _stay(self, session_id: str, follow: Follow) -> None:
        """Follow a session until it sends its viewers away; the last room's code closes the connection."""
        try:
            code = await follow(self, self.context, session_id)
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
    return {"type": "error", "error": answer_of(error).text}
