"""Wait for an event, but not for ever. Called by the tasks of viewers and of watched sessions.

Not asyncio.wait_for: before Python 3.12 it may swallow a cancellation that comes together with the event, and a task that
misses its cancellation would follow a session that nobody watches.
"""

from __future__ import annotations

import asyncio


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set; set it oneself once the time is over. Whoever waits clears it and looks what there is."""
    timer = asyncio.get_running_loop().call_later(max(0.0, seconds), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
