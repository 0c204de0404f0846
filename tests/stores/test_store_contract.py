"""What every store promises, held against every store."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.events import Event, Producer, length
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.state import fold_all
from forge_widgets.core.steps import MAX_BLOCK_ROWS, StepBlock, block_of
from forge_widgets.errors import InvalidSessionId, SequenceGap
from forge_widgets.stores.base import Store
from tests.stores.batches import START, batch, event, recorded_steps, steps
from tests.stores.reading import read_all, read_all_records

BARE = Producer(id="curl", bare=True)


def test_an_unknown_session_is_none_everywhere(store: Store) -> None:
    assert store.read("nobody", 0) is None
    assert store.snapshot("nobody") is None
    assert store.version("nobody") is None
    assert store.heartbeats("nobody") == []
    assert store.summaries() == []
    assert store.delete("nobody") is False


def test_what_is_appended_is_read_in_order_with_offsets_from_one(store: Store) -> None:
    first = store.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    second = store.append("s", batch("p", 7, steps(5, 3), event("training_error", at=1)))
    assert (first.top, first.sequence, first.attempt, first.repeated) == (6, 6, 1, 0)
    assert (second.top, second.sequence, second.epoch) == (10, 10, first.epoch)
    read = store.read("s", 0)
    assert read is not None
    assert (read.epoch, read.floor, read.top) == (first.epoch, 1, 10)
    assert [(record.offset, record.last, record.sequence) for record in read.records] == [
        (1, 1, 1), (2, 6, 2), (7, 9, 7), (10, 10, 10),
    ]  # fmt: skip
    assert {record.attempt for record in read.records} == {1}
    assert recorded_steps(read.records) == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("after", "expected"), [(0, 1), (1, 2), (2, 2), (4, 2), (6, 7), (9, 10)])
def test_a_cursor_inside_a_block_gets_the_whole_block(store: Store, after: int, expected: int) -> None:
    store.append("s", batch("p", 1, event("training_started"), steps(0, 5), steps(5, 3), event("control", at=1)))
    read = store.read("s", after)
    assert read is not None
    assert read.records[0].offset == expected
    assert read.records[-1].last == 10


@pytest.mark.parametrize("after", [10, 11, 1_000])
def test_a_cursor_at_the_end_or_beyond_gets_nothing(store: Store, after: int) -> None:
    store.append("s", batch("p", 1, steps(0, 10)))
    read = store.read("s", after)
    assert read is not None
    assert list(read.records) == []
    assert read.top == 10


def test_a_read_ends_after_max_rows_but_gives_at_least_one_record(store: Store) -> None:
    store.append("s", batch("p", 1, steps(0, 100), steps(100, 100), steps(200, 100)))
    for max_rows, records in ((1, 1), (0, 1), (100, 1), (101, 2), (300, 3)):
        read = store.read("s", 0, max_rows)
        assert read is not None
        assert len(read.records) == records, max_rows
    assert recorded_steps(store.read("s", 0).records) == list(range(300))  # type: ignore[union-attr]


def test_the_same_batch_again_is_passed_over(store: Store) -> None:
    sent = batch("p", 1, event("training_started"), steps(0, 5))
    store.append("s", sent)
    again = store.append("s", sent)
    assert (again.top, again.sequence, again.attempt, again.repeated) == (6, 6, 1, 6)
    assert read_all(store, "s").state.rows == 5


def test_of_a_batch_that_overlaps_only_the_new_rows_are_kept(store: Store) -> None:
    store.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    receipt = store.append("s", batch("p", 4, steps(2, 6)))
    assert (receipt.top, receipt.sequence, receipt.repeated) == (9, 9, 3)
    read = store.read("s", 0)
    assert read is not None
    assert recorded_steps(read.records) == list(range(8))
    assert read.records[-1].sequence == 7


def test_a_hole_in_a_sequence_is_refused_and_nothing_of_it_applied(store: Store) -> None:
    store.append("s", batch("p", 1, steps(0, 5)))
    with pytest.raises(SequenceGap) as raised:
        store.append("s", batch("p", 8, steps(7, 5)))
    assert (raised.value.expected, raised.value.got) == (6, 8)
    assert store.append("s", batch("p", 6, steps(5, 5))).top == 10


def test_a_producer_that_the_log_does_not_know_may_begin_anywhere(store: Store) -> None:
    assert store.append("s", batch("p", 1_000, steps(0, 5))).sequence == 1_004
    with pytest.raises(SequenceGap):
        store.append("s", batch("p", 1_006, steps(0, 5)))


def test_sequence_zero_lets_the_store_number(store: Store) -> None:
    assert store.append("s", batch("p", 0, steps(0, 5))).sequence == 5
    assert store.append("s", batch("p", 0, event("control"))).sequence == 6
    assert [record.sequence for record in read_all_records(store)] == [1, 6]


def test_an_empty_batch_makes_the_session_and_appends_nothing(store: Store) -> None:
    receipt = store.append("s", batch("p", 0))
    assert (receipt.top, receipt.sequence, receipt.attempt) == (0, 0, 0)
    snapshot = store.snapshot("s")
    assert snapshot is not None
    assert (snapshot.cursor.offset, snapshot.state.status) == (0, "waiting")
    assert store.append("s", batch("p", 1, steps(0, 0), steps(0, 3))).top == 3


def test_an_event_of_a_known_key_is_passed_over_and_takes_its_sequence_number(store: Store) -> None:
    store.append("s", batch("a", 1, event("connection_lost", key="lost:x:1")))
    receipt = store.append("s", batch("b", 1, event("connection_lost", key="lost:x:1"), steps(0, 2)))
    assert (receipt.top, receipt.sequence, receipt.repeated) == (3, 3, 1)
    twice = store.append("s", batch("b", 4, event("alert", key="k"), event("alert", key="k")))
    assert (twice.top, twice.sequence, twice.repeated) == (4, 5, 1)
    assert store.append("other", batch("a", 1, event("connection_lost", key="lost:x:1"))).repeated == 0


def test_a_retried_start_of_a_bare_client_opens_no_attempt(store: Store) -> None:
    store.append("s", batch(BARE, 0, event("training_started", key="k1"), event("training_error", at=1)))
    assert store.append("s", batch(BARE, 0, event("training_started", key="k1"))).attempt == 1
    assert store.append("s", batch(BARE, 0, event("training_started", key="k2"))).attempt == 2


def test_a_new_producer_that_starts_a_training_opens_the_next_attempt(store: Store) -> None:
    assert store.append("s", batch("a", 1, event("training_started"), steps(0, 3))).attempt == 1
    assert store.append("s", batch("b", 1, event("training_started", at=9))).attempt == 2
    assert store.append("s", batch("a", 5, steps(3, 2))).attempt == 1
    state = read_all(store, "s").state
    assert (state.attempt, state.rows) == (2, 0)


def test_ranks_of_a_group_share_an_attempt_and_a_reporting_producer_joins_the_latest(store: Store) -> None:
    ranks = [Producer(id=f"rank-{rank}", group="job") for rank in range(3)]
    for rank in ranks:
        assert store.append("s", batch(rank, 1, event("training_started"))).attempt == 1
    assert store.append("s", batch("observer", 1, event("annotation"))).attempt == 1


def test_resume_goes_on_with_the_latest_attempt_after_its_end(store: Store) -> None:
    store.append("s", batch("a", 1, event("training_started"), event("training_error", at=1)))
    resumed = Producer(id="b", resume=True)
    assert store.append("s", batch(resumed, 1, event("training_started", at=2))).attempt == 1
    assert store.append("s", batch("c", 1, event("training_started", at=3))).attempt == 2


def test_a_bare_client_opens_attempts_within_one_batch(store: Store) -> None:
    ended = event("phase_completed", at=1, status="completed")
    receipt = store.append(
        "s", batch(BARE, 0, event("training_started"), steps(0, 2), ended, event("training_started", at=2), steps(0, 1))
    )
    assert receipt.attempt == 2
    read = store.read("s", 0)
    assert read is not None
    assert [record.attempt for record in read.records] == [1, 1, 1, 2, 2]


def test_the_snapshot_is_the_fold_of_all_that_is_read(store: Store) -> None:
    store.append("s", batch("p", 1, event("training_started")))
    for number in range(150):  # more than a store keeps between its own snapshots
        store.append("s", batch("p", 2 + 3 * number, steps(3 * number, 3)))
    snapshot = store.snapshot("s")
    log = read_all(store, "s", max_rows=7)
    assert snapshot is not None
    assert snapshot.cursor == log.cursor
    assert snapshot.state == log.state
    assert log.state.rows == 450


def test_the_version_changes_with_every_append_and_not_between(store: Store) -> None:
    seen = []
    for number in range(5):
        store.append("s", batch("p", 1 + number, steps(number, 1)))
        seen.append(store.version("s"))
        assert store.version("s") == seen[-1]
    assert len(set(seen)) == 5
    store.append("s", batch("p", 1, steps(0, 5)))
    assert store.version("s") == seen[-1]


def test_sessions_are_listed_newest_update_first(store: Store) -> None:
    store.append("old", batch("p", 1, event("training_started", at=0), event("control", at=5)))
    store.append("new", batch("p", 1, event("training_started", at=50)))
    store.append("UPPER.Case_1-x", batch("p", 1, event("training_started", at=20)))
    listed = store.summaries()
    assert [summary.session_id for summary in listed] == ["new", "UPPER.Case_1-x", "old"]
    assert (listed[2].created_at, listed[2].updated_at, listed[2].attempts) == (START, START + 5, 1)
    store.append("old", batch("q", 1, event("training_started", at=60)))
    assert (store.summaries()[0].session_id, store.summaries()[0].attempts) == ("old", 2)
    assert store.summaries()[0].created_at == START


def test_ids_that_differ_in_case_only_are_different_sessions(store: Store) -> None:
    for session_id in ("run", "Run", "RUN", "run.", "...", "nul", "a" * 128, "A" * 128, "x.sqlite-wal", "x"):
        store.append(session_id, batch(session_id, 1, steps(0, 1)))
    for summary in store.summaries():
        read = store.read(summary.session_id, 0)
        assert read is not None
        assert [record.producer for record in read.records] == [summary.session_id]
    assert len(store.summaries()) == 10


@pytest.mark.parametrize("session_id", ["", ".", "..", "a/b", "a\\b", "ä", "x" * 129, "a\0"])
def test_an_id_that_the_contract_does_not_allow_is_refused_by_every_call(store: Store, session_id: str) -> None:
    for call in (store.snapshot, store.version, store.delete, store.heartbeats, lambda id_: store.read(id_, 0)):
        with pytest.raises(InvalidSessionId):
            call(session_id)
    with pytest.raises(InvalidSessionId):
        store.append(session_id, batch("p", 1, steps(0, 1)))
    with pytest.raises(InvalidSessionId):
        store.beat(session_id, Heartbeat(producer="p"))


def test_a_deleted_session_is_gone_and_its_name_free_again(store: Store) -> None:
    before = store.append("s", batch("p", 1, event("training_started"), steps(0, 3)))
    store.append("t", batch("p", 1, steps(0, 1)))
    store.beat("s", Heartbeat(producer="p"))
    assert store.delete("s") is True
    assert store.snapshot("s") is None
    assert store.heartbeats("s") == []
    assert [summary.session_id for summary in store.summaries()] == ["t"]
    after = store.append("s", batch("p", 1, steps(0, 1)))
    store.beat("s", Heartbeat(producer="p", beat=2.0))
    assert store.heartbeats("s") == [Heartbeat(producer="p", beat=2.0)]
    assert (after.top, after.attempt) == (1, 1)
    assert after.epoch != before.epoch


def test_a_heartbeat_replaces_the_producers_last_and_stands_without_a_session(store: Store) -> None:
    store.beat("s", Heartbeat(producer="p", beat=1.0, reason="a long reason that the next beat does not have"))
    store.beat("s", Heartbeat(producer="p", beat=2.0, unsaved=3))
    store.beat("s", Heartbeat(producer="Q/../ü", beat=1.5))
    store.beat("other", Heartbeat(producer="p", beat=9.0))
    beats = {heartbeat.producer: heartbeat for heartbeat in store.heartbeats("s")}
    assert beats == {
        "p": Heartbeat(producer="p", beat=2.0, unsaved=3),
        "Q/../ü": Heartbeat(producer="Q/../ü", beat=1.5),
    }
    assert store.snapshot("s") is None
    assert store.summaries() == []


def test_text_of_any_kind_comes_back(store: Store) -> None:
    text = "grüße 🦜 \u202e \x00 \n <script>"
    sent = Event(event_type="alert", timestamp=START, message=text, name=text, metrics={text: 1.0}, key=text)
    store.append("s", batch("p", 1, sent, block_of([(START, {text: 2.0})])))
    read = store.read("s", 0)
    assert read is not None
    assert read.records[0].body == sent
    assert isinstance(read.records[1].body, StepBlock)
    assert list(read.records[1].body.rows()) == [(START, {text: 2.0})]


def test_text_that_utf_8_cannot_write_is_kept_as_far_as_it_can(store: Store) -> None:
    broken = "half \ud83d pair"
    sent = Event(event_type="alert", timestamp=START, message=broken, metrics={broken: 1.0}, key=broken)
    store.append("s", batch("p", 1, sent, block_of([(START, {broken: 2.0})])))
    read = store.read("s", 0)
    assert read is not None
    assert isinstance(read.records[0].body, Event)
    assert read.records[0].body.message == "half ? pair"
    assert store.append("s", batch("p", 3, sent)).repeated == 1


def test_numbers_that_are_not_finite_come_back(store: Store) -> None:
    rows = [(START, {"loss": math.nan, "a": math.inf}), (START + 1, {"loss": -math.inf})]
    sent = Event(event_type="step_update", timestamp=START, metrics={"loss": math.inf})
    store.append("s", batch("p", 1, sent, block_of(rows)))
    read = store.read("s", 0)
    snapshot = store.snapshot("s")
    assert read is not None
    assert snapshot is not None
    assert isinstance(read.records[1].body, StepBlock)
    (_, first), (_, second) = read.records[1].body.rows()
    assert math.isnan(first["loss"])
    assert (first["a"], second) == (math.inf, {"loss": -math.inf})
    assert snapshot.state.value("loss") == -math.inf


def test_a_block_larger_than_a_file_can_hold_is_split(store: Store) -> None:
    rows = MAX_BLOCK_ROWS + 10
    store.append("s", batch("p", 1, steps(0, rows)))
    read = store.read("s", 0, max_rows=rows)
    assert read is not None
    assert [(record.offset, record.sequence, length(record.body)) for record in read.records] == [
        (1, 1, MAX_BLOCK_ROWS), (MAX_BLOCK_ROWS + 1, MAX_BLOCK_ROWS + 1, 10),
    ]  # fmt: skip


def test_threads_append_to_one_session_and_to_many_at_once(store: Store) -> None:
    ready = threading.Barrier(6)

    def train(number: int) -> None:
        ready.wait(10)
        for sequence in range(1, 11):
            store.append("shared", batch(f"p{number}", sequence, steps(sequence, 1)))
            store.append(f"own-{number}", batch(f"p{number}", sequence, steps(sequence, 1)))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(train, range(6)))
    read = store.read("shared", 0)
    assert read is not None
    assert [record.offset for record in read.records] == list(range(1, 61))
    for number in range(6):
        ours = [record for record in read.records if record.producer == f"p{number}"]
        assert [record.sequence for record in ours] == list(range(1, 11))
        own = store.read(f"own-{number}", 0)
        assert own is not None
        assert own.top == 10


def test_the_url_opens_the_same_store_again(store: Store) -> None:
    from forge_widgets.stores import open_store

    store.append("s", batch("p", 1, steps(0, 1)))
    again = open_store(store.url)
    assert again.store_id == store.store_id
    assert again.snapshot("s") == store.snapshot("s")
    again.close()


Sends = st.lists(st.tuples(st.integers(0, 2), st.integers(-4, 1), st.integers(1, 6)), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sends=Sends)
def test_whatever_is_repeated_or_skipped_each_row_is_there_once_and_in_order(store: Store, sends: object) -> None:
    """``sends``: a producer, how far from its next sequence number it sends, and how many rows."""
    store.delete("s")
    newest = [0, 0, 0]
    for number, shift, rows in sends:  # type: ignore[attr-defined]
        first = max(1, newest[number] + 1 + shift)
        # A producer that the log does not know may begin anywhere, so it begins at 1 here.
        first = first if newest[number] else 1
        sent = batch(str(number), first, steps(first, rows))
        if first > newest[number] + 1:
            with pytest.raises(SequenceGap):
                store.append("s", sent)
            continue
        store.append("s", sent)
        newest[number] = max(newest[number], first + rows - 1)
    read = store.read("s", 0)
    if read is None:
        assert newest == [0, 0, 0]
        return
    assert fold_all(read.base, read.records).rows == sum(newest) == read.top
    for number, last in enumerate(newest):
        ours = [record for record in read.records if record.producer == str(number)]
        assert recorded_steps(ours) == list(range(1, last + 1))


def test_an_unknown_session_has_no_series(store: Store) -> None:
    assert store.series("nobody", SeriesQuery()) is None
