"""Redis, an XADD a row in pipelines of all that is given at once; its server syncs its log before it answers."""

from __future__ import annotations

import atexit
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import redis

from tests.bench.contestants.keepers import Append, Columns

START_LIMIT_S = 10.0


def opened() -> Append:
    socket = Path("redis.sock").absolute()
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "dir": ".",
    }
    server = subprocess.Popen(
        ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))],
        stdout=subprocess.DEVNULL,
    )
    atexit.register(server.kill)
    deadline = time.monotonic() + START_LIMIT_S
    while not socket.exists():
        assert time.monotonic() < deadline, "redis-server does not come up"
        time.sleep(0.02)
    client = redis.Redis(unix_socket_path=str(socket))

    def append(blocks: Sequence[Columns]) -> None:
        pipeline = client.pipeline(transaction=False)
        for block in blocks:
            names = tuple(block)
            for row in zip(*block.values(), strict=True):
                pipeline.xadd("rows", dict(zip(names, row, strict=True)))
        pipeline.execute()

    return append
