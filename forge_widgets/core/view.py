"""What one viewer of our own protocol is due, and when: frames at a distance, finer curves.

Sans-I/O: moments, and what is known of log and link, come in; what is to be asked for goes out. One for each viewer that
frames are pushed to; server/pump.py does what it says.
"""

from __future__ import annotations

import math

from forge_widgets.core.brief import Brief, Ending, Wish
from forge_widgets.core.refinement import Refinement
from forge_widgets.core.subscription import Cursor, Detail

OUTLINES_APART = 2
"""Of rows that come very fast (extremes.HALVED_PER_S) a viewer is sent every second frame; an event waits for no more than one."""

LATE = 0.125
"""The moments of a stream lie so much of a spacing after its first frame: what is recorded in step with it is there by then, and
not just missed (the newest row of a frame was 30 ms old, half of the time, instead of 15)."""

Asked = tuple[Cursor | None, Detail, bool, Wish | None, Ending | None]
"""What a viewer is to be sent: what comes after a cursor, how much at once, whether it refines, whether in brief, and what the
next frame in brief can go on from."""


def key_of(asked: Asked) -> tuple[object, ...]:
    """Return what all who are sent the same have in common."""
    ending = asked[4]
    return *asked[:4], None if ending is None else ending.token


class Rhythm:
    """The moments at which a session's viewers are sent frames, so that those who came at different times share them.

    Frames of one viewer are half a spacing apart at least, and on the average no less than one.
    """

    __slots__ = ("_began_at", "_newest_at", "next", "spacing_s")

    def __init__(self, spacing_s: float) -> None:
        self.spacing_s = spacing_s
        # The moment for the next frame of whoever is sent one now.
        self.next = -math.inf
        self._began_at = 0.0
        self._newest_at = -math.inf

    def sent(self, now: float) -> None:
        """Note that frames are sent now; after a quiet while the moments are counted from here."""
        if now == self._newest_at:
            return
        if now - self._newest_at > 2 * self.spacing_s:
            self._began_at = now + LATE * self.spacing_s
        self._newest_at = now
        self.next = self.after(now, self.spacing_s)

    def after(self, now: float, pause_s: float) -> float:
        """Return the moment that is nearest to a pause after now."""
        moments = math.ceil((now + pause_s - self._began_at) / self.spacing_s - 0.5)
        return self._began_at + moments * self.spacing_s


class View:
    """What one viewer has, and is due."""

    __slots__ = (
        "_event_alone_until",
        "_refinement",
        "cursor",
        "ending",
        "not_before",
        "owes_heartbeat",
        "shapes",
        "wish",
    )

    def __init__(self, wish: Wish | None, now: float) -> None:
        # What it has; None: nothing yet.
        self.cursor: Cursor | None = None
        # What its next frame in brief can go on from: the end of the one before it on this connection.
        self.ending: Ending | None = None
        # How it takes rows in brief; and the shapes that it was told of, a bit each.
        self.wish = wish
        self.shapes = 0
        # Whether a heartbeat is still to be sent: the first one follows the first frame.
        self.owes_heartbeat = True
        # No frame before this, and none without an event in it before that.
        self.not_before = now
        self._event_alone_until = now
        # None while its curves have all the points that there are.
        self._refinement: Refinement | None = None

    def start(self, cursor: Cursor | None, now: float, *, coarse: bool) -> None:
        """Go on from where the viewer says that it stands; ``coarse``: its curves came in few points."""
        self.cursor, self.ending = cursor, None
        self._refinement = Refinement(now, coarse=True) if coarse else None

    def asks(self, now: float, top: Cursor, newest_event: int, detail: Detail) -> Asked | None:
        """Return what to ask for now; None where nothing is due. ``top``: where the log ends; ``detail``: what the link takes."""
        if now < self.not_before:
            return None
        if self._refinement is not None and (finer := self._refinement.due(now, detail)) is not None:
            return self.cursor, finer, True, self.wish, self.ending
        if self.cursor is top or self.cursor == top or now < self._frame_at(newest_event):
            return None
        return self.cursor, detail, False, self.wish, self.ending

    def waits_until(self, now: float, top: Cursor, newest_event: int) -> float:
        """Return when to ask again although nothing changes; never, while all has been sent."""
        refining = math.inf if self._refinement is None else max(self.not_before, now + self._refinement.pause_s)
        if self.cursor is top or self.cursor == top:
            return refining
        return min(refining, self._frame_at(newest_event))

    def had(self, cursor: Cursor, brief: Brief | None, now: float, rhythm: Rhythm, pause_s: float) -> None:
        """Note a frame that is sent now, where it leads, and how long the link wants the next to stay away."""
        self.cursor, self.ending = cursor, None if brief is None else brief.ending
        rhythm.sent(now)
        self.not_before = rhythm.next if pause_s <= rhythm.spacing_s else rhythm.after(now, pause_s)
        self._event_alone_until = self.not_before
        if brief is not None and brief.halved:
            self._event_alone_until = max(self.not_before, rhythm.after(now, OUTLINES_APART * rhythm.spacing_s))

    def had_curves(self, now: float, *, coarse: bool, refines: bool) -> None:
        """Note that the frame is a key frame: its curves are what the viewer has now."""
        self._refinement = None
        if coarse:
            self._refinement = Refinement(now, coarse=True)
            self._refinement.sent(now, coarse=True, refines=refines)

    def _frame_at(self, newest_event: int) -> float:
        """Return when a frame may be sent: sooner where it holds an event."""
        eventful = self.cursor is None or newest_event > self.cursor.offset
        return self.not_before if eventful else self._event_alone_until
