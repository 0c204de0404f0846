"""When is a viewer whose curves have few points sent more? As soon as its link bears it.

Sans-I/O: moments and what is known of the link come in, what is due goes out. One for each viewer that frames are pushed to
(core/view.py).
"""

from __future__ import annotations

import math

from forge_widgets.core.subscription import COARSE, SPARING, Detail

REFINE_S = 1.0
"""So long after its last coarse frame a viewer on a good link is sent all points that there are."""

REFINE_SLOW_S = 30.0
"""The same on a slow one, once and but SPARING: it costs some freshness."""


class Refinement:
    """What a viewer's curves lack."""

    __slots__ = ("_coarse_at", "_spared")

    def __init__(self, now: float, *, coarse: bool) -> None:
        """Begin with what the viewer says of the curves that it has."""
        # Since when it has had fewer points than there are; None while it has all.
        self._coarse_at = now if coarse else None
        # True once it has as many as a slow link is sent.
        self._spared = False

    def due(self, now: float, detail: Detail) -> Detail | None:
        """Return how much the viewer is to be sent afresh now, by how much its link takes; None while nothing is due."""
        slow = detail is COARSE
        if self._coarse_at is None or (slow and self._spared):
            return None
        if now < self._coarse_at + (REFINE_SLOW_S if slow else REFINE_S):
            return None
        return SPARING if slow else detail

    @property
    def pause_s(self) -> float:
        """Return how long nothing will be due, whatever the link shows meanwhile."""
        return math.inf if self._coarse_at is None else REFINE_S

    def sent(self, now: float, *, coarse: bool, refines: bool) -> None:
        """Note a key frame that was sent."""
        self._coarse_at = now if coarse else None
        self._spared = refines and coarse
