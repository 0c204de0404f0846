"""The address of Socket.IO: polling's requests and the WebSocket, between tornado and python-socketio.

Every packet is looked at before the library sees it (packets). Who may ask was decided by the mount's guard before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from forge_widgets.errors import ForgeError, InvalidInput
from forge_widgets.server.context import ServerContext
from forge_widgets.server.failures import (
    REFUSED,
    SILENT,
    BodyTooLarge,
    MalformedArgument,
    MalformedPacket,
)
from forge_widgets.server.paced import PacedSocket
from forge_widgets.server.socketio_asking import connection_of, is_websocket
from forge_widgets.server.socketio_engine import Engine
from forge_widgets.server.socketio_packets import check_packet, posted_packets

UPGRADE_S = 10.0
"""Seconds in which a client that polls has to agree on its WebSocket."""

_MAX_INCOMING = 16
_PACKETS_A_ROOM = 4


class Owner(Protocol):
    """What the handler needs of the annex."""

    engine: Engine

    def check_room_for_one(self) -> None:
        """Raise TooManyConnections where a connection would be one too many."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the server."""

    async def refuse(self, engine_id: str, error: ForgeError) -> None:
        """Tell a client what can't be used."""

    def carry(self, engine_id: str, handler: SocketIOHandler) -> None:
        """Note which WebSocket a connection has, or tries."""

    def drop(self, engine_id: str, handler: SocketIOHandler) -> None:
        """Note that a WebSocket has gone."""


class SocketIOHandler(PacedSocket):
    """One request of a polling client, or one WebSocket."""

    def initialize(self, context: ServerContext, owner: Owner) -> None:  # type: ignore[override]  # the annex's rule gives both
        """Start with nothing received."""
        super().initialize(context)
        self._owner = owner
        # The connection's id; "" for a WebSocket that has none yet.
        self.engine_id = ""
        # What came by WebSocket and was not read yet; tornado waits while it is full. None is the end.
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue(_MAX_INCOMING)
        # The library's work for this request, and what ends a WebSocket that is never agreed on.
        self._work: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        # Messages that the socket has not taken yet, and whether it has gone.
        self._unwritten = 0
        self._gone = False

    async def get(self, *args: str, **kwargs: str) -> None:
        """Begin a connection, wait for packets, or shake hands. Raises what says that it can't be."""
        self.engine_id = connection_of(self, self._owner.engine)
        if not self.engine_id:
            self._owner.check_room_for_one()
        if is_websocket(self):
            if self.engine_id and not self._owner.engine.may_upgrade(self.engine_id):
                raise MalformedArgument("this connection can't be upgraded", where="sid", expected="one that polls")
            await super().get(*args, **kwargs)
            return
        self.set_header("Cache-Control", "no-store")
        self._work = self._owner.spawn(self._owner.engine.server.handle_request(self))
        await asyncio.wait([self._work])

    async def post(self) -> None:
        """Take packets of a polling client. Raises BodyTooLarge, MalformedArgument and MalformedPacket."""
        self.engine_id = connection_of(self, self._owner.engine)
        engine, size, most = self._owner.engine, len(self.request.body), self.context.limits.max_message_bytes
        if not self.engine_id or engine.is_upgraded(self.engine_id):
            raise MalformedArgument("nothing can be posted here", where="sid", expected="a connection that polls")
        if size > most:
            await engine.end(self.engine_id)
            raise BodyTooLarge(f"{size} bytes are too many", where="body", expected=f"at most {most} bytes")
        try:
            packets = posted_packets(self.request.body, self.context.limits)
            for packet in packets:
                await self._check_backlog()
                if isinstance(packet, InvalidInput):
                    await self._owner.refuse(self.engine_id, packet)
                else:
                    await engine.receive(self.engine_id, packet)
        except MalformedPacket:
            await engine.end(self.engine_id)
            raise
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.finish("ok")

    # --- WebSocket -------------------------------------------------------------------------------

    async def open(self, *_: str, **__: str) -> None:
        """Let the library speak; its task is ours to end."""
        if self.engine_id:
            self._owner.carry(self.engine_id, self)
            self._deadline = asyncio.get_running_loop().call_later(UPGRADE_S, self._give_up)
        self._work = self._owner.spawn(self._speak())

    async def on_message(self, message: str | bytes) -> None:
        """Keep a message until it is read; the next is not taken from the network before there is room."""
        await self._incoming.put(message)

    def on_close(self) -> None:
        """Let go: of a WebSocket, or of a poll whose client has gone."""
        self._gone = True
        self._arrived.set()
        if self._deadline is not None:
            self._deadline.cancel()
        if self.ws_connection is None and self.get_status() != 101:
            if self._work is not None:
                self._work.cancel()
            return
        if self._incoming.full():
            self._incoming.get_nowait()
        self._incoming.put_nowait(None)

    async def get_next_message(self) -> str | None:
        """Return the next packet for the library, None at the end."""
        while True:
            message = await self._incoming.get()
            if message is None:
                return None
            try:
                check_packet(message, self.context.limits)
                await self._check_backlog()
            except MalformedPacket as error:
                self.close(REFUSED, str(error)[:100])
                return None
            except InvalidInput as error:
                await self._owner.refuse(self.engine_id, error)
            else:
                return str(message)

    def write_message(self, message: Any, binary: bool = False) -> asyncio.Future[None]:
        """Write, and count until it is written: the library itself waits for nothing."""
        written = super().write_message(message, binary)
        self._unwritten += 1
        written.add_done_callback(self._count_written)
        mark = self.link.sent(len(message), time.monotonic())
        if mark is not None:
            self.ping(mark)
        return written

    @property
    def idle(self) -> bool:
        """Whether all that was written has left."""
        return not self._unwritten

    async def caught_up(self) -> None:
        """Wait until all has been written and there is room on the link, or nobody is there any more."""
        while not self._gone and (self._unwritten or self.link.full):
            self._arrived.clear()
            await self._arrived.wait()

    def _count_written(self, written: asyncio.Future[None]) -> None:
        self._unwritten -= 1
        self._arrived.set()
        if not written.cancelled() and written.exception() is not None:
            self.context.log.debug("a viewer has gone while it was sent to")

    async def _speak(self) -> None:
        try:
            await self._owner.engine.server.handle_request(self)
        finally:
            if self.engine_id:
                self._owner.engine.give_up_upgrade(self.engine_id)
                self._owner.drop(self.engine_id, self)
            self.close()

    def _give_up(self) -> None:
        if not self._owner.engine.is_upgraded(self.engine_id):
            self.close(SILENT, "not agreed on in time")

    async def _check_backlog(self) -> None:
        """Raise MalformedPacket where answers pile up that nobody takes."""
        engine = self._owner.engine
        if engine.waiting(self.engine_id) > _PACKETS_A_ROOM * self.context.limits.max_rooms:
            raise MalformedPacket("too much is asked at once", where="message", expected="answers to be taken")
