"""Tornado as its documentation shows it: ``write_message`` to each viewer; and with the frame built once (``prebuilt``)."""

from __future__ import annotations

from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, WebSocketProtocol13

from tests.bench.streams import speech
from tests.bench.streams.broadcaster import Broadcast

_viewers: list[_Viewer] = []


class _Viewer(WebSocketHandler):
    def initialize(self, compress: bool) -> None:
        self._compress = compress

    def get_compression_options(self) -> dict[str, Any] | None:
        return {} if self._compress else None

    def open(self) -> None:
        self.set_nodelay(True)
        _viewers.append(self)

    def send_built(self, frame: bytes) -> None:
        """Write a whole frame."""
        connection = self.ws_connection
        assert isinstance(connection, WebSocketProtocol13)
        connection.stream.write(frame)


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""

    async def broadcast(message: bytes) -> None:
        text = message.decode()
        for viewer in _viewers:
            viewer.write_message(text)

    return _listening(compress), broadcast


async def serve_prebuilt(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port, with frames that are built once."""

    async def broadcast(message: bytes) -> None:
        frame = speech.frame(speech.TEXT, message)
        for viewer in _viewers:
            viewer.send_built(frame)

    return _listening(compress), broadcast


def _listening(compress: bool) -> int:
    sockets = bind_sockets(0, "127.0.0.1", backlog=1_000)
    HTTPServer(Application([("/", _Viewer, {"compress": compress})])).add_sockets(sockets)
    port: int = sockets[0].getsockname()[1]
    return port
