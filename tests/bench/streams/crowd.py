"""Many viewers in one process: ``python -m tests.bench.streams.crowd PORT PATHS COUNT [compress] [socketio]``.

PATHS are parted by commas; viewers take them in turns. One epoll loop reads, answers pings and counts, so that the crowd costs
the machine little beside the server. It prints ``ready``, then obeys lines: ``begin`` (counts from here, says ``begun``) and
``tell`` (prints what it has counted as one line of JSON); it ends with its stdin. Of the standard library alone.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.streams import speech
from tests.bench.streams.reading import Reader, Span

_CONNECT_S = 20.0
_SOCKETIO_PING, _SOCKETIO_PONG, _SOCKETIO_JOIN = b"2", b"3", b"40"


@dataclass(slots=True)
class Viewer:
    """One connection."""

    socket: socket.socket
    # The part of a frame that came without its rest.
    rest: bytes = b""
    # Messages and bytes since counting began; bytes with the frames' heads and what was answered.
    messages: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Message:
    """A message as it came to one viewer or to many: when, by whose number."""

    size: int
    span: Span | None
    receipts: list[tuple[int, float]] = field(default_factory=list)


class Crowd:
    """All viewers, and what they have heard."""

    def __init__(self, port: int, paths: Sequence[str], count: int, *, compress: bool, socketio: bool) -> None:
        self._socketio = socketio
        self._counting = False
        self._reader = Reader()
        self._heard: dict[bytes, Message] = {}
        # By file number: its place in the crowd, and itself.
        self._viewers: dict[int, tuple[int, Viewer]] = {}
        self._epoll = select.epoll()
        for number in range(count):
            viewer = _joined(port, paths[number % len(paths)], compress=compress, socketio=socketio)
            self._viewers[viewer.socket.fileno()] = (number, viewer)
            self._epoll.register(viewer.socket.fileno(), select.EPOLLIN)
            self._look(0.0)

    def listen(self) -> None:
        """Obey and read until stdin ends."""
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        print("ready", flush=True)
        while self._look(None):
            pass

    def _look(self, timeout: float | None) -> bool:
        for number, _ in self._epoll.poll(timeout):
            if number == sys.stdin.fileno():
                asked = os.read(number, 100)
                if not asked:
                    return False
                self._obey(asked.strip())
            else:
                self._read(*self._viewers[number])
        return True

    def _obey(self, asked: bytes) -> None:
        if asked == b"begin":
            self._heard.clear()
            for _, viewer in self._viewers.values():
                viewer.messages = viewer.bytes = 0
            self._counting = True
            print("begun", flush=True)
        else:
            print(json.dumps(self._counted()), flush=True)

    def _read(self, place: int, viewer: Viewer) -> None:
        data = viewer.socket.recv(262_144)
        at = time.time()
        if not data:
            raise EOFError(f"viewer {place} was sent away")
        viewer.bytes += len(data)
        if viewer.rest:
            data = viewer.rest + data
        ended = 0
        for opcode, payload, end in speech.frames(data):
            ended = end
            self._hear(place, viewer, opcode, payload, at)
        viewer.rest = data[ended:]

    def _hear(self, place: int, viewer: Viewer, opcode: int, payload: bytes, at: float) -> None:
        if opcode == speech.PING:
            self._say(viewer, speech.masked(speech.PONG, payload))
        elif opcode == speech.CLOSE:
            raise EOFError(f"viewer {place} was sent away with {int.from_bytes(payload[:2], 'big')}")
        elif self._socketio and payload == _SOCKETIO_PING:
            self._say(viewer, speech.masked(speech.TEXT, _SOCKETIO_PONG))
        else:
            message = self._heard.get(payload)
            if message is None:
                message = self._heard[payload] = Message(len(payload), self._reader.span(opcode, payload))
            if self._counting:
                viewer.messages += 1
                message.receipts.append((place, at))

    def _say(self, viewer: Viewer, said: bytes) -> None:
        viewer.bytes += len(said)
        viewer.socket.send(said)

    def _counted(self) -> dict[str, object]:
        viewers = [viewer for _, viewer in self._viewers.values()]
        messages = [
            {"span": message.span, "bytes": message.size, "receipts": message.receipts}
            for message in self._heard.values()
            if message.span is not None
        ]
        return {
            "viewers": len(viewers),
            "least": min(viewer.messages for viewer in viewers),
            "most": max(viewer.messages for viewer in viewers),
            "bytes": sum(viewer.bytes for viewer in viewers),
            "messages": messages,
        }


def _joined(port: int, path: str, *, compress: bool, socketio: bool) -> Viewer:
    """Connect and shake hands; what the server said beyond that is left to be read."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(speech.request(path, compress=compress))
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        assert more, f"no handshake, but {data[:200]!r}"
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), f"no handshake, but {head[:200]!r}"
    if compress:
        assert b"permessage-deflate" in head, "the server does not compress"
    if socketio:
        connection.sendall(speech.masked(speech.TEXT, _SOCKETIO_JOIN))
    connection.setblocking(False)
    return Viewer(connection, rest)


def main(port: str, paths: str, count: str, *wishes: str) -> None:
    """Connect, and listen until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Crowd(
        int(port), paths.split(","), int(count), compress="compress" in wishes, socketio="socketio" in wishes
    ).listen()


if __name__ == "__main__":
    main(*sys.argv[1:])
