"""The floor of a step's way to another process: ``commit_delay STEPS``.

A row committed to SQLite with ``synchronous=FULL``, looked up on another connection, and sent over a loopback socket, with no
waiting between. Prints samples in milliseconds as ``every``.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.streams.samples import ranked


def main(steps: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        writer, reader = (sqlite3.connect(Path(folder, "log.db"), isolation_level=None) for _ in range(2))
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA synchronous=FULL")
        writer.execute("CREATE TABLE log (step INTEGER PRIMARY KEY, loss REAL, accuracy REAL, learning_rate REAL)")
        near, far = socket.socketpair()
        taken = []
        for step in range(1, int(steps) + 1):
            # As it is after a quiet while: what the disk and the kernel had at hand is so no longer.
            time.sleep(0.05)
            began = time.perf_counter()
            writer.execute("INSERT INTO log VALUES (?, 0.5, 0.5, 0.001)", (step,))
            row = reader.execute("SELECT * FROM log WHERE step > ?", (step - 1,)).fetchone()
            near.sendall(json.dumps(row).encode())
            far.recv(1_000)
            taken.append(time.perf_counter() - began)
        for opened in (writer, reader, near, far):
            opened.close()
    print(json.dumps({"every": ranked(taken)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
