"""Whatever happens between producers, a store, its readers and their viewers, in any order: nothing is lost or repeated.

Producers repeat, skip and die; readers start again; logs are trimmed; viewers come late, lose frames, get them twice,
change readers and transports, take little at once, and wait in the middle of it. After each step every viewer holds an
unbroken run of offsets from its key frame on and was told of every lifecycle event, the fold of what it holds is the fold
of the log, and so is the fold of what is kept on the state before the floor.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from forge_widgets.core.events import Batch, Body, Event, Producer, Record, length
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import FINE, Cursor, Detail, Frame, SessionLog
from forge_widgets.errors import SequenceGap
from forge_widgets.stores.base import Store
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.sqlite import SqliteStore

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
        # How much it takes at once.
        self.detail = FINE
        # The offset of its newest key frame, and each offset that it applied since.
        self.base = 0
        self.applied: list[int] = []
        # The offset that it began at, or where something was lost to it, and each lifecycle event that it was told of since.
        self.since = 0
        self.events: list[int] = []

    def apply(self, frame: Frame) -> None:
        known = self.cursor
        if known is not None and frame.epoch == known.epoch and frame.last <= known.offset:
            return  # the view never goes back
        if frame.key:
            if known is None or not (frame.coalesced or frame.records):
                self.since, self.events = frame.last, []
            else:
                self.events += [record.offset for record in frame.records if record.offset > known.offset]
            self.base, self.applied, self.state = frame.last, [], frame.state
        elif known is not None and frame.epoch == known.epoch and frame.first <= known.offset + 1:
            news = [record.after(known.offset) for record in frame.records if record.last > known.offset]
            self.applied += [offset for record in news for offset in range(record.offset, record.last + 1)]
            self.events += [record.offset for record in news if isinstance(record.body, Event)]
            self.state = fold_all(self.state, news)
        else:
            return  # a hole: it asks again from its cursor
        self.cursor = Cursor(frame.epoch, frame.last)


class Lane:
    """A transport that delivers to a viewer: what it sent last is what it goes on from, in order, whatever others do."""

    def __init__(self, reader: SessionLog, viewer: Viewer) -> None:
        self.reader = reader
        self.cursor = viewer.cursor
        self.on_the_way: list[Frame] = []


class Stream(RuleBasedStateMachine):
    """One session, its producers, two readers of it, and any number of viewers."""

    writers: Bundle[Writer] = Bundle("writers")
    viewers: Bundle[Viewer] = Bundle("viewers")

    def opened(self) -> Store:
        """Give an empty store."""
        return MemoryStore("machine")

    @initialize(target=viewers)
    def begin(self) -> Viewer:
        self.store = self.opened()
        self.readers = [SessionLog("s"), SessionLog("s")]
        # How many offsets were acknowledged, all records that were, and the oldest offset that is kept.
        self.acknowledged = 0
        self.records: list[Record] = []
        self.floor = 1
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
            if frame is not None:
                viewer.apply(frame)

    @rule(viewer=viewers, writer=writers, sizes=SIZES, turns=st.lists(st.integers(0, 3), min_size=1, max_size=12))
    def switch_transport(self, viewer: Viewer, writer: Writer, sizes: list[int], turns: list[int]) -> None:
        """Make before break: two transports send, each in its order, and what they send comes in any order of the two."""
        other = self.readers[viewer.reader is self.readers[0]]
        lanes = (Lane(viewer.reader, viewer), Lane(other, viewer))
        for turn in turns:
            lane = lanes[turn % 2]
            if turn < 2:
                self._publish(writer, self._bodies(sizes[:1]))
                frame = self._frame_of(lane.reader, lane.cursor, viewer.detail)
                if frame is not None:
                    lane.cursor = Cursor(frame.epoch, frame.last)
                    lane.on_the_way.append(frame)
            elif lane.on_the_way:
                viewer.apply(lane.on_the_way.pop(0))
        for frame in lanes[1].on_the_way:  # what the old one still had on the way is lost with it
            viewer.apply(frame)
        viewer.reader = other

    @rule(viewer=viewers, rows=st.integers(1, 12))
    def slow_down(self, viewer: Viewer, rows: int) -> None:
        """Its link takes little at once from now on: what is more comes coalesced."""
        viewer.detail = Detail(rows=rows, points=8, opening=8)

    @rule(viewer=viewers)
    def speed_up(self, viewer: Viewer) -> None:
        viewer.detail = FINE

    @rule(kept=st.integers(0, 30))
    def trim(self, kept: int) -> None:
        """The oldest records are dropped, perhaps all, perhaps past cursors and readers, perhaps in the middle of a block."""
        if self.store.trim("s", self.acknowledged - kept) is not None:
            self.floor = max(self.floor, self.acknowledged - kept + 1)

    @rule(viewer=viewers)
    def change_reader(self, viewer: Viewer) -> None:
        """It goes on at another server, which has its own view of the same log."""
        viewer.reader = self.readers[viewer.reader is self.readers[0]]

    @rule(viewer=viewers, writer=writers, sizes=SIZES, kept=st.integers(0, 4))
    def trim_past(self, viewer: Viewer, writer: Writer, sizes: list[int], kept: int) -> None:
        """Its server is killed, training goes on, the log is trimmed past its cursor, and a new server reads what is left."""
        self._publish(writer, self._bodies(sizes))
        self.trim(kept)
        self.restart_reader(self.readers.index(viewer.reader))
        self._deliver(viewer, 1)

    @rule(viewer=viewers, back=st.integers(1, 8))
    def go_back(self, viewer: Viewer, back: int) -> None:
        """It had noted an earlier cursor, perhaps inside a block, and goes on from there."""
        if viewer.cursor is not None and viewer.applied:
            at = max(viewer.base, viewer.cursor.offset - back)
            viewer.cursor = Cursor(viewer.cursor.epoch, at)
            viewer.applied = [offset for offset in viewer.applied if offset <= at]
            viewer.events = [offset for offset in viewer.events if offset <= at]
            viewer.state = self._fold(at)

    @rule(viewer=consumes(viewers))
    def leave(self, viewer: Viewer) -> None:
        self.watching.remove(viewer)

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        offsets = [offset for record in self.records for offset in range(record.offset, record.last + 1)]
        assert offsets == list(range(1, self.acknowledged + 1))
        for viewer in self.watching:
            at = 0 if viewer.cursor is None else viewer.cursor.offset
            assert viewer.applied == list(range(viewer.base + 1, at + 1))
            assert viewer.state == self._fold(at)
            happened = [one.offset for one in self.records if isinstance(one.body, Event)]
            assert viewer.events == [offset for offset in happened if viewer.since < offset <= at]

    @invariant()
    def the_log_is_what_was_acknowledged_from_its_floor_on(self) -> None:
        read, snapshot = self.store.read("s", 0), self.store.snapshot("s")
        if read is None or snapshot is None:
            assert not self.records
            return
        assert (read.floor, read.top) == (self.floor, self.acknowledged)
        kept = [record.after(self.floor - 1) for record in self.records if record.last >= self.floor]
        assert list(read.records) == kept
        assert read.base == self._fold(self.floor - 1)
        assert fold_all(read.base, read.records) == snapshot.state == self._fold(self.acknowledged)

    def teardown(self) -> None:
        """Let everything heal: every viewer ends with the newest state, and then has nothing more to get."""
        for viewer in getattr(self, "watching", []):
            while (frame := self._frame(viewer)) is not None:
                viewer.apply(frame)
                if not frame.last:
                    break
            snapshot = self.store.snapshot("s")
            assert viewer.state == (State() if snapshot is None else snapshot.state)
        if hasattr(self, "store"):
            self.store.close()

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
        read = self.store.read("s", self.acknowledged)
        assert read is not None
        self.records += [record for record in read.records if record.offset > self.acknowledged]
        self.acknowledged += count

    def _frame(self, viewer: Viewer) -> Frame | None:
        """Let a viewer's reader read what there is, and ask it for what comes after the viewer's cursor."""
        return self._frame_of(viewer.reader, viewer.cursor, viewer.detail)

    def _frame_of(self, reader: SessionLog, cursor: Cursor | None, detail: Detail) -> Frame | None:
        # What the reader has already comes again at times: reads may overlap.
        read = self.store.read("s", max(0, reader.top - 2))
        if read is not None:
            reader.apply(read)
        frame = reader.frame(cursor, detail)
        if frame is None:
            return None
        if not frame.key:
            assert cursor is not None
            assert frame.first == cursor.offset + 1
            assert frame.last - cursor.offset <= detail.rows
            told = [offset for record in frame.records for offset in range(record.offset, record.last + 1)]
            assert told == list(range(frame.first, frame.last + 1))
        if not frame.recovered:
            assert cursor is not None
            assert cursor.epoch != frame.epoch or cursor.offset + 1 < self.floor, "what is kept was not gone on from"
        before = self._fold(self.floor - 1)
        assert frame.trimmed <= (before.rows if before.attempt == frame.state.attempt else 0)
        return frame

    def _fold(self, offset: int) -> State:
        """Fold everything that was acknowledged up to an offset, trimmed or not."""
        return fold_all(State(), (record.up_to(offset) for record in self.records if record.offset <= offset))


class StreamOnDisk(Stream):
    """The same over files."""

    def opened(self) -> Store:
        """Give an empty store in a folder of its own."""
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name))

    def teardown(self) -> None:
        """Heal, and leave nothing behind."""
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestStream = pytest.mark.slow(Stream.TestCase)
TestStream.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)

TestStreamOnDisk = pytest.mark.slow(StreamOnDisk.TestCase)
TestStreamOnDisk.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
