"""Pages as they were before, in one process: ``python -m tests.bench.streams.polling PORT PATH COUNT EVERY_S``.

Each asks for the progress document, or for a list, again and again on a connection that it keeps, from a moment of its own on.
Speaks as crowd.py does: ``ready``, ``begin`` and ``tell``; an answer stands for all steps up to its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from typing import Any

from tests.bench.streams.reading import FIRST

_BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n'
    "Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US\r\n"
    "Cache-Control: no-cache\r\nPragma: no-cache\r\nConnection: keep-alive\r\n"
)
"""What Chromium sends along."""


class Pages:
    """All pages, and what they have been told."""

    def __init__(self, port: int, path: str, count: int, every_s: float) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{_BROWSER}\r\n".encode()
        self._count = count
        self._every_s = every_s
        self._bytes = 0
        self._receipts: list[tuple[int, int, float]] = []

    async def run(self) -> None:
        """Poll until stdin ends."""
        tasks = [asyncio.create_task(self._poll(number)) for number in range(self._count)]
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        print("ready", flush=True)
        while line := await lines.readline():
            if line.strip() == b"begin":
                self._receipts.clear()
                self._bytes = 0
                print("begun", flush=True)
            else:
                print(json.dumps(self._counted()), flush=True)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _poll(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        # As pages do that were opened at any time, not all at once.
        due = time.monotonic() + random.Random(number).uniform(0.0, self._every_s)
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + self._every_s, time.monotonic())
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            self._bytes += len(self._request) + len(head) + len(body)
            metrics = json.loads(body).get("metrics")
            if metrics is not None:
                step = int(metrics["currentStep"])
                self._receipts.append((number, FIRST - 1 + step, time.time()))

    def _counted(self) -> dict[str, Any]:
        messages = [{"span": (to, to), "receipts": [(number, at)]} for number, to, at in self._receipts]
        return {"viewers": self._count, "bytes": self._bytes, "messages": messages}


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise AssertionError(f"no length: {head[:200]!r}")


def main(port: str, path: str, count: str, every_s: str) -> None:
    """Poll until stdin ends."""
    asyncio.run(Pages(int(port), path, int(count), float(every_s)).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
