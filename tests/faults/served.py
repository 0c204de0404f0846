"""The stand-alone server in a process of its own, with periods that are scaled: served.py FOLDER PORT TOKEN.
FORGE_FAULTS_PERIODS=real leaves them as people have them.

Lines on stdin: ``block SECONDS`` holds up its event loop, as another extension would; ``lag`` is answered with how late
the loop was since the last ``lag``, ``reads`` with how often the store was read so far: a line ``lag {json}``, ``reads {json}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path

from msgspec.structs import replace

from forge_widgets.core.subscription import Slice
from forge_widgets.server.limits import Limits
from forge_widgets.server.standalone import serve
from forge_widgets.stores.base import Snapshot
from forge_widgets.stores.sqlite import SqliteStore
from tests.faults import wall_clock

SCALED = Limits(heartbeat_s=0.5, ping_s=2.0, pong_s=2.0, liveness_s=0.5)
LOOK_S = 0.01
LOOKS_KEPT = 100_000


class CountedStore(SqliteStore):
    """A store that counts what it is asked for; the counts are off by one at most, which nobody minds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counts = {"version": 0, "read": 0, "rows": 0, "snapshot": 0}

    def version(self, session_id: str) -> object:
        self.counts["version"] += 1
        return super().version(session_id)

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        self.counts["read"] += 1
        read = super().read(session_id, after, max_rows)
        self.counts["rows"] += 0 if read is None else sum(record.last - record.offset + 1 for record in read.records)
        return read

    def snapshot(self, session_id: str) -> Snapshot | None:
        self.counts["snapshot"] += 1
        return super().snapshot(session_id)


class Lag:
    """How late the loop wakes who asked to be woken: the newest looks, until somebody asks."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=LOOKS_KEPT)

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self._late.append(loop.time() - due)

    def told(self) -> dict[str, float]:
        late = sorted(self._late) or [0.0]
        self._late.clear()
        return {
            "looks": len(late),
            "median": late[len(late) // 2],
            "p99": late[int(0.99 * (len(late) - 1))],
            "worst": late[-1],
        }


class Attendant:
    """Hears the lines on stdin in a thread of its own, and does on the loop what they say."""

    def __init__(self, store: CountedStore) -> None:
        self._store = store
        self._lag = Lag()

    def start(self, url: str) -> None:
        """Begin, on the loop that serves."""
        loop = asyncio.get_running_loop()
        self._watching = loop.create_task(self._lag.watch())
        threading.Thread(target=self._hear, args=(loop,), daemon=True).start()
        say(url)

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            word, *arguments = line.split()
            if word == "block":
                loop.call_soon_threadsafe(time.sleep, float(arguments[0]))
            elif word == "lag":
                loop.call_soon_threadsafe(lambda: say("lag", json.dumps(self._lag.told())))
            elif word == "reads":
                say("reads", json.dumps(self._store.counts))


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def limits() -> Limits:
    """Return the periods, how long FORGE_FAULTS_PATIENCE_S waits for a client that trickles, and the rate that
    FORGE_FAULTS_ROWS_PER_S lets a training in with: by default any."""
    rate = os.environ.get("FORGE_FAULTS_ROWS_PER_S")
    periods = Limits() if os.environ.get("FORGE_FAULTS_PERIODS") == "real" else SCALED
    rows_per_s = None if rate is None else float(rate)
    patience_s = os.environ.get("FORGE_FAULTS_PATIENCE_S")
    if patience_s is not None:
        periods = replace(periods, idle_s=float(patience_s), body_s=float(patience_s))
    return replace(periods, publish_rows_per_s=rows_per_s, publish_requests_per_s=None, publish_burst_s=1.0)


def main(folder: str, port: str, token: str) -> None:
    wall_clock.follow_orders()
    store = CountedStore(Path(folder))
    serve(
        store,
        port=int(port),
        token=token,
        limits=limits(),
        on_ready=Attendant(store).start,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
