"""What does this viewer get next? The sans-I/O heart of all three transports.

A SessionLog is what a reader holds of one session: its state, its curves, and bounded tails of its records. A viewer is
only a cursor: ``frame(cursor, detail)`` gives whatever came since as one frame: record by record, or, where that would be
more than the viewer takes at once, coalesced. Server and kernel feed it from a store; it never reads one itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from forge_widgets.core.curves import Curve
from forge_widgets.core.events import Event, Record, is_lifecycle, length
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import StepBlock

MAX_ROWS = 2_000
"""Records in a delta frame, rows counted one by one, however fast the link: what is more comes coalesced."""

MAX_EVENTS = 1_000
"""Lifecycle events that a reader holds besides: so many may lie behind a viewer that is told of all of them."""


class Detail(Struct, frozen=True):
    """How much a viewer takes at once."""

    # Rows and events of a delta frame; what is more is coalesced.
    rows: int = MAX_ROWS
    # Points of all curves together in a coalesced frame; a line keeps some even where there are very many.
    points: int = 4_000
    # The same in a key frame that it begins with, or that refines its curves. None: all that the reader has.
    opening: int | None = None


FINE = Detail()
"""What a viewer on a good link takes."""

COARSE = Detail(rows=50, points=240, opening=240)
"""What a viewer takes whose link is slow: some 6 KB as text."""

SPARING = Detail(opening=4_000)
"""What goes through a kernel that has a training to run besides."""

UNASKED = Detail(points=1_000, opening=1_000)
"""What a kernel pushes unasked: most pages have a better transport, and let it pass."""


class Cursor(Struct, frozen=True, gc=False):
    """A position in a log: the last offset that was applied, in one incarnation of the log."""

    epoch: str
    offset: int


class Slice(Struct, frozen=True):
    """A run of a log as a store gives it."""

    epoch: str
    # The oldest offset still kept, and the newest; top is 0 where nothing is recorded.
    floor: int
    top: int
    records: Sequence[Record]
    # The state just before the floor: what the fold of the records that are kept begins with.
    base: State = State()


class Opening(Struct, frozen=True):
    """Where a long log stands, without its rows: what a reader begins with that does not want to read them all."""

    epoch: str
    top: int
    state: State
    # The state just before the oldest offset that is kept.
    base: State
    # The least and the greatest of buckets of rows of the state's attempt, for each metric and model.
    curves: Sequence[Curve]
    # The newest lifecycle events, MAX_EVENTS at most, in order, and the offset after which none is missing.
    events: Sequence[Record]
    eventful_from: int
    # The newest records, MAX_ROWS offsets or a little more.
    tail: Sequence[Record]


class Happening(Struct, frozen=True, gc=False):
    """A lifecycle event, and the state just before and just after it."""

    record: Record
    event: Event
    before: State
    after: State


class Frame(Struct, frozen=True):
    """What a viewer is sent: the offsets ``first..last`` and what is in them.

    A key frame replaces all that the viewer has; a delta frame is applied iff first <= cursor + 1 <= last. A coalesced
    frame is a key frame for a viewer whose cursor is known: it leaves no event out, and rows only as points of a curve.
    """

    epoch: str
    first: int
    last: int
    key: bool
    # State at ``last``: what a key frame carries.
    state: State
    # In order: all records of a delta frame, the lifecycle events of a coalesced one, nothing in other key frames.
    records: Sequence[Record]
    # In a key frame: False where the viewer asked to go on from a cursor that could not be honoured.
    recovered: bool = True
    # In a key frame: about how many points its curves hold together; None: all that there are.
    points: int | None = None
    # Rows that a coalesced frame stands for; 0 in others.
    coalesced: int = 0
    # In a key frame: step rows of the state's attempt that its curves lack, since they lie before the log's floor.
    trimmed: int = 0


class SessionLog:
    """What a reader holds of one session."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        # "" until something was read.
        self.epoch = ""
        # The newest offset that was applied.
        self.top = 0
        self.state = State()
        self.series = Series()
        # The state that the fold began with: what lies before it was never seen here.
        self._base = State()
        # The newest records, MAX_ROWS offsets or a little more.
        self._tail: deque[Record] = deque()
        self._tail_rows = 0
        # The newest lifecycle events, and the offset after which none is missing.
        self._events: deque[Happening] = deque()
        self._eventful_from = 0
        # Those from before the log was begun with an opening, whose states are not known, and the offset where that ended.
        self._earlier_events: Sequence[Record] = ()
        self._folded_from = 0

    def apply(self, read: Slice) -> bool:
        """Take what a store has after ``top``. Return True where something changed.

        Another epoch, or a floor above what was expected, starts afresh.
        """
        before = self.cursor
        if read.epoch != self.epoch or read.floor > self.top + 1:
            self.__init__(self.session_id)  # type: ignore[misc]
            self.epoch = read.epoch
            self.top = self._eventful_from = max(0, read.floor - 1)
            self.state = self._base = read.base
        for record in read.records:
            if record.last > self.top:
                # What was read before may be a part of a larger record by now (stores.compaction).
                self._take(record.after(self.top))
        return self.cursor != before

    def begin(self, opening: Opening) -> None:
        """Begin a log that nothing was read of yet where a store says that it stands; what comes then is applied as ever."""
        self.epoch, self.top, self.state = opening.epoch, opening.top, opening.state
        self._base, self._eventful_from, self._folded_from = opening.base, opening.eventful_from, opening.top
        for curve in opening.curves:
            points = list(zip(curve.steps, curve.values, strict=True))
            self.series.load(curve.metric, curve.model, points, curve.rows)
        self._earlier_events = opening.events
        self._tail.extend(opening.tail)
        self._tail_rows = sum(length(record.body) for record in opening.tail)

    def frame(self, cursor: Cursor | None, detail: Detail = FINE, *, refines: bool = False) -> Frame | None:
        """Return what comes after a cursor, None where nothing is new.

        A delta frame where the viewer takes so much at once, else a coalesced one; a key frame without a cursor (None),
        and for one that can't be honoured. ``refines``: the curves afresh, whether anything is new or not.
        """
        if cursor is None:
            return self._key_frame(detail.opening)
        events = self.events_after(cursor)
        if events is None:
            return self._key_frame(detail.opening, recovered=False)
        if cursor.offset == self.top and not refines:
            return None
        behind = self.top - cursor.offset
        if refines or behind > detail.rows or cursor.offset + 1 < self._tail_start():
            points = detail.opening if refines else detail.points
            return self._key_frame(points, events, coalesced=behind - len(events))
        records = [record.after(cursor.offset) for record in self._tail if record.last > cursor.offset]
        return Frame(self.epoch, cursor.offset + 1, self.top, False, self.state, records)

    def events_after(self, cursor: Cursor) -> list[Record] | None:
        """Return the lifecycle events after a cursor; None where some that are no longer held may be among them."""
        if cursor.epoch != self.epoch or not self._eventful_from <= cursor.offset <= self.top:
            return None
        earlier = [record for record in self._earlier_events if record.offset > cursor.offset]
        return [*earlier, *(happening.record for happening in self._newer(cursor))]

    def happenings_after(self, cursor: Cursor) -> list[Happening] | None:
        """Return the lifecycle events after a cursor with their states; None where these are not known of some of them."""
        known_from = max(self._eventful_from, self._folded_from)
        if cursor.epoch != self.epoch or not known_from <= cursor.offset <= self.top:
            return None
        return self._newer(cursor)

    def _newer(self, cursor: Cursor) -> list[Happening]:
        newer: list[Happening] = []
        for happening in reversed(self._events):
            if happening.record.offset <= cursor.offset:
                break
            newer.append(happening)
        newer.reverse()
        return newer

    @property
    def newest_event(self) -> int:
        """The offset of the newest lifecycle event that is held; 0 where none is."""
        newest = self._events[-1].record if self._events else next(reversed(self._earlier_events), None)
        return 0 if newest is None else newest.offset

    @property
    def cursor(self) -> Cursor:
        """The position just after the newest record."""
        return Cursor(self.epoch, self.top)

    def _key_frame(
        self, points: int | None, events: Sequence[Record] = (), *, recovered: bool = True, coalesced: int = 0
    ) -> Frame:
        trimmed = self._base.rows if self._base.attempt == self.state.attempt else 0
        return Frame(self.epoch, 1, self.top, True, self.state, events, recovered, points, coalesced, trimmed)

    def _tail_start(self) -> int:
        return self._tail[0].offset if self._tail else self.top + 1

    def _take(self, record: Record) -> None:
        if record.attempt > self.state.attempt:
            self.series = Series()
        before, self.state = self.state, fold(self.state, record)
        if record.attempt == self.state.attempt:
            self._draw(record)
        self.top = record.last
        if isinstance(record.body, Event) and is_lifecycle(record):
            self._events.append(Happening(record, record.body, before, self.state))
            if len(self._events) > MAX_EVENTS:
                self._eventful_from = self._events.popleft().record.offset
        self._tail.append(record)
        self._tail_rows += length(record.body)
        while self._tail_rows - length(self._tail[0].body) >= MAX_ROWS:
            self._tail_rows -= length(self._tail.popleft().body)

    def _draw(self, record: Record) -> None:
        if isinstance(record.body, StepBlock):
            self.series.add_block(record.body)
        elif record.body.event_type == "step_update":
            self.series.add_row(record.body.metrics)
