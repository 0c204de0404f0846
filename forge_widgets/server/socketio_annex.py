"""Socket.IO beside the stand-alone server's routes: its one address, its clients, and the tasks that end with the server.

Who may ask is decided by the mount's guard, below every request, as for the routes. Made by ``socketio``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from forge_widgets.core.link import Link
from forge_widgets.errors import ForgeError
from forge_widgets.server.body import Json
from forge_widgets.server.context import ServerContext
from forge_widgets.server.failures import TooManyConnections
from forge_widgets.server.guard import StandaloneBase
from forge_widgets.server.socketio_asking import is_websocket
from forge_widgets.server.socketio_client import Client
from forge_widgets.server.socketio_engine import Engine
from forge_widgets.server.socketio_handler import SocketIOHandler

if TYPE_CHECKING:
    from forge_widgets.server.app import Rule
    from forge_widgets.server.application import Site


class _Guarded(SocketIOHandler, StandaloneBase):
    """The address behind the mount's checks."""

    # What counts of requests call it.
    route = "/socket.io"
    check_origin = StandaloneBase.check_origin

    def prepare(self) -> None:
        """Let in who may ask, but no page that asks without an Origin: as an image, say, to take up all connections."""
        super().prepare()
        if self.request.headers.get("Sec-Fetch-Mode") == "no-cors":
            self._refuse("a page asks for this as a part of itself")

    def _refuse_simple_request(self) -> None:
        """Let text be posted, as Engine.IO does.

        A foreign page that posts it says its Origin, which was asked for; and what it posts to is named by an id that
        only the client knows which was given it.
        """


class SocketIO:
    """All Socket.IO clients of one server."""

    def __init__(self, context: ServerContext, site: Site) -> None:
        self.engine = Engine(context)
        self._context = context
        self._path = f"{re.escape(site.base)}/socket\\.io/?$"
        # Those that are in the protocol's default namespace, and their WebSockets, by the connection's id.
        self._clients: dict[str, Client] = {}
        self._sockets: dict[str, SocketIOHandler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.engine.on_client(self._arrive, self._hear, self._leave)

    # --- what the application asks ---------------------------------------------------------------

    def rules(self) -> Sequence[Rule]:
        """Return the one rule."""
        return [(self._path, _Guarded, {"context": self._context, "owner": self})]

    async def close(self) -> None:
        """End all connections, so that their clients come back, and all tasks."""
        await self.engine.close()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- what the handler asks -------------------------------------------------------------------

    def check_room_for_one(self) -> None:
        """Raise TooManyConnections where a connection would be one too many."""
        most, known = self._context.limits.max_connections, len(self._context.hub.connections)
        # Those that have said nothing yet are no clients, and count.
        if most is not None and known - len(self._clients) + self.engine.connections >= most:
            self._context.meter.refused_connection()
            raise TooManyConnections

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the server; a failure is logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def refuse(self, engine_id: str, error: ForgeError) -> None:
        """Tell a client what can't be used."""
        client = self._clients.get(engine_id)
        if client is not None:
            await client.refuse(error)

    def carry(self, engine_id: str, handler: SocketIOHandler) -> None:
        """Note which WebSocket a connection has, or tries."""
        self._sockets[engine_id] = handler

    def drop(self, engine_id: str, handler: SocketIOHandler) -> None:
        """Note that a WebSocket has gone."""
        if self._sockets.get(engine_id) is handler:
            del self._sockets[engine_id]

    def socket_of(self, engine_id: str) -> SocketIOHandler | None:
        """Return the WebSocket that carries a connection's packets; None while it polls."""
        return self._sockets.get(engine_id) if self.engine.is_upgraded(engine_id) else None

    # --- what python-socketio tells --------------------------------------------------------------

    async def _arrive(self, sid: str, environ: dict[str, Any], _auth: object = None) -> None:
        """Greet whoever has come into the default namespace. What it says of itself lets nobody in: the guard has asked."""
        engine_id, handler = self.engine.engine_id(sid), environ["tornado.handler"]
        if is_websocket(handler) and not handler.engine_id:
            # The connection began as a WebSocket.
            handler.engine_id = engine_id
            self.carry(engine_id, handler)
        client = self._clients[engine_id] = Client(self._context, _Carrier(self, engine_id))
        self._context.hub.connections.add(client)
        await client.greet()

    async def _hear(self, event: str, sid: str, *arguments: object) -> Json:
        return await self._clients[self.engine.engine_id(sid)].hear(event, arguments)

    async def _leave(self, sid: str, _reason: str = "") -> None:
        client = self._clients.pop(self.engine.engine_id(sid), None)
        if client is not None:
            self._context.hub.connections.discard(client)
            client.end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._context.log.log(logging.ERROR, "a Socket.IO request failed", exc_info=task.exception())


class _Carrier:
    """How one client's packets go out (socketio_client.Carrier): by polling, and by a WebSocket once that is agreed on."""

    def __init__(self, owner: SocketIO, engine_id: str) -> None:
        self._owner = owner
        self._engine_id = engine_id
        # Of polling nothing is known, and nothing needed: what was not fetched holds up what follows.
        self._polling = Link()

    @property
    def link(self) -> Link:
        """What is known of the way to it."""
        socket = self._owner.socket_of(self._engine_id)
        return self._polling if socket is None else socket.link

    @property
    def idle(self) -> bool:
        """Whether nothing waits to go."""
        socket = self._owner.socket_of(self._engine_id)
        return not self._owner.engine.waiting(self._engine_id) and (socket is None or socket.idle)

    async def put(self, text: str) -> None:
        """Put a packet among what goes out."""
        await self._owner.engine.send(self._engine_id, text)

    async def taken(self) -> None:
        """Wait until all that was put has gone, and there is room for more."""
        await self._owner.engine.taken(self._engine_id)
        socket = self._owner.socket_of(self._engine_id)
        if socket is not None:
            await socket.caught_up()

    def close(self, code: int, reason: str) -> None:
        """End the transport; the client comes back by itself."""
        socket = self._owner.socket_of(self._engine_id)
        if socket is not None:
            socket.close(code, reason)
        else:
            self._owner.spawn(self._owner.engine.end(self._engine_id))
