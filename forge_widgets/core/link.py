"""How much may be on its way to a viewer, and how much it takes at once: judged by what it has acknowledged, and when.

Sans-I/O: bytes and moments come in, the marks to be acknowledged go out. Buffers between here and a viewer hold seconds of
a slow link, so only an answer tells what has arrived. One for each socket, asked before each frame (server/pump.py).
"""

from __future__ import annotations

from msgspec import Struct

from forge_widgets.core.subscription import COARSE, FINE, Detail

LEAST_WINDOW = 12_000
FIRST_WINDOW = 16_000
MOST_WINDOW = 256_000
"""Bytes that may be on their way: at least, before anything is known of the link, and at most."""

QUEUE_S = 0.4
"""What is on its way beyond what the distance itself takes: so many seconds of the link at most."""

JITTER_S = 0.1
"""So much later than others the first answer may come: a page that opens keeps a machine busy, which says nothing of a link."""

MOST_PAUSE_S = 1.0
"""Between two frames at most, where there is room on the link."""

MARK_BYTES = 4_000
MARK_S = 1.0
"""A mark is set after so many bytes; after so many seconds one that says something of the link is enough (SAMPLE_BYTES). A mark
and its answer take 10 bytes: twice a second they were an eighth of what a viewer is sent of 10 steps a second."""

SAMPLE_BYTES = 2_000
"""Less than this on its way says nothing of a link."""

NEWEST_SHARE = 0.25
"""What the newest judgement counts for: a link that jitters is not another one each time."""

GROWTH = 1.25
"""How much more is tried after each answer that came without delay."""

GREETING_S = 0.25
"""A viewer that takes longer to acknowledge a greeting has a slow link until it shows another."""

SLOW_BYTES_PER_S = 100_000
PRESUMED_BYTES_PER_S = 20_000
"""Below the first a link is slow; the second is taken of one that was slow to greet."""


class Mark(Struct, frozen=True):
    """A place in what was sent, to be acknowledged."""

    name: bytes
    # Bytes sent up to here, and of those still on their way then.
    sent: int
    flying: int
    # When, on the caller's clock.
    at: float
    # By how much the newest answer was late then, in seconds.
    late_s: float


