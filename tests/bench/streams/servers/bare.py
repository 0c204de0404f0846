"""The floor: bare sockets, a frame that was built once, and a system call for each viewer."""

from __future__ import annotations

import asyncio
import socket

from tests.bench.streams import speech
from tests.bench.streams.broadcaster import Broadcast


async def serve(compress: bool) -> tuple[int, Broadcast]:
    """Serve on a free port."""
    assert not compress, "bare sockets don't compress"
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    listening.setblocking(False)
    viewers: list[socket.socket] = []

    def accept() -> None:
        viewer, _ = listening.accept()
        viewer.settimeout(10.0)
        viewer.sendall(speech.response(viewer.recv(65_536)))
        viewer.setblocking(False)
        viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        viewers.append(viewer)

    async def broadcast(message: bytes) -> None:
        frame = speech.frame(speech.TEXT, message)
        for viewer in viewers:
            viewer.send(frame)

    loop.add_reader(listening.fileno(), accept)
    return listening.getsockname()[1], broadcast
