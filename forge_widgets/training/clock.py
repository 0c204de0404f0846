"""A producer's clock: wall time that never falls and never jumps.

Anchored once to the wall clock, it goes on by the monotonic one, so that a wall clock set forward or back in mid-training
moves nothing. The publisher's thread is its only caller.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable

TICK_S = 1e-6


def suspended_s() -> float:
    """Return the seconds this machine has slept since it started, 0 where that can't be known: monotonic time leaves them out."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


class ProducerClock:
    """Turns moments of the monotonic clock into timestamps.

    Args:
        wall: seconds since the epoch.
        elapsed: the monotonic clock that emits are stamped with.
        asleep: seconds that ``elapsed`` did not count because the machine slept.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
        asleep: Callable[[], float] = suspended_s,
    ) -> None:
        self._asleep = asleep
        # Wall time at zero of the monotonic clock, sleep left out.
        self._anchor = wall() - elapsed() - asleep()
        self._elapsed = elapsed
        self._slept = asleep()
        self._last = 0.0

    def seed(self, newest: float) -> None:
        """Go on from the newest timestamp of a log that this producer joins, if that lies ahead of this clock.

        What was emitted before this call, and is stamped after it, comes behind that timestamp too.
        """
        ahead = newest + TICK_S - self.now()
        if ahead > 0:
            self._anchor += ahead
            self._last = max(self._last, newest)

    def now(self) -> float:
        """Return the present as a timestamp."""
        return self._anchor + self._slept + self._elapsed()

    def refresh(self) -> None:
        """Count the time the machine has slept since the last call."""
        self._slept = max(self._slept, self._asleep())

    def stamp(self, moment: float) -> float:
        """Return the timestamp of a moment of the monotonic clock: greater than the one before it."""
        self._last = max(self._anchor + self._slept + moment, self._last + TICK_S)
        return self._last

    def stamps(self, moments: Iterable[float]) -> array[float]:
        """Return the timestamps of moments, in order."""
        # 2 µs for 25 instead of 5 for one by one.
        zero, last = self._anchor + self._slept, self._last
        stamped = []
        for moment in moments:
            earliest, last = last + TICK_S, zero + moment
            if last < earliest:
                last = earliest
            stamped.append(last)
        self._last = last
        return array("d", stamped)
