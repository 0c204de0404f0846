"""What a viewer gets next: whole, in order, once, whatever it had before."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core import subscription, wire
from forge_widgets.core.curves import Curve
from forge_widgets.core.events import Event, Record, length
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import COARSE, FINE, Cursor, Detail, Opening, SessionLog, Slice

BODIES = st.lists(st.integers(0, 6), min_size=1, max_size=25)


def log_of(sizes: list[int], attempt: int = 1) -> list[Record]:
    """Build a log: 0 is an event, n a block of n rows."""
    records, offset = [], 1
    for size in sizes:
        body = (
            block_of(
                [
                    (float(offset + i), {"currentStep": float(offset + i), "loss": 1.0 / (offset + i)})
                    for i in range(size)
                ]
            )
            if size
            else Event(event_type="phase_completed", timestamp=float(offset), name=f"phase {offset}")
        )
        records.append(Record(offset=offset, attempt=attempt, producer="p", sequence=offset, body=body))
        offset += length(body)
    return records


def slice_of(records: list[Record], epoch: str = "e", floor: int = 1) -> Slice:
    return Slice(epoch, floor, records[-1].last if records else 0, records)


@given(BODIES, st.data())
def test_a_viewer_that_comes_and_goes_applies_each_offset_once_and_ends_with_the_fold(
    sizes: list[int], data: st.DataObject
) -> None:
    records = log_of(sizes)
    log, fed = SessionLog("s"), 0
    cursor, state, applied = None, State(), []
    while fed < len(records) or cursor != log.cursor:
        if fed < len(records):
            more = data.draw(st.integers(1, len(records) - fed))
            log.apply(slice_of(records[max(0, fed - 1) : fed + more]))
            fed += more
        frame = log.frame(cursor)
        if frame is None:
            continue
        if frame.key:
            state, applied = frame.state, list(range(1, frame.last + 1))
        else:
            state = fold_all(state, frame.records)
            applied += [offset for record in frame.records for offset in range(record.offset, record.last + 1)]
        cursor = Cursor(frame.epoch, frame.last)
    assert applied == list(range(1, records[-1].last + 1))
    assert state == fold_all(State(), records)
    assert log.frame(cursor) is None
    assert log.events_after(cursor) == []


@given(BODIES, st.data())
def test_a_cursor_may_stand_inside_a_block(sizes: list[int], data: st.DataObject) -> None:
    records = log_of(sizes)
    log = SessionLog("s")
    log.apply(slice_of(records))
    offset = data.draw(st.integers(0, log.top - 1))
    frame = log.frame(Cursor("e", offset))
    assert frame is not None
    assert (frame.first, frame.last) == (offset + 1, log.top)
    assert frame.records[0].offset == offset + 1
    assert sum(length(record.body) for record in frame.records) == log.top - offset


def test_a_session_that_nobody_recorded_gives_a_key_frame_that_waits() -> None:
    frame = SessionLog("s").frame(None)
    assert frame is not None
    assert (frame.key, frame.epoch, frame.last, frame.state.status) == (True, "", 0, "waiting")


@pytest.mark.parametrize("cursor", [Cursor("other", 1), Cursor("e", 99)])
def test_a_cursor_of_another_epoch_or_above_the_top_gets_a_key_frame_and_is_told(cursor: Cursor) -> None:
    log = SessionLog("s")
    log.apply(slice_of(log_of([1, 0, 3])))
    frame = log.frame(cursor)
    assert frame is not None
    assert (frame.key, frame.recovered) == (True, False)
    assert log.events_after(cursor) is None


def test_who_is_further_behind_than_it_takes_at_once_gets_every_event_and_the_rows_as_a_curve() -> None:
    log = SessionLog("s")
    log.apply(slice_of(log_of([40, 0, 50, 0, 0, 60])))
    frame = log.frame(Cursor("e", 20), Detail(rows=100, points=30))
    assert frame is not None
    assert (frame.key, frame.recovered, frame.first, frame.last) == (True, True, 1, log.top)
    assert [record.offset for record in frame.records] == [41, 92, 93]
    assert frame.coalesced == log.top - 20 - 3
    assert (frame.state, frame.points) == (log.state, 30)
    told = json.loads(wire.encode(wire.frame_message("s", frame, log.series)))
    assert [record["offset"] for record in told["events"]] == [41, 92, 93]
    assert (told["coalesced"], told["coarse"], "records" in told) == (130, True, False)
    assert len(told["series"][0]["steps"]) <= 30
    exactly = log.frame(Cursor("e", log.top - 100), Detail(rows=100))
    assert exactly is not None
    assert (exactly.key, exactly.coalesced) == (False, 0)


def test_a_frame_that_refines_curves_leaves_out_no_event_and_comes_though_nothing_is_new() -> None:
    log = SessionLog("s")
    log.apply(slice_of(log_of([40, 0, 50, 0, 0, 60])))
    frame = log.frame(Cursor("e", 91), FINE, refines=True)
    assert frame is not None
    assert (frame.key, frame.recovered, frame.points, frame.last) == (True, True, None, log.top)
    assert [record.offset for record in frame.records] == [92, 93]
    assert frame.coalesced == 60
    assert log.frame(log.cursor, FINE) is None
    again = log.frame(log.cursor, Detail(opening=20), refines=True)
    assert again is not None
    assert (again.key, again.recovered, again.points, again.records, again.coalesced) == (True, True, 20, [], 0)


def test_a_viewer_begins_with_all_points_or_with_as_many_as_it_takes() -> None:
    log = SessionLog("s")
    log.apply(slice_of(log_of([200])))
    for detail, coarse in ((FINE, False), (COARSE, False), (Detail(opening=20), True)):
        frame = log.frame(None, detail)
        assert frame is not None
        told = wire.frame_message("s", frame, log.series)
        assert (told["coarse"], "coalesced" in told) == (coarse, False)


@given(BODIES, st.integers(1, 12), st.data())
def test_a_slow_viewer_hears_of_every_event_once_and_ends_with_the_fold(
    sizes: list[int], most: int, data: st.DataObject
) -> None:
    records = log_of(sizes)
    log, fed = SessionLog("s"), 0
    cursor, state = Cursor("e", 0), State()
    heard: list[int] = []
    rows = 0
    while fed < len(records):
        fed = data.draw(st.integers(fed + 1, len(records)))
        log.apply(slice_of(records[:fed]))
        frame = log.frame(cursor, Detail(rows=most))
        assert frame is not None
        events = [record.offset for record in frame.records if isinstance(record.body, Event)]
        heard += events
        rows += frame.coalesced or log.top - cursor.offset - len(events)
        assert frame.key == (log.top - cursor.offset > most)
        state = frame.state if frame.key else fold_all(state, frame.records)
        cursor = Cursor(frame.epoch, frame.last)
    assert heard == [record.offset for record in records if isinstance(record.body, Event)]
    assert rows + len(heard) == records[-1].last
    assert state == fold_all(State(), records)


def test_events_are_held_longer_than_rows_and_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "MAX_ROWS", 10)
    monkeypatch.setattr(subscription, "MAX_EVENTS", 2)
    log = SessionLog("s")
    log.apply(slice_of(log_of([0, 4, 0, *[4] * 10])))
    begin, behind, within = (log.frame(Cursor("e", offset)) for offset in (0, 20, 38))
    assert begin is not None
    assert behind is not None
    assert within is not None
    assert (begin.key, begin.coalesced, len(begin.records)) == (True, 44, 2)
    assert (behind.key, behind.coalesced, len(behind.records)) == (True, 26, 0)
    assert (within.key, within.first) == (False, 39)
    assert sum(length(record.body) for record in log._tail) < 10 + 4
    log.apply(slice_of(log_of([0, 4, 0, *[4] * 10, 0])))
    # The first of three events is no longer held: who has not heard of it is told that something may be missing.
    assert log.events_after(Cursor("e", 0)) is None
    assert log.happenings_after(Cursor("e", 0)) is None
    assert [record.offset for record in log.events_after(Cursor("e", 1)) or ()] == [6, 47]
    assert (log.newest_event, SessionLog("s").newest_event) == (47, 0)
    lost = log.frame(Cursor("e", 0))
    assert lost is not None
    assert (lost.key, lost.recovered) == (True, False)


def test_an_event_is_held_with_the_state_before_and_after_it() -> None:
    log = SessionLog("s")
    records = log_of([3, 0, 2])
    log.apply(slice_of(records))
    happening = (log.happenings_after(Cursor("e", 0)) or [])[0]
    assert happening.before == fold_all(State(), records[:1])
    assert happening.after == fold_all(State(), records[:2])


def test_a_new_epoch_or_a_floor_above_starts_afresh() -> None:
    log = SessionLog("s")
    assert log.apply(slice_of(log_of([2, 0])))
    assert not log.apply(slice_of(log_of([2, 0])))
    assert log.apply(slice_of(log_of([1]), epoch="new"))
    assert (log.epoch, log.top, log.state.rows) == ("new", 1, 1)
    trimmed = log_of([2, 2, 2])[2:]
    assert log.apply(slice_of(trimmed, epoch="new", floor=5))
    assert (log.top, log.state.rows) == (6, 2)


def test_a_new_attempt_begins_new_curves_and_an_old_one_adds_none() -> None:
    log = SessionLog("s")
    log.apply(slice_of(log_of([3])))
    late = Record(
        offset=5, attempt=1, producer="p", sequence=9, body=block_of([(9.0, {"currentStep": 9.0, "loss": 9.0})])
    )
    step = Event(event_type="step_update", timestamp=5.0, metrics={"currentStep": 1.0, "loss": 0.5})
    log.apply(slice_of([Record(offset=4, attempt=2, producer="q", sequence=1, body=step), late]))
    assert list(log.series.lines()) == [("loss", 1, [(1.0, 0.5)])]


def test_frames_are_strict_json_with_names_for_what_is_not_finite() -> None:
    log = SessionLog("s")
    rows = block_of([(1.0, {"loss": math.nan, "currentStep": 1.0}), (2.0, {"currentStep": 2.0, "accuracy": math.inf})])
    records = [
        Record(offset=1, attempt=1, producer="p", sequence=1, body=rows),
        Record(
            offset=3,
            attempt=1,
            producer="p",
            sequence=3,
            body=Event(event_type="model_completed", timestamp=3.0, metrics={"currentModel": 1.0, "loss": -math.inf}),
        ),
    ]
    log.apply(slice_of(records))
    delta, key = log.frame(Cursor("e", 0)), log.frame(None)
    assert delta is not None
    assert key is not None
    told = json.loads(wire.encode(wire.frame_message("s", delta, log.series)))
    columns = {"loss": ["NaN", None], "currentStep": [1, 2], "accuracy": [None, "Infinity"]}
    assert told["records"][0]["rows"]["columns"] == columns
    assert told["records"][1]["event"]["metrics"]["loss"] == "-Infinity"
    whole = json.loads(wire.encode(wire.frame_message("s", key, log.series)))
    assert whole["state"]["metrics"]["loss"] == ["-Infinity", [3.0, "p", 3]]
    assert whole["state"]["models"] == [{"number": 1, "loss": "-Infinity", "completed": True}]
    assert whole["series"][1] == {"metric": "accuracy", "model": 1, "steps": [2], "values": ["Infinity"]}


def test_a_log_that_is_begun_somewhere_goes_on_from_there() -> None:
    records = log_of([0, 3, 0, 4])
    read, begun = SessionLog("s"), SessionLog("s")
    read.apply(slice_of(records))
    begun.begin(
        Opening(
            epoch="e",
            top=9,
            state=read.state,
            base=State(),
            curves=[Curve("loss", 1, [1.0, 2.0], [0.5, 0.25], 7)],
            events=[records[0], records[2]],
            eventful_from=0,
            tail=records[2:],
        )
    )
    assert (begun.cursor, begun.state, begun.newest_event) == (read.cursor, read.state, 5)
    assert list(begun.series.lines()) == [("loss", 1, [(1.0, 0.5), (2.0, 0.25)])]
    assert begun.frame(Cursor("e", 6)) == read.frame(Cursor("e", 6))
    behind = begun.frame(Cursor("e", 2))
    assert behind is not None
    assert (behind.key, behind.coalesced, list(behind.records)) == (True, 6, [records[2]])
    assert begun.happenings_after(Cursor("e", 2)) is None
    more = log_of([0, 3, 0, 4, 0])
    for log in (begun, read):
        log.apply(slice_of(more))
    assert begun.state == read.state
    assert begun.newest_event == 10
    assert [happening.record for happening in begun.happenings_after(Cursor("e", 9)) or ()] == more[-1:]


def test_of_a_record_that_has_grown_only_what_is_new_is_taken() -> None:
    log, whole = SessionLog("s"), SessionLog("s")
    log.apply(slice_of(log_of([4])))
    for one in (log, whole):
        one.apply(slice_of(log_of([7])))
    assert (log.state, log.cursor) == (whole.state, whole.cursor)
    assert log.state.rows == 7
