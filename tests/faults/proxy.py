"""A small TCP proxy that does to connections what bad networks do: stall, slow, cut, harm and refuse them.

A test sets what is wrong (``up``, ``down``, ``upgrade``) at any time, also while bytes flow. Loopback only; one thread
of its own, and at most 64 chunks in flight each way of each connection.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

_CHUNK = 4_096
_CHUNKS_IN_FLIGHT = 64
_STALLED_LOOK_S = 0.01
_SMALL_BUFFER = 8_192
_END_OF_HEAD = b"\r\n\r\n"
_ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    403: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    502: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}

Cut = Literal["reset", "half-close", "close"]


@dataclass(slots=True)
class Way:
    """What happens to the bytes of one direction. Positions count from behind a connection's first HTTP head."""

    # Nothing comes through while set; what was sent meanwhile comes after.
    blackhole: bool = False
    # Seconds that each chunk is on its way: delay_s, give or take up to jitter_s. Order is kept.
    delay_s: float = 0.0
    jitter_s: float = 0.0
    # None: as fast as it goes.
    bytes_per_s: float | None = None
    # What happens after so many bytes; None: nothing.
    cut_after: int | None = None
    cut: Cut = "reset"
    # The byte whose highest bit is turned over; None: none.
    corrupt_at: int | None = None
    # True drops whatever follows the answer to an Upgrade.
    swallow_after_upgrade: bool = False


