"""python-socketio as it is held here: its tasks have an owner, its origins are our guard's business, its queue is watched.

Imported only where the extra is installed. The annex (socketio) makes one; handlers and clients ask it for what goes out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import engineio
import socketio
from engineio.packet import NOOP
from engineio.packet import Packet as EnginePacket

from forge_widgets.server.context import ServerContext

Handler = Callable[..., Coroutine[Any, Any, object]]


class _EngineServer(engineio.AsyncServer):  # type: ignore[misc]  # engineio ships no types
    """Engine.IO's server, whose tasks (pings, the look for clients that are silent) end with it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tasks: set[asyncio.Task[Any]] = set()

    def start_background_task(self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
        """Start a task that ``close`` can end."""
        task = super().start_background_task(target, *args, **kwargs)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class _SocketServer(socketio.AsyncServer):  # type: ignore[misc]  # socketio ships no types
    def _engineio_server_class(self) -> type[_EngineServer]:
        return _EngineServer


class Engine:
    """The protocol's side of all Socket.IO clients of one server."""

    def __init__(self, context: ServerContext) -> None:
        limits = context.limits
        # What the library says of each packet is nobody's business; what it fails in is.
        log = context.log.getChild("socketio")
        log.setLevel(logging.ERROR)
        self.server = _SocketServer(
            async_mode="tornado",
            # Events of one client are answered one after the other, and none before CONNECT is.
            async_handlers=False,
            always_connect=True,
            # The mount's guard has asked for the Origin and has set the headers.
            cors_allowed_origins=[],
            ping_interval=limits.ping_s,
            ping_timeout=limits.pong_s,
            max_http_buffer_size=limits.max_message_bytes,
            http_compression=False,
            logger=log,
            engineio_logger=log,
        )

    def on_client(self, arrive: Handler, hear: Handler, leave: Handler) -> None:
        """Say whom to call when a client has come, for each of its events, and when it has gone."""
        self.server.on("connect", arrive)
        self.server.on("*", hear)
        self.server.on("disconnect", leave)

    def exists(self, engine_id: str) -> bool:
        """Whether there is such a connection, by polling or WebSocket."""
        return self._socket(engine_id) is not None

    def engine_id(self, sid: str) -> str:
        """Return the id of the connection that a client of the default namespace has."""
        engine_id: str = self.server.manager.eio_sid_from_sid(sid, "/")
        return engine_id

    @property
    def connections(self) -> int:
        """How many there are, those included that have said nothing yet; the library forgets by and by those that have gone."""
        return sum(not socket.closed for socket in self.server.eio.sockets.values())

    def may_upgrade(self, engine_id: str) -> bool:
        """Whether a polling client may try a WebSocket now."""
        socket = self._socket(engine_id)
        return socket is not None and socket.connected and not (socket.upgraded or socket.upgrading)

    def is_upgraded(self, engine_id: str) -> bool:
        """Whether packets go by a WebSocket."""
        socket = self._socket(engine_id)
        return socket is not None and bool(socket.upgraded)

    def give_up_upgrade(self, engine_id: str) -> None:
        """Go on by polling: the WebSocket has gone before it was agreed on, which engineio itself does not undo."""
        socket = self._socket(engine_id)
        if socket is not None and not socket.upgraded:
            socket.upgrading = False

    async def send(self, engine_id: str, text: str) -> None:
        """Put a Socket.IO packet among what waits to be fetched or written."""
        if self.exists(engine_id):
            await self.server.eio.send(engine_id, text)

    async def receive(self, engine_id: str, packet: Any) -> None:
        """Take a packet that was posted."""
        socket = self._socket(engine_id)
        if socket is not None:
            await socket.receive(packet)
            if socket.closed:
                # Its client said goodbye, and may still have a poll open, which nothing else would end for long.
                await socket.queue.put(EnginePacket(NOOP))

    def waiting(self, engine_id: str) -> int:
        """Return how many packets wait to be fetched or written."""
        socket = self._socket(engine_id)
        return 0 if socket is None else int(socket.queue.qsize())

    async def taken(self, engine_id: str) -> None:
        """Wait until nothing waits to be fetched or written."""
        socket = self._socket(engine_id)
        if socket is not None:
            await socket.queue.join()

    async def end(self, engine_id: str) -> None:
        """End a connection, so that its client comes back by itself: a DISCONNECT packet would tell it not to."""
        socket = self._socket(engine_id)
        if socket is not None:
            await socket.close(wait=False)

    async def close(self) -> None:
        """End all connections and tasks."""
        for engine_id in list(self.server.eio.sockets):
            await self.end(engine_id)
        tasks = set(self.server.eio.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _socket(self, engine_id: str) -> Any:
        socket = self.server.eio.sockets.get(engine_id)
        return None if socket is None or socket.closed or socket.closing else socket
