"""A peer's server, in its own environment: ``python -m tests.bench.streams.broadcaster NAME [compress]``; prints its port.

Each line on stdin is a size: a message of so many bytes, which carries its number, goes to all who are connected. It ends with
its stdin. Every peer is used as its documentation says, and does nothing else.
"""

from __future__ import annotations

import asyncio
import importlib
import resource
import sys
from collections.abc import Awaitable, Callable

from tests.bench.streams.reading import FIRST, numbered

Broadcast = Callable[[bytes], Awaitable[None]]
Serve = Callable[[bool], Awaitable[tuple[int, Broadcast]]]
"""Begin to serve, with permessage-deflate or without; return the port and what sends a text to all who are connected."""


async def _serve(name: str, compress: bool) -> None:
    serve: Serve = importlib.import_module(f"tests.bench.streams.servers.{name}").serve
    port, broadcast = await serve(compress)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(port, flush=True)
    number = FIRST
    while line := await lines.readline():
        await broadcast(numbered(number, int(line)))
        number += 1


def main(name: str, *wishes: str) -> None:
    """Serve until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(name, "compress" in wishes))


if __name__ == "__main__":
    main(*sys.argv[1:])
