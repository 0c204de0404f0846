"""When to look into a log that was seen to be written to: at once, and again, since what is written shows later.

Sans-I/O: glimpses and moments come in. A commit is on the disk, and seen there, before it may be read: a look that comes in
between finds nothing. How long that takes only the disk knows, so looks follow each other at a share of the time that passed.
"""

from __future__ import annotations

import math

SEARCHING, SETTLED = 0.25, 1.0
"""The share of the time since the newest writing after which to look again: before something was found, and after."""

FORGOTTEN_S = 2.0
"""So long after the newest writing nothing of it is waited for; whoever looks now and then anyway finds it."""


class Attention:
    """What was seen of one log."""

    __slots__ = ("_looked_at", "_seen", "_share", "_written_at")

    def __init__(self) -> None:
        self._seen: object = None
        self._written_at = -math.inf
        self._looked_at = -math.inf
        self._share = SEARCHING

    def saw(self, glimpse: object, now: float) -> None:
        """Take a glimpse: one that differs from the last means that the log was written to."""
        if glimpse != self._seen:
            self._seen = glimpse
            self._written_at = now
            self._share = SEARCHING

    def looked(self, now: float, *, found: bool) -> None:
        """Note a look that began at a moment, and whether it found something."""
        self._looked_at = now
        if found:
            self._share = SETTLED

    def is_due(self, now: float) -> bool:
        """Say whether it is time to look."""
        passed = now - self._written_at
        return passed <= FORGOTTEN_S and now - self._looked_at >= self._share * passed
