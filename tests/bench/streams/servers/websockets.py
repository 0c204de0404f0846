"""websockets: its own ``broadcast``."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import broadcast as send_to_all
from websockets.asyncio.server import serve as listen

from tests.bench.streams.broadcaster import Broadcast


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    viewers: set[ServerConnection] = set()

    async def handle(viewer: ServerConnection) -> None:
        viewers.add(viewer)
        await viewer.wait_closed()

    async def broadcast(message: bytes) -> None:
        send_to_all(viewers, message.decode())

    server = await listen(handle, "127.0.0.1", 0, compression="deflate" if compress else None, backlog=1_000)
    return next(iter(server.sockets)).getsockname()[1], broadcast
