"""Whatever happens between producers, a store, its readers and their viewers, in any order: nothing is lost or repeated.

Producers repeat, skip and die; readers start again; viewers come late, lose frames, get them twice, change readers, and
wait in the middle of it. After each step every viewer holds an unbroken run of offsets from its snapshot on, and the fold
of what it holds is the fold of the log.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from msgspec.structs import replace

from forge_widgets.core.events import Batch, Body, Event, Producer, Record, length
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import StepBlock, block_of
from forge_widgets.core.subscription import Cursor, Frame, SessionLog
from forge_widgets.errors import SequenceGap
from forge_widgets.stores.memory import MemoryStore

SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=4)


class Writer:
    """A producer and what it was told is durable."""

    def __init__(self, name: str) -> None:
        self.producer = Producer(id=name)
        # Sequence number of its next event or row.
        self.next = 1
        # Its newest batch that the store has acknowledged.
        self.last: Batch | None = None

    def batch(self, bodies: list[Body], sequence: int | None = None) -> Batch:
        return Batch(producer=self.producer, sequence=self.next if sequence is None else sequence, bodies=bodies)


class Viewer:
    """A client of docs/PROTOCOL.md: what it has applied, and the reader that it is connected to."""

    def __init__(self, reader: SessionLog) -> None:
        self.reader = reader
        self.cursor: Cursor | None = None
        self.state = State()
        # The offset of its newest snapshot, and each offset that it applied since.
        self.base = 0
        self.applied: list[int] = []

    def apply(self, frame: Frame) -> None:
        if frame.key:
            self.base, self.applied, self.state = frame.last, [], frame.state
        elif self.cursor is not None and frame.epoch == self.cursor.epoch and frame.first <= self.cursor.offset + 1:
            if frame.last <= self.cursor.offset:
                return
            news = [record for record in frame.records if record.last > self.cursor.offset]
            self.applied += [
                offset
                for record in news
                for offset in range(max(record.offset, self.cursor.offset + 1), record.last + 1)
            ]
            self.state = fold_all(self.state, news)
        else:
            return  # a hole: it asks again from its cursor
        self.cursor = Cursor(frame.epoch, frame.last)


class Stream(RuleBasedStateMachine):
    """One session, its producers, two readers of it, and any number of viewers."""

    writers: Bundle[Writer] = Bundle("writers")
    viewers: Bundle[Viewer] = Bundle("viewers")

    @initialize(target=viewers)
    def begin(self) -> Viewer:
        self.store = MemoryStore("machine")
        self.readers = [SessionLog("s"), SessionLog("s")]
        # How many offsets were acknowledged.
        self.acknowledged = 0
        self.clock = 0.0
        self.watching: list[Viewer] = [Viewer(self.readers[0])]
        self.names = 0
        return self.watching[0]

    @initialize(target=writers)
    def begin_to_train(self) -> Writer:
        return Writer("p0")

    @rule(target=writers, starts=st.booleans())
    def join(self, *, starts: bool) -> Writer:
        """A training begins, or a rank of one reports for the first time."""
        self.names += 1
        writer = Writer(f"p{self.names}")
        if starts:
            self.clock += 1
            self._publish(writer, [Event(event_type="training_started", timestamp=self.clock)])
        return writer

    @rule(writer=writers, sizes=SIZES, slow=st.sets(st.integers(0, 3)))
    def publish(self, writer: Writer, sizes: list[int], slow: set[int]) -> None:
        """A training goes on, and is followed by all viewers that are not slow."""
        self._publish(writer, self._bodies(sizes))
        for place, viewer in enumerate(self.watching):
            if place not in slow:
                self._deliver(viewer, 1)

    @rule(writer=writers)
    def repeat(self, writer: Writer) -> None:
        """The acknowledgement was lost, and the producer sends again."""
        if writer.last is not None:
            receipt = self.store.append("s", writer.last)
            assert receipt.repeated == sum(map(length, writer.last.bodies))

    @rule(writer=writers, sizes=SIZES)
    def overlap(self, writer: Writer, sizes: list[int]) -> None:
        """It sends again what it had, and something new behind it."""
        if writer.last is not None:
            bodies = [*writer.last.bodies, *self._bodies(sizes)]
            self.store.append("s", writer.batch(bodies, writer.last.sequence))
            self._acknowledge(writer, writer.batch(bodies[len(writer.last.bodies) :]))

    @rule(writer=writers, skipped=st.integers(1, 3))
    def reorder(self, writer: Writer, skipped: int) -> None:
        """A later batch overtakes the one before it: nothing of it is applied."""
        if writer.last is not None:
            with pytest.raises(SequenceGap) as caught:
                self.store.append("s", writer.batch(self._bodies([2]), writer.next + skipped))
            assert caught.value.expected == writer.next

    @rule(writer=consumes(writers))
    def crash(self, writer: Writer) -> None:
        """A producer is never heard of again."""

    @rule(which=st.integers(0, 1))
    def restart_reader(self, which: int) -> None:
        """A server is killed and started again: its viewers are its no more, and keep their cursors."""
        old, self.readers[which] = self.readers[which], SessionLog("s")
        for viewer in self.watching:
            if viewer.reader is old:
                viewer.reader = self.readers[which]

    @rule(target=viewers, which=st.integers(0, 1))
    def watch(self, which: int) -> Viewer:
        self.watching.append(Viewer(self.readers[which]))
        return self.watching[-1]

    @rule(viewer=viewers, times=st.integers(1, 2))
    def deliver(self, viewer: Viewer, times: int) -> None:
        self._deliver(viewer, times)

    @rule(viewer=viewers)
    def lose(self, viewer: Viewer) -> None:
        """A frame is lost on the way; the next one is asked for from the cursor."""
        self._frame(viewer)

    @rule(viewer=viewers, writer=writers, sizes=SIZES)
    def deliver_out_of_order(self, viewer: Viewer, writer: Writer, sizes: list[int]) -> None:
        """Two transports deliver while one takes over from the other: the newer frame first, then the older."""
        older = self._frame(viewer)
        self._publish(writer, self._bodies(sizes))
        newer = self._frame(viewer)
        for frame in (newer, older):
            # An older key frame of the same log never moves a view backwards.
            behind = frame is not None and viewer.cursor is not None and frame.last < viewer.cursor.offset
            if frame is not None and not (frame.key and behind):
                viewer.apply(frame)

    @rule(viewer=viewers)
    def change_reader(self, viewer: Viewer) -> None:
        """It goes on at another server, which has its own view of the same log."""
        viewer.reader = self.readers[viewer.reader is self.readers[0]]

    @rule(viewer=viewers, back=st.integers(1, 8))
    def go_back(self, viewer: Viewer, back: int) -> None:
        """It had noted an earlier cursor, perhaps inside a block, and goes on from there."""
        if viewer.cursor is not None and viewer.applied:
            at = max(viewer.base, viewer.cursor.offset - back)
            viewer.cursor = Cursor(viewer.cursor.epoch, at)
            viewer.applied = [offset for offset in viewer.applied if offset <= at]
            viewer.state = fold_all(State(), up_to(self._records(), at))

    @rule(viewer=consumes(viewers))
    def leave(self, viewer: Viewer) -> None:
        self.watching.remove(viewer)

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        records = self._records()
        offsets = [offset for record in records for offset in range(record.offset, record.last + 1)]
        assert offsets == list(range(1, self.acknowledged + 1))
        for viewer in self.watching:
            at = 0 if viewer.cursor is None else viewer.cursor.offset
            assert viewer.applied == list(range(viewer.base + 1, at + 1))
            assert viewer.state == fold_all(State(), up_to(records, at))

    def teardown(self) -> None:
        """Let everything heal: every viewer ends with the newest state, and then has nothing more to get."""
        for viewer in getattr(self, "watching", []):
            while (frame := self._frame(viewer)) is not None:
                viewer.apply(frame)
                if not frame.last:
                    break
            snapshot = self.store.snapshot("s")
            assert viewer.state == (State() if snapshot is None else snapshot.state)

    def _deliver(self, viewer: Viewer, times: int) -> None:
        frame = self._frame(viewer)
        for _ in range(times):
            if frame is not None:
                viewer.apply(frame)

    def _bodies(self, sizes: list[int]) -> list[Body]:
        """Build bodies: 0 is an event, n a block of n rows."""
        bodies: list[Body] = []
        for size in sizes:
            self.clock += 10
            rows = [
                (self.clock + step, {"currentStep": float(step), "loss": self.clock - step}) for step in range(size)
            ]
            event = Event(event_type="phase_completed", timestamp=self.clock, name=f"phase {self.clock}")
            bodies.append(block_of(rows) if rows else event)
        return bodies

    def _publish(self, writer: Writer, bodies: list[Body]) -> None:
        batch = writer.batch(bodies)
        self.store.append("s", batch)
        self._acknowledge(writer, batch)

    def _acknowledge(self, writer: Writer, batch: Batch) -> None:
        count = sum(map(length, batch.bodies))
        writer.last = batch
        writer.next += count
        self.acknowledged += count

    def _frame(self, viewer: Viewer) -> Frame | None:
        """Let a viewer's reader read what there is, and ask it for what comes after the viewer's cursor."""
        # What the reader has already comes again at times: reads may overlap.
        read = self.store.read("s", max(0, viewer.reader.top - 2))
        if read is not None:
            viewer.reader.apply(read)
        frame = viewer.reader.frame(viewer.cursor)
        if frame is not None and not frame.key:
            assert viewer.cursor is not None
            assert frame.first == viewer.cursor.offset + 1
            told = [offset for record in frame.records for offset in range(record.offset, record.last + 1)]
            assert told == list(range(frame.first, frame.last + 1))
        return frame

    def _records(self) -> list[Record]:
        read = self.store.read("s", 0)
        return [] if read is None else list(read.records)


def up_to(records: list[Record], offset: int) -> list[Record]:
    """Return what of the records lies at or before an offset, the part of a block that does."""
    kept = [record for record in records if record.offset <= offset]
    if kept and kept[-1].last > offset and isinstance(kept[-1].body, StepBlock):
        kept[-1] = replace(kept[-1], body=kept[-1].body.slice(0, offset - kept[-1].offset + 1))
    return kept


TestStream = pytest.mark.slow(Stream.TestCase)
TestStream.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
