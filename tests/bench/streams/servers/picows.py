"""picows: a WebSocket library in Cython, a loop over its transports."""

from __future__ import annotations

from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tests.bench.streams.broadcaster import Broadcast


class _Viewer(WSListener):  # type: ignore[misc]  # untyped where it is not installed
    def __init__(self, viewers: list[WSTransport]) -> None:
        super().__init__()
        self._viewers = viewers

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._viewers.append(transport)


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    assert not compress, "picows doesn't compress"
    viewers: list[WSTransport] = []

    def listener(_: WSUpgradeRequest) -> WSListener:
        return _Viewer(viewers)

    async def broadcast(message: bytes) -> None:
        for viewer in viewers:
            viewer.send(WSMsgType.TEXT, message)

    server = await ws_create_server(listener, "127.0.0.1", 0, backlog=1_000)
    return server.sockets[0].getsockname()[1], broadcast
