"""uvicorn: an ASGI application that awaits each viewer's ``send``; ``listening`` serves Socket.IO's too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn import Config, Server

from tests.bench.streams.broadcaster import Broadcast

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# Held, since a loop forgets its tasks.
_running: list[asyncio.Task[None]] = []


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    viewers: list[Send] = []

    async def application(_: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        viewers.append(send)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def broadcast(message: bytes) -> None:
        told = {"type": "websocket.send", "text": message.decode()}
        for send in viewers:
            await send(told)

    return await listening(application, compress), broadcast


async def listening(application: Any, compress: bool) -> int:
    """Let uvicorn serve an application; return the port."""
    config = Config(
        application, "127.0.0.1", 0, lifespan="off", log_level="error", ws_per_message_deflate=compress, backlog=1_000
    )
    server = Server(config)
    task = asyncio.get_running_loop().create_task(server.serve())
    while not server.started:
        assert not task.done(), "uvicorn has ended"
        await asyncio.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    _running.append(task)
    return port