@dataclass(slots=True, eq=False)
class _Link:
    """A connection through the proxy."""

    client: socket.socket
    server: socket.socket
    upgraded: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """Listens on ``port`` and passes on to a port of this machine."""

    def __init__(self, target_port: int, *, seed: int = 0) -> None:
        self.up = Way()
        self.down = Way()
        # The status that requests to upgrade are answered with by the proxy itself; None passes them on.
        self.upgrade: int | None = None
        # Connections accepted so far.
        self.accepted = 0
        self._target = target_port
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = 0
        self.accept()

    @property
    def live(self) -> int:
        """How many connections go through the proxy now."""
        return len(self._links)

    def accept(self) -> None:
        """Listen (again, on the same port)."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def refuse(self) -> None:
        """Refuse connections from now on; those that are open go on."""
        asyncio.run_coroutine_threadsafe(self._deafen(), self._loop).result(10)

    def reset(self) -> None:
        """Reset all connections (RST to both ends)."""
        asyncio.run_coroutine_threadsafe(self._cut_all("reset"), self._loop).result(10)

    def half_close(self) -> None:
        """End what comes down on all connections; what goes up still goes."""
        asyncio.run_coroutine_threadsafe(self._cut_all("half-close"), self._loop).result(10)

    def close(self) -> None:
        """Reset everything and end the thread."""
        self.refuse()
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        self._listening.setblocking(False)
        self._loop.add_reader(self._listening, self._take_in)

    async def _deafen(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()
        # Whoever came before is let in, unless nobody answers behind us.
        if self._connecting:
            _, late = await asyncio.wait(self._connecting, timeout=5)
            for task in late:
                task.cancel()

    async def _cut_all(self, cut: Cut) -> None:
        for link in list(self._links):
            self._cut(link, cut)
        ending = [task for link in self._links for task in link.tasks] if cut == "reset" else []
        if ending:
            await asyncio.wait(ending, timeout=5)
        # A task that was cancelled leaves its link in a callback of the next turn.
        await asyncio.sleep(0)

    def _take_in(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:  # it has gone again
            return
        self.accepted += 1
        task = self._loop.create_task(self._connect(client))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: socket.socket) -> None:
        server = socket.socket()
        if self.down.bytes_per_s is not None:
            # A slow link holds little: else the buffers of the loopback would take minutes of it.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BUFFER)
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.sock_connect(server, ("127.0.0.1", self._target))
        except OSError:
            _end(client, reset=True)
            server.close()
            return
        except asyncio.CancelledError:  # refused from now on, just when somebody came
            _end(client, reset=True)
            server.close()
            raise
        link = _Link(client, server)
        self._links.add(link)
        for way, source, sink in ((self.up, client, server), (self.down, server, client)):
            queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_IN_FLIGHT)
            link.tasks.append(self._loop.create_task(self._read(link, way, source, queue)))
            link.tasks.append(self._loop.create_task(self._write(link, way, sink, queue)))
        self._loop.create_task(self._see_out(link))

    async def _see_out(self, link: _Link) -> None:
        await asyncio.wait(link.tasks)
        self._links.discard(link)
        for end in (link.client, link.server):
            end.close()

    async def _read(
        self, link: _Link, way: Way, source: socket.socket, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        due = 0.0
        head: bytes | None = b""
        position = 0
        while True:
            await _let_through(way)
            try:
                chunk = await self._loop.sock_recv(source, 1_024 if way.bytes_per_s else _CHUNK)
            except OSError:
                self._cut(link, "reset")
                return
            jitter = way.jitter_s * self._random.uniform(-1, 1)
            due = max(due, self._loop.time() + max(0.0, way.delay_s + jitter))
            if not chunk:
                await queue.put((due, b""))
                return
            if head is not None:
                head += chunk
                end = head.find(_END_OF_HEAD)
                if end < 0:
                    continue
                end += len(_END_OF_HEAD)
                if await self._answers_itself(link, way, head[:end]):
                    return
                await queue.put((due, head[:end]))
                chunk, head = head[end:], None
            chunk, position, cut = self._harmed(link, way, chunk, position)
            if chunk:
                await queue.put((due, chunk))
            if cut:
                await queue.join()
                self._cut(link, way.cut)
                return

    async def _answers_itself(self, link: _Link, way: Way, head: bytes) -> bool:
        """Look at a head: note an upgrade that was granted, and answer one that is refused here."""
        if way is self.down:
            link.upgraded = head.startswith(b"HTTP/1.1 101")
        elif self.upgrade is not None and b"upgrade: websocket" in head.lower():
            await self._loop.sock_sendall(link.client, _ANSWERS[self.upgrade])
            self._cut(link, "close")
            return True
        return False

    def _harmed(self, link: _Link, way: Way, chunk: bytes, position: int) -> tuple[bytes, int, bool]:
        """Return what comes through of a chunk, the position after it, and whether the connection is cut there."""
        after = position + len(chunk)
        if way.swallow_after_upgrade and link.upgraded:
            return b"", after, False
        if way.corrupt_at is not None and position <= way.corrupt_at < after:
            harmed = bytearray(chunk)
            harmed[way.corrupt_at - position] ^= 0x80
            chunk = bytes(harmed)
        if way.cut_after is not None and after >= way.cut_after:
            return chunk[: way.cut_after - position], after, True
        return chunk, after, False

    async def _write(
        self, link: _Link, way: Way, sink: socket.socket, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while True:
            due, chunk = await queue.get()
            if due > self._loop.time():
                await asyncio.sleep(due - self._loop.time())
            await _let_through(way)
            try:
                if not chunk:
                    sink.shutdown(socket.SHUT_WR)
                    return
                await self._loop.sock_sendall(sink, chunk)
            except OSError:
                self._cut(link, "reset")
                return
            finally:
                queue.task_done()
            if way.bytes_per_s:
                await asyncio.sleep(len(chunk) / way.bytes_per_s)

    def _cut(self, link: _Link, cut: Cut) -> None:
        if cut == "half-close":
            with suppress(OSError):
                link.client.shutdown(socket.SHUT_WR)
            return
        for task in link.tasks:
            task.cancel()
        for end in (link.client, link.server):
            # A socket that a task still waits for is let go of first.
            self._loop.remove_reader(end) if end.fileno() >= 0 else None
            self._loop.remove_writer(end) if end.fileno() >= 0 else None
            _end(end, reset=cut == "reset")


async def _let_through(way: Way) -> None:
    while way.blackhole:  # noqa: ASYNC110 - set from the thread of the test
        await asyncio.sleep(_STALLED_LOOK_S)


def _end(end: socket.socket, *, reset: bool) -> None:
    if reset:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


@contextmanager
def proxied(port: int, *, seed: int = 0) -> Iterator[Proxy]:
    """Give a proxy before a port of this machine."""
    proxy = Proxy(port, seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()
