"""Who hears the producers records a loss once, and none of who has ended in good order meanwhile."""

from __future__ import annotations

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.state import State
from forge_widgets.stores.base import Store
from forge_widgets.stores.lookout import Lookout
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.missed import FRESH_S, summaries_now

NOW = 1_000.0
TRAINING = Producer(id="p", pid=1)


def record(store: Store, sequence: int, event: Event) -> None:
    store.append("s", Batch(producer=TRAINING, sequence=sequence, bodies=[event]))


def started() -> tuple[Store, State]:
    store = MemoryStore()
    record(store, 1, Event(event_type="training_started", timestamp=NOW))
    snapshot = store.snapshot("s")
    assert snapshot is not None
    return store, snapshot.state


def lookout(store: Store, *, alive: bool) -> Lookout:
    watcher = Producer(id="watcher", bare=True)
    return Lookout(store=store, producer=watcher, clock=lambda: NOW + 60, process_alive=lambda heartbeat: alive)


def events(store: Store) -> list[str]:
    read = store.read("s", 0)
    assert read is not None
    return [record.body.event_type for record in read.records if isinstance(record.body, Event)]


def test_a_training_whose_process_has_gone_is_lost_once() -> None:
    store, state = started()
    store.beat("s", Heartbeat(producer="p", attempt=1, pid=1, beat=NOW, durable=1))
    for _ in range(2):
        lookout(store, alive=False).listen("s", state)
    assert events(store) == ["training_started", "connection_lost"]


def test_who_lives_is_not_lost_and_who_does_not_judge_records_nothing() -> None:
    store, state = started()
    store.beat("s", Heartbeat(producer="p", attempt=1, pid=1, beat=NOW, durable=1, unsaved=3, reason="disk full"))
    assert lookout(store, alive=True).listen("s", state).unsaved == 3
    lookout(store, alive=False).listen("s", state, judge=False)
    assert events(store) == ["training_started"]


def test_a_training_that_ends_just_after_the_log_was_read_is_not_lost() -> None:
    store, before = started()
    record(store, 2, Event(event_type="phase_completed", timestamp=NOW + 1, name="training_complete"))
    store.beat("s", Heartbeat(producer="p", attempt=1, pid=1, beat=NOW + 1, durable=2, closed=True))
    lookout(store, alive=False).listen("s", before)
    assert events(store) == ["training_started", "phase_completed"]


def test_who_has_just_recorded_something_is_there_in_a_list_whatever_is_heard() -> None:
    store, _ = started()
    store.beat("s", Heartbeat(producer="p", attempt=1, pid=0, beat=NOW - 60, durable=1))
    assert [summary.state.lost for summary in summaries_now(store, NOW + FRESH_S / 2)] == [False]
    assert [summary.state.lost for summary in summaries_now(store, NOW + FRESH_S)] == [True]
    assert [summary.state.lost for summary in summaries_now(store, NOW - 1)] == [True]  # a clock set back says nothing
