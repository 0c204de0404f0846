"""What does this viewer get next? The sans-I/O heart of all three transports.

A SessionLog is what a reader holds of one session: its state, its curves, and a bounded tail of records. A viewer is
only a cursor: ``frame(cursor)`` gives whatever came since as one frame, or a key frame where the tail does not reach back.
Server and kernel feed it from a store; it never reads one itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from forge_widgets.core.events import Event, Record, length
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import StepBlock

TAIL_ROWS = 20_000
TAIL_RECORDS = 2_000


class Cursor(Struct, frozen=True):
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


class Entry(Struct, frozen=True):
    """A record and the state just after it."""

    record: Record
    state: State


class Frame(Struct, frozen=True):
    """What a viewer is sent: the offsets ``first..last`` and what is in them.

    A key frame replaces all that the viewer has; a delta frame is applied iff first <= cursor + 1 <= last.
    """

    epoch: str
    first: int
    last: int
    key: bool
    # State at ``last``: what a key frame carries.
    state: State
    # Records of a delta frame, in order; empty in a key frame.
    records: Sequence[Record]
    # In a key frame: False where the viewer asked to go on from a cursor that could not be honoured.
    recovered: bool = True


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
        self._tail: deque[Entry] = deque()
        self._tail_rows = 0

    def apply(self, read: Slice) -> bool:
        """Take what a store has after ``top``. Return True where something changed.

        Another epoch, or a floor above what was expected, starts afresh.
        """
        if read.epoch != self.epoch or read.floor > self.top + 1:
            self.__init__(self.session_id)  # type: ignore[misc]
            self.epoch = read.epoch
            self.top = max(0, read.floor - 1)
            self.state = read.base
        before = self.top
        for record in read.records:
            if record.last > self.top:
                self._take(record)
        return self.top != before

    def frame(self, cursor: Cursor | None) -> Frame | None:
        """Return what comes after a cursor: a delta frame, a key frame where that can't be, None where nothing is new."""
        if cursor is None:
            return self._key_frame(recovered=True)
        if cursor.epoch != self.epoch or cursor.offset > self.top or cursor.offset + 1 < self._tail_start():
            return self._key_frame(recovered=False)
        if cursor.offset == self.top:
            return None
        records = [_after(entry.record, cursor.offset) for entry in self._entries_after(cursor.offset)]
        return Frame(self.epoch, cursor.offset + 1, self.top, False, self.state, records)

    def entries_after(self, cursor: Cursor) -> list[Entry] | None:
        """Return the records after a cursor with the state after each; None where the tail does not reach back."""
        if cursor.epoch != self.epoch or cursor.offset > self.top or cursor.offset + 1 < self._tail_start():
            return None
        return self._entries_after(cursor.offset)

    @property
    def cursor(self) -> Cursor:
        """The position just after the newest record."""
        return Cursor(self.epoch, self.top)

    def _key_frame(self, *, recovered: bool) -> Frame:
        return Frame(self.epoch, 1, self.top, True, self.state, (), recovered)

    def _tail_start(self) -> int:
        return self._tail[0].record.offset if self._tail else self.top + 1

    def _entries_after(self, offset: int) -> list[Entry]:
        newer: list[Entry] = []
        for entry in reversed(self._tail):
            if entry.record.last <= offset:
                break
            newer.append(entry)
        newer.reverse()
        return newer

    def _take(self, record: Record) -> None:
        if record.attempt > self.state.attempt:
            self.series = Series()
        self.state = fold(self.state, record)
        if record.attempt == self.state.attempt:
            self._draw(record)
        self.top = record.last
        self._tail.append(Entry(record, self.state))
        self._tail_rows += length(record.body)
        while len(self._tail) > 1 and (self._tail_rows > TAIL_ROWS or len(self._tail) > TAIL_RECORDS):
            self._tail_rows -= length(self._tail.popleft().record.body)

    def _draw(self, record: Record) -> None:
        if isinstance(record.body, StepBlock):
            self.series.add_block(record.body)
        elif record.body.event_type == "step_update":
            self.series.add_row(record.body.metrics)


def _after(record: Record, offset: int) -> Record:
    """Return the part of a record that lies after an offset: a cursor may stand inside a block."""
    skip = offset + 1 - record.offset
    if skip <= 0 or isinstance(record.body, Event):
        return record
    return Record(
        offset=record.offset + skip,
        attempt=record.attempt,
        producer=record.producer,
        sequence=record.sequence + skip,
        body=record.body.slice(skip),
    )