class Link:
    """The way to one viewer."""

    # A server holds one for each viewer: with slots, and a list for the few marks, 0.3 KB instead of 1.5.
    __slots__ = (
        "_arrived",
        "_byte_s",
        "_distance_s",
        "_grew_at",
        "_judgements",
        "_late_s",
        "_marked",
        "_marked_at",
        "_marks",
        "_names",
        "_newest",
        "_presumed",
        "_sent",
        "_sent_at",
    )

    def __init__(self) -> None:
        self._sent = 0
        self._arrived = 0
        # When something was sent last.
        self._sent_at = float("-inf")
        # Bytes sent last.
        self._newest = 0
        # Not acknowledged yet, the oldest first.
        self._marks: list[Mark] = []
        self._marked = 0
        self._names = 0
        self._marked_at = float("-inf")
        # The shortest time that an answer took: the distance. None before the first.
        self._distance_s: float | None = None
        # What each byte takes of the link, smoothed; None before anything is known.
        self._byte_s: float | None = None
        # Whether that is presumed, how often it was judged, and by how much the newest answer was late.
        self._presumed = False
        self._judgements = 0
        self._late_s = 0.0
        # When more was tried last.
        self._grew_at = float("-inf")

    def sent(self, size: int, now: float) -> bytes | None:
        """Note that so many bytes were sent. Return the name of a mark to set behind them, None where none is due."""
        if now - self._sent_at >= MARK_S and not self._marks:
            # So little that it was not worth a mark, and so long ago: it has arrived. Frames of a few hundred bytes now and
            # then need no answer at all, which would cost a server more than the frames.
            self._arrived = self._sent
        self._sent += size
        self._sent_at = now
        self._newest = size
        unmarked = self._sent - max(self._marked, self._arrived)
        if self._marked and unmarked < (SAMPLE_BYTES if now - self._marked_at >= MARK_S else MARK_BYTES):
            return None
        # One byte: so many are never on their way that two would have the same.
        self._names = (self._names + 1) % 256
        mark = Mark(bytes([self._names]), self._sent, self._sent - self._arrived, now, self._late_s)
        self._marked, self._marked_at = self._sent, now
        self._marks.append(mark)
        return mark.name

    def acknowledged(self, name: bytes, now: float) -> bool:
        """Note that a mark has arrived, and all before it. False where it is none that is waited for."""
        place = next((place for place, mark in enumerate(self._marks) if mark.name == name), None)
        if place is None:
            return False
        mark = self._marks[place]
        del self._marks[: place + 1]
        self._arrived = mark.sent
        took = now - mark.at
        self._distance_s = took if self._distance_s is None else min(self._distance_s, took)
        self._late_s = took - self._distance_s
        if mark.flying >= SAMPLE_BYTES:
            self._byte_s = self._judged(mark, now)
            self._judgements += 1
        return True

    def _judged(self, mark: Mark, now: float) -> float:
        """Judge anew what a byte takes, after an answer that came now."""
        took = now - mark.at
        # A presumption is refuted by an answer that comes as fast as a greeting should have been acknowledged.
        if self._byte_s is None or (self._presumed and took < GREETING_S):
            self._presumed = False
            return max(0.0, self._late_s - JITTER_S) / mark.flying
        if self._judgements == 1 and not self._presumed:
            # The first alone may have come from a busy machine.
            return min(self._byte_s, self._late_s / mark.flying)
        # One late answer may come from a machine that stood still for a moment: a queue is what stood before, too.
        queued_s = min(self._late_s, mark.late_s)
        if queued_s >= QUEUE_S:
            # A queue that stands says what the link carries.
            return (1 - NEWEST_SHARE) * self._byte_s + NEWEST_SHARE * took / mark.flying
        if mark.at < self._grew_at:
            # It was sent before more was tried, and says nothing of that.
            return self._byte_s
        # Without a queue all arrives as soon as the distance lets it: the link may carry more.
        self._grew_at = now
        return max(queued_s / mark.flying, self._byte_s / GROWTH)

    def presume_slow(self) -> None:
        """Take the link for slow until it shows that it is not."""
        if self._judgements == 0:
            self._presumed = True
            self._byte_s = 1 / PRESUMED_BYTES_PER_S

    @property
    def newest_mark(self) -> bytes:
        """The name of the newest mark that is not acknowledged yet; b"" where there is none."""
        return self._marks[-1].name if self._marks else b""

    @property
    def presumed(self) -> bool:
        """Whether it is only presumed to be slow."""
        return self._presumed

    @property
    def greeted(self) -> bool:
        """Whether nothing that was sent waits to be acknowledged."""
        return not self._marks

    @property
    def full(self) -> bool:
        """Whether so much is on its way that the next frame has to wait for an acknowledgement."""
        flying = self._sent - self._arrived
        return flying >= LEAST_WINDOW and flying >= self._window and bool(self._marks)

    @property
    def pause_s(self) -> float:
        """Seconds to leave between what was sent last and the next, so that frames come evenly and not in bunches."""
        return min(MOST_PAUSE_S, self._newest * self._byte_s) if self._byte_s else 0.0

    @property
    def detail(self) -> Detail:
        """How much the viewer takes at once."""
        return COARSE if self._byte_s is not None and self._byte_s * SLOW_BYTES_PER_S > 1 else FINE

    @property
    def _window(self) -> float:
        if self._byte_s is None:
            return FIRST_WINDOW
        distance_s = GREETING_S if self._distance_s is None else self._distance_s
        carried = (distance_s + QUEUE_S) / self._byte_s if self._byte_s > 0 else MOST_WINDOW
        return max(LEAST_WINDOW, min(MOST_WINDOW, carried))
