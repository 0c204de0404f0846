"""The one judge of all faults: what was acknowledged, what the log holds, and what viewers have applied.

After healing: acknowledged is a part of the log, nothing is there twice, every viewer holds a run of the log from its key
frame on, and the state is the fold of the log on what was before its floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile, takewhile
from typing import NamedTuple

from forge_widgets.core.events import Event, Record
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import Row
from forge_widgets.core.subscription import Slice
from forge_widgets.stores.base import Store
from tests.faults.view import Chapter, View


class Acknowledged(NamedTuple):
    """A producer was told that everything up to this sequence number is durable; it stands for this step."""

    producer: str
    sequence: int
    step: int


class Unit(NamedTuple):
    """What stands at one offset: an event or one row."""

    offset: int
    attempt: int
    producer: str
    sequence: int
    what: Event | Row


def units_of(records: Iterable[Record]) -> Iterator[Unit]:
    """Take records apart into events and rows, so that it doesn't matter how blocks were cut."""
    for record in records:
        if isinstance(record.body, Event):
            yield Unit(record.offset, record.attempt, record.producer, record.sequence, record.body)
            continue
        for index, row in enumerate(record.body.rows()):
            yield Unit(record.offset + index, record.attempt, record.producer, record.sequence + index, row)


def events_of(log: Slice) -> list[str]:
    """Name the events of a log, in order."""
    return [unit.what.event_type for unit in units_of(log.records) if isinstance(unit.what, Event)]


def read_all(store: Store, session_id: str) -> Slice:
    """Read a whole log, as readers do: a part at a time."""
    read = store.read(session_id, 0)
    assert read is not None, f"no session {session_id!r}"
    records, top = list(read.records), read.top
    while records and records[-1].last < top:
        more = store.read(session_id, records[-1].last)
        assert more is not None
        assert more.epoch == read.epoch
        assert more.records, f"nothing follows {records[-1].last}, and {top} is the top"
        # What was read before may be a part of a larger record by now.
        records += [record.after(records[-1].last) for record in more.records]
    return Slice(read.epoch, read.floor, top, records, read.base)


def check(
    store: Store,
    session_id: str,
    acknowledged: Sequence[Acknowledged] = (),
    viewers: Sequence[View] = (),
    *,
    before: Sequence[Slice] = (),
) -> Slice:
    """Judge a session; return its log.

    ``before`` are its earlier logs, which were moved away in mid-training, and what was read of this one before it was
    trimmed, in that order: all that is below the floor has to be in them.
    """
    log = read_all(store, session_id)
    logs: dict[str, Slice] = {}
    for one in (*before, log):
        logs[one.epoch] = _joined(logs[one.epoch], one) if one.epoch in logs else one
    for one in logs.values():
        _check_numbering(one)
    _check_acknowledged(list(logs.values()), acknowledged)
    snapshot = store.snapshot(session_id)
    assert snapshot is not None
    assert (snapshot.cursor.epoch, snapshot.cursor.offset) == (log.epoch, log.top)
    assert fold_all(log.base, log.records) == snapshot.state, "the state is not the fold of the log"
    for viewer in viewers:
        for chapter in viewer.chapters:
            _check_chapter(chapter, logs)
        _check_end(viewer, log, snapshot.state)
    return log


def _joined(before: Slice, after: Slice) -> Slice:
    """Put a log together of what was read of it before it was trimmed, and after; see that the two agree."""
    assert before.floor <= after.floor <= before.top + 1, (
        f"what is below {after.floor} was read only up to {before.top}"
    )
    cut = list(_up_to(after.floor - 1, before.records))
    assert after.base == fold_all(before.base, cut), "the state before the floor is not the fold of what was there"
    kept = dropwhile(lambda unit: unit.offset < after.floor, units_of(before.records))
    for was, now in zip(kept, units_of(after.records), strict=False):
        assert was == now, f"a trim has changed {was} to {now}"
    return Slice(after.epoch, before.floor, after.top, [*cut, *after.records], before.base)


def _check_numbering(log: Slice) -> None:
    """See that offsets have no hole, and that nothing is there twice."""
    seen: dict[str, int] = {}
    expected = log.floor
    for unit in units_of(log.records):
        assert unit.offset == expected, f"offset {unit.offset} where {expected} was due"
        expected += 1
        newest = seen.get(unit.producer, 0)
        assert unit.sequence > newest, f"{unit.producer}: sequence {unit.sequence} after {newest}"
        seen[unit.producer] = unit.sequence
    assert expected == log.top + 1


def _check_acknowledged(logs: Sequence[Slice], acknowledged: Sequence[Acknowledged]) -> None:
    """See that every acknowledged step is there once, and everything of its producer that came before it.

    The last commit of a log that was moved away may be in the next log, too: its file went before it could be acknowledged.
    """
    again = {(unit.producer, unit.sequence) for log in logs[:-1] for unit in units_of(log.records[-1:])}
    newest: dict[str, int] = {}
    steps = {ack[:2]: ack.step for ack in acknowledged}
    for producer, sequence, _ in acknowledged:
        newest[producer] = max(newest.get(producer, 0), sequence)
    found: dict[str, set[int]] = {producer: set() for producer in newest}
    for log in logs:
        for unit in units_of(log.records):
            if unit.producer not in newest:
                continue
            key = (unit.producer, unit.sequence)
            assert unit.sequence not in found[unit.producer] or key in again, f"{key} is in two logs"
            found[unit.producer].add(unit.sequence)
            step = steps.get(key)
            if step:
                assert not isinstance(unit.what, Event)
                assert unit.what[1]["currentStep"] == step, f"{unit} was acknowledged as step {step}"
    for producer, sequence in newest.items():
        lost = set(range(1, sequence + 1)) - found[producer]
        assert not lost, f"{producer}: {len(lost)} of {sequence} acknowledged are lost, the first is {min(lost)}"


def _check_chapter(chapter: Chapter, logs: dict[str, Slice]) -> None:
    """See that a viewer has applied a run of the log, from a key frame on that was the fold up to there."""
    log = logs.get(chapter.epoch)
    recorded = iter(()) if log is None else dropwhile(lambda unit: unit.offset <= chapter.start, units_of(log.records))
    # One unit at a time: a long flood has millions of them.
    for offset, unit in enumerate(units_of(chapter.records), chapter.start + 1):
        assert unit.offset == offset, f"a viewer has applied {unit} where {offset} was due"
        if log is not None and offset >= log.floor:
            found = next(recorded, None)
            assert unit == found, f"at {offset} a viewer has {unit}, the log {found}"
    if log is None:  # its log was deleted: nobody has it any more
        return
    if chapter.start + 1 >= log.floor:
        assert chapter.base == fold_all(log.base, _up_to(chapter.start, log.records)), "a key frame is not the fold"


def _check_end(viewer: View, log: Slice, state: State) -> None:
    """See that a viewer has arrived where the log stands."""
    assert viewer.chapters, f"a viewer has seen nothing: {viewer}"
    assert (viewer.chapters[-1].epoch, viewer.offset) == (log.epoch, log.top), f"a viewer stayed behind: {viewer}"
    assert viewer.state == state, "a viewer's state is not the log's"


def _up_to(offset: int, records: Sequence[Record]) -> Iterator[Record]:
    """Yield records up to an offset, the last one cut there."""
    return (record.up_to(offset) for record in takewhile(lambda record: record.offset <= offset, records))
