"""python-socketio, on uvicorn: ``emit`` to all."""

from __future__ import annotations

import socketio

from tests.bench.streams.broadcaster import Broadcast
from tests.bench.streams.servers.uvicorn import listening


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    server = socketio.AsyncServer(async_mode="asgi")

    async def broadcast(message: bytes) -> None:
        await server.emit("frame", message.decode())

    return await listening(socketio.ASGIApp(server), compress), broadcast
