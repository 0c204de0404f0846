"""The threads in which a server touches its store: bounded, and never the event loop.

The app makes one and ends it; hub and handlers await ``run``. Work that finds all threads busy waits its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.server.meter import Meter

Result = TypeVar("Result")


class StorePool:
    """A bounded pool of threads for blocking calls."""

    def __init__(self, threads: int, meter: Meter) -> None:
        self._meter = meter
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="forge-store")

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a blocking call in one of the threads and return its result, or raise what it raised."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except (StoreUnavailable, StoreDamaged) as error:
            self.note(error)
            raise

    def note(self, error: Exception) -> None:
        """Count a call that failed because of the store; one that noted its own failure for others to go on, too."""
        if isinstance(error, (StoreUnavailable, StoreDamaged)):
            self._meter.store_failed(error)

    def close(self) -> None:
        """Let running calls end, drop those that wait, and end the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)
