"""Our end of a connection tells its owner once that it has ended, whichever way it is found out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

from tornado.iostream import IOStream

from forge_widgets.server.ends import READ_BYTES, SocketEnd, StreamEnd, end_of

RESET_ON_CLOSE = (socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.drains = 0
        self.losses = 0

    def received(self, data: bytes) -> None:
        self.data += data

    def drained(self) -> None:
        self.drains += 1

    def lost(self) -> None:
        self.losses += 1


def connected() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection, the second one for a loop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    return theirs, ours


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.005)


def run(play: Callable[[socket.socket, SocketEnd, Owner], Awaitable[None]]) -> Owner:
    """Play a scene on a bare socket; see that its end was told once, and that nothing can be done afterwards."""

    async def scene() -> Owner:
        theirs, ours = connected()
        owner = Owner()
        end = SocketEnd(ours, owner)
        with theirs:
            await play(theirs, end, owner)
        await until(lambda: owner.losses)
        end.send(b"x")
        end.pause(reading=True)
        end.close()
        await asyncio.sleep(0)
        assert (owner.losses, end.writing) == (1, False)
        return owner

    return asyncio.run(scene())


def test_what_is_sent_arrives_and_what_does_not_fit_goes_later_in_order() -> None:
    async def play(theirs: socket.socket, end: SocketEnd, owner: Owner) -> None:
        theirs.setblocking(False)
        sent = bytes(range(256)) * 60_000
        end.send(sent[:-6])
        assert end.writing
        end.send(sent[-6:])
        got = b""
        while len(got) < len(sent):
            got += await asyncio.get_running_loop().sock_recv(theirs, 1_000_000)
        assert got == sent
        await until(lambda: owner.drains)
        assert (owner.drains, end.writing) == (1, False)

    run(play)


def test_nothing_is_taken_while_reading_is_left_off() -> None:
    async def play(theirs: socket.socket, end: SocketEnd, owner: Owner) -> None:
        end.pause(reading=False)
        theirs.sendall(b"x" * (READ_BYTES + 5))
        await asyncio.sleep(0.05)
        assert owner.data == b""
        end.pause(reading=True)
        await until(lambda: len(owner.data) == READ_BYTES + 5)

    run(play)


def test_who_resets_the_connection_is_noticed_by_reading() -> None:
    async def play(theirs: socket.socket, _: SocketEnd, owner: Owner) -> None:
        theirs.setsockopt(*RESET_ON_CLOSE)
        theirs.close()
        await until(lambda: owner.losses)

    run(play)


def test_who_has_gone_is_noticed_by_sending_too() -> None:
    async def play(theirs: socket.socket, end: SocketEnd, owner: Owner) -> None:
        end.pause(reading=False)
        theirs.setsockopt(*RESET_ON_CLOSE)
        theirs.close()
        while not owner.losses:
            end.send(b"x")
            await asyncio.sleep(0.001)

    run(play)


def test_who_goes_while_something_waits_to_be_sent_is_noticed() -> None:
    async def play(theirs: socket.socket, end: SocketEnd, owner: Owner) -> None:
        end.pause(reading=False)
        end.send(bytes(20_000_000))
        assert end.writing
        theirs.setsockopt(*RESET_ON_CLOSE)
        theirs.close()
        await until(lambda: owner.losses)

    run(play)


def test_a_stream_that_is_not_bare_stays_and_does_the_same() -> None:
    class Encrypting(IOStream):
        """Stands for one that encrypts."""

    async def scene() -> None:
        theirs, ours = connected()
        owner = Owner()
        end = end_of(Encrypting(ours), owner)
        assert isinstance(end, StreamEnd)
        with theirs:
            theirs.setblocking(False)
            end.pause(reading=False)
            theirs.sendall(b"one")
            await until(lambda: owner.data == b"one")
            theirs.sendall(b"two")
            await asyncio.sleep(0.02)
            assert owner.data == b"one"
            end.pause(reading=True)
            await until(lambda: owner.data == b"onetwo")
            end.send(bytes(20_000_000))
            assert end.writing
            got = 0
            while got < 20_000_000:
                got += len(await asyncio.get_running_loop().sock_recv(theirs, 1_000_000))
            await until(lambda: owner.drains)
            assert (owner.drains, end.writing) == (1, False)
        await until(lambda: owner.losses)
        end.send(b"x")
        end.close()
        assert owner.losses == 1

    asyncio.run(scene())


def test_what_a_stream_has_still_to_send_comes_before_all_else() -> None:
    async def scene() -> None:
        theirs, ours = connected()
        owner = Owner()
        stream = IOStream(ours)
        before = bytes(range(256)) * 60_000
        stream.write(before)
        assert stream.writing()
        end = end_of(stream, owner)
        end.send(b"after")
        with theirs:
            theirs.setblocking(False)
            got = b""
            while len(got) < len(before) + 5:
                received = await asyncio.get_running_loop().sock_recv(theirs, 1_000_000)
                assert received, "the connection has ended"
                got += received
            assert got == before + b"after"
        await until(lambda: owner.losses)

    asyncio.run(scene())
