"""The requests that are being answered: those that are there may end, new ones are refused, once the server goes.

The stand-alone guard enters and leaves each; the process closes and waits. Used on the event loop only.
"""

from __future__ import annotations

import asyncio


class InFlight:
    """What a server has still to answer."""

    def __init__(self) -> None:
        # Set once: nothing more is let in.
        self.closing = False
        # Bounded by the open connections: each has one request at a time.
        self._requests: set[object] = set()
        self._left = asyncio.Event()

    def enter(self, request: object) -> None:
        """Count a request until it leaves."""
        self._requests.add(request)

    def leave(self, request: object) -> None:
        """Count a request no longer; its answer is on its way, or nobody is there to hear it."""
        self._requests.discard(request)
        self._left.set()

    async def ended(self, within_s: float) -> None:
        """Refuse new requests, and wait until those that are there have been answered, but not longer than so many seconds."""
        self.closing = True
        timer = asyncio.get_running_loop().call_later(within_s, self._give_up)
        try:
            while self._requests:
                self._left.clear()
                await self._left.wait()
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._requests.clear()
        self._left.set()
