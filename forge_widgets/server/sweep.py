"""One timer for all WebSockets of a server: each line is asked now and then what it is due, a ping or a look at its pong.

Made and closed by ``app``; lines enter when they begin and leave when they end. While there is none there is no timer either.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

LOOKS_A_PERIOD = 16
"""A line is looked at so many times in the shortest of its periods: late by no more than a sixteenth of that."""


class Swept(Protocol):
    """What is looked at."""

    def look(self, now: float) -> None:
        """Do what is due at a moment of the monotonic clock."""

    def abandon(self) -> None:
        """End the connection at once."""


class Sweep:
    """The lines of a server."""

    def __init__(self, period_s: float, log: logging.Logger) -> None:
        self._every_s = period_s / LOOKS_A_PERIOD
        self._log = log
        self._lines: set[Swept] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, line: Swept) -> None:
        """Look at a line from now on."""
        self._lines.add(line)
        if self._timer is None:
            self._arm()

    def leave(self, line: Swept) -> None:
        """Look at a line no longer."""
        self._lines.discard(line)

    def close(self) -> None:
        """Look no more, and end the connections of all who have not answered a farewell by now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for line in tuple(self._lines):
            line.abandon()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for line in tuple(self._lines):
            self._look_at(line, now)
        if self._lines:
            self._arm()
        else:
            self._timer = None

    def _look_at(self, line: Swept, now: float) -> None:
        try:
            line.look(now)
        except Exception:  # noqa: BLE001 - the edge of the timer: no other line, and no later look, is to be left out
            self._log.exception("a connection could not be looked at")
            line.abandon()
