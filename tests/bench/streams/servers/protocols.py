"""asyncio's own: a transport and a protocol for each viewer, and a frame that was built once written to each."""

from __future__ import annotations

import asyncio

from tests.bench.streams import speech
from tests.bench.streams.broadcaster import Broadcast


class _Viewer(asyncio.Protocol):
    __slots__ = ("_viewers", "transport")

    def __init__(self, viewers: list[_Viewer]) -> None:
        self._viewers = viewers
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            assert self.transport is not None
            self.transport.write(speech.response(data))
            self._viewers.append(self)


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    assert not compress, "asyncio doesn't compress"
    viewers: list[_Viewer] = []

    async def broadcast(message: bytes) -> None:
        frame = speech.frame(speech.TEXT, message)
        for viewer in viewers:
            if viewer.transport is not None:
                viewer.transport.write(frame)

    server = await asyncio.get_running_loop().create_server(lambda: _Viewer(viewers), "127.0.0.1", 0, backlog=1_000)
    return server.sockets[0].getsockname()[1], broadcast
