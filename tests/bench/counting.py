"""A TCP proxy that counts the bytes of what goes up and what comes down: everything but what TCP itself adds."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

_CHUNK = 65_536


class CountingProxy:
    """Listens on ``port`` of the loopback and passes on to another; one thread of its own."""

    def __init__(self, target_port: int) -> None:
        # Bytes towards the server and back, since the start.
        self.up = 0
        self.down = 0
        self.port = 0
        self._target = target_port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="counting proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @property
    def total(self) -> int:
        """Bytes both ways."""
        return self.up + self.down

    def close(self) -> None:
        """Cut everything and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, sink, upwards in ((reader, far_writer, True), (far_reader, writer, False)):
            task = self._loop.create_task(self._pump(source, sink, upwards=upwards))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, upwards: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if upwards:
                    self.up += len(chunk)
                else:
                    self.down += len(chunk)
                sink.write(chunk)
                await sink.drain()
        sink.close()
