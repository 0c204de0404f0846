"""Viewers that come back all at once, each over a connection of its own: crowd.py PORT SESSION TOKEN COUNT TRANSPORT EPOCH AFTER.

Says ``ready``, and at a line on stdin lets all of them ask for what lies after the cursor; each is served once it has a
frame. At the end a line ``served {json}``: how many, and how long it took the median one, the last one but 1 %, and the last.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from contextlib import suppress

PATIENCE_S = 60.0
TEXT, PING, PONG, MASKED = 0x81, 0x89, 0x8A, 0x80


async def ask(port: int, head: str) -> None:
    """Ask once, and wait for a frame."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode())
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        if status == b"101":
            while b'"type":"frame"' not in await message(reader, writer):
                pass
        else:
            assert status == b"200", status
            assert b'"type":"frame"' in await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read one text message of a server (RFC 6455: not masked, not in parts); answer what pings, read past the rest."""
    kind, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    body = await reader.readexactly(size)
    if kind == PING:
        writer.write(bytes([PONG, MASKED | size, 0, 0, 0, 0]) + body)
    return body if kind == TEXT else b""


def head_of(port: int, session_id: str, token: str, transport: str, epoch: str, after: str) -> str:
    path = f"/ws/{session_id}" if transport == "websocket" else f"/api/sessions/{session_id}/events"
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        if transport == "websocket"
        else "Connection: close\r\n"
    )
    return (
        f"GET {path}?protocol=1&epoch={epoch}&after={after} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: token {token}\r\n{upgrade}\r\n"
    )


async def come_back(port: int, head: str, count: int) -> dict[str, float]:
    began = time.monotonic()

    async def one() -> float:
        await asyncio.wait_for(ask(port, head), PATIENCE_S)
        return time.monotonic() - began

    took = sorted(await asyncio.gather(*(one() for _ in range(count))))
    return {"count": len(took), "median": took[len(took) // 2], "p99": took[int(0.99 * (count - 1))], "last": took[-1]}


def main(port: str, session_id: str, token: str, count: str, transport: str, epoch: str, after: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    head = head_of(int(port), session_id, token, transport, epoch, after)
    print("ready", flush=True)
    sys.stdin.readline()
    print("served", json.dumps(asyncio.run(come_back(int(port), head, int(count)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
