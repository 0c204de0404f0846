"""What every store promises of trims."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_widgets.core.events import Producer
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.subscription import Cursor, SessionLog
from forge_widgets.errors import InvalidSessionId, SequenceGap
from forge_widgets.stores.base import Store
from tests.stores.batches import batch, event, recorded_steps, steps
from tests.stores.reading import read_all, read_all_records


def trained(store: Store, blocks: int = 20) -> State:
    """Record an attempt that fails, and a second one in blocks of ten rows from offset 7 on; return the state."""
    store.append("s", batch("a", 1, event("training_started"), steps(0, 3), event("training_error", at=1, key="e")))
    store.append("s", batch("p", 1, event("training_started", at=2)))
    for number in range(blocks):
        store.append("s", batch("p", 2 + 10 * number, steps(10 * number, 10)))
    snapshot = store.snapshot("s")
    assert snapshot is not None
    return snapshot.state


@pytest.mark.parametrize("upto", [1, 2, 4, 5, 6, 7, 15, 16, 17, 100, 205, 206])
def test_a_trimmed_log_begins_at_its_floor_with_the_state_before_it(store: Store, upto: int) -> None:
    state = trained(store)
    before = store.read("s", 0)
    assert before is not None
    assert store.trim("s", upto) == upto + 1
    read = store.read("s", 0)
    assert read is not None
    assert (read.epoch, read.floor, read.top) == (before.epoch, upto + 1, before.top)
    assert read.base == fold_all(State(), (record.up_to(upto) for record in before.records if record.offset <= upto))
    assert fold_all(read.base, read.records) == state
    assert list(read.records) == [record.after(upto) for record in before.records if record.last > upto]
    snapshot = store.snapshot("s")
    assert snapshot is not None
    assert (snapshot.cursor.epoch, snapshot.cursor.offset, snapshot.state) == (read.epoch, read.top, state)
    assert read_all(store, "s", max_rows=7).state == state


@pytest.mark.parametrize("upto", [0, -1, 50])
def test_a_trim_below_the_floor_drops_nothing(store: Store, upto: int) -> None:
    trained(store)
    store.trim("s", 50)
    before = (store.read("s", 0), store.version("s"))
    assert store.trim("s", upto) == 51
    assert (store.read("s", 0), store.version("s")) == before


def test_a_trim_beyond_the_top_drops_all_and_the_log_goes_on(store: Store) -> None:
    state = trained(store)
    [listed] = store.summaries()
    assert store.trim("s", 10_000) == 207
    read = store.read("s", 0)
    assert read is not None
    assert (read.floor, read.top, list(read.records), read.base) == (207, 206, [], state)
    assert store.summaries() == [listed]
    receipt = store.append("s", batch("p", 202, steps(200, 5)))
    assert (receipt.top, receipt.epoch, receipt.attempt) == (211, read.epoch, 2)
    assert [record.offset for record in read_all_records(store)] == [207]
    snapshot = store.snapshot("s")
    assert snapshot is not None
    assert snapshot.state.rows == 205
    [grown] = store.summaries()
    assert (grown.created_at, grown.attempts) == (listed.created_at, listed.attempts)


def test_what_was_trimmed_is_passed_over_when_it_is_sent_again(store: Store) -> None:
    trained(store)
    store.trim("s", 206)
    again = store.append("s", batch("p", 192, steps(190, 15)))
    assert (again.repeated, again.top) == (10, 211)
    assert recorded_steps(read_all_records(store)) == [200, 201, 202, 203, 204]
    assert store.append("s", batch("a", 5, event("training_error", at=1, key="e"))).repeated == 1
    with pytest.raises(SequenceGap):
        store.append("s", batch("p", 300, steps(0, 1)))


def test_a_trim_is_noticed_by_its_version_and_not_by_a_reader_that_is_past_it(store: Store) -> None:
    trained(store)
    log = read_all(store, "s")
    before = store.version("s")
    store.trim("s", 150)
    assert store.version("s") != before
    read = store.read("s", log.top)
    assert read is not None
    assert log.apply(read) is False
    assert log.frame(Cursor(read.epoch, 100)) is not None


def test_a_reader_that_the_floor_has_passed_starts_afresh_from_the_state_before_it(store: Store) -> None:
    state = trained(store)
    log = SessionLog("s")
    read = store.read("s", 0, max_rows=40)
    assert read is not None
    log.apply(read)
    store.trim("s", 150)
    read = store.read("s", log.top)
    assert read is not None
    assert log.apply(read)
    assert (log.top, log.state) == (206, state)
    frame = log.frame(Cursor(read.epoch, 40))
    assert frame is not None
    assert (frame.key, frame.recovered) == (True, False)


def test_nobody_trims_a_session_that_is_not_there(store: Store) -> None:
    assert store.trim("nobody", 5) is None
    assert store.summaries() == []
    with pytest.raises(InvalidSessionId):
        store.trim("a/b", 5)


def test_an_empty_log_has_nothing_to_trim(store: Store) -> None:
    store.append("s", batch("p", 0))
    assert store.trim("s", 5) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=10), trims=st.lists(st.integers(0, 40), max_size=5))
def test_wherever_it_is_trimmed_the_fold_on_the_base_is_the_state(
    store: Store, sizes: list[int], trims: list[int]
) -> None:
    store.delete("s")
    sequence, kept = 1, list(trims)
    for size in sizes:
        sequence = store.append("s", batch("p", sequence, steps(sequence, size))).sequence + 1
        if kept:
            store.trim("s", kept.pop())
        read, snapshot = store.read("s", 0), store.snapshot("s")
        assert read is not None
        assert snapshot is not None
        assert fold_all(read.base, read.records) == snapshot.state
        assert snapshot.state.rows == sequence - 1


def test_a_producer_that_comes_again_without_its_group_stays_in_its_attempt(store: Store) -> None:
    first, second = Producer(id="rank-0", group="job"), Producer(id="rank-1", group="job")
    store.append("s", batch(first, 1, event("training_started")))
    store.append("s", batch(second, 1, event("training_started"), steps(0, 2)))
    store.append("s", batch(first, 2, event("phase_completed", at=1, status="completed")))
    assert store.append("s", batch("rank-1", 4, steps(2, 2))).attempt == 1
