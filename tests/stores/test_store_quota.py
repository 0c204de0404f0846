"""A quota: what goes, in which order, and what is never touched."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forge_widgets.core.events import STATUSES, Batch, Event, Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.stores.base import Snapshot
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.quota import (
    MIN_AGE_S,
    TRIMMED_BYTES,
    DiskStore,
    Dropped,
    Held,
    Step,
    keep,
    plan,
    words_of_bytes,
)
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import START, batch, event, steps

NOW = 1_800_000_000.0
MB = 1_000_000


def held(name: str, age_s: float = 86_400, megabytes: float = 1.0, **fields: Any) -> Held:
    one = Held(session_id=name, bytes=int(megabytes * MB), status="completed", updated_at=NOW - age_s)
    return replace(one, **fields)


def test_within_the_quota_nothing_is_done() -> None:
    assert plan([held("a"), held("b")], 2 * MB, NOW) == []
    assert plan([], 0, NOW) == []


def test_the_oldest_finished_sessions_are_trimmed_first_and_no_more_than_needed() -> None:
    sessions = [held("new", 10_000), held("old", 30_000), held("middle", 20_000)]
    assert plan(sessions, 2_900_000, NOW) == [Step("old", "trim")]
    assert plan(sessions, 1_500_000, NOW) == [Step("old", "trim"), Step("middle", "trim")]


def test_once_all_are_trimmed_the_oldest_are_deleted() -> None:
    sessions = [held("new", 10_000), held("old", 30_000)]
    trims = [Step("old", "trim"), Step("new", "trim")]
    assert plan(sessions, TRIMMED_BYTES, NOW) == [*trims, Step("old", "delete")]
    assert plan(sessions, 0, NOW) == [*trims, Step("old", "delete"), Step("new", "delete")]
    assert plan(sessions, 0, NOW, delete=False) == trims


def test_what_is_small_or_trimmed_already_is_not_trimmed_again() -> None:
    sessions = [held("small", 30_000, 0.05), held("trimmed", 20_000, 3, trimmed=True), held("whole", 10_000)]
    assert plan(sessions, 3_500_000, NOW) == [Step("whole", "trim")]
    assert plan(sessions, 3_050_000, NOW) == [Step("whole", "trim"), Step("small", "delete"), Step("trimmed", "delete")]


@pytest.mark.parametrize(
    "untouched",
    [
        held("x", status="running"),
        held("x", status="paused"),
        held("x", status="waiting"),
        held("x", watched=True),
        held("x", status="error", watched=True),
        held("x", MIN_AGE_S - 1),
        held("x", -3_600),
        held("x", MIN_AGE_S - 1, status="running", lost=True),
    ],
    ids=lambda one: f"{one.status} {one.watched} {NOW - one.updated_at:.0f}",
)
def test_what_runs_is_watched_or_young_is_never_touched(untouched: Held) -> None:
    assert plan([untouched], 0, NOW) == []
    assert plan([untouched, held("y")], 0, NOW) == [Step("y", "trim"), Step("y", "delete")]


@pytest.mark.parametrize(
    "fields", [{"status": "error"}, {"status": "running", "lost": True}, {"status": "paused", "lost": True}]
)
def test_a_session_that_failed_or_was_lost_is_finished(fields: dict[str, Any]) -> None:
    assert plan([held("x", **fields)], 500_000, NOW) == [Step("x", "trim")]


HELD = st.builds(
    Held,
    session_id=st.uuids().map(str),
    bytes=st.integers(0, 5 * MB),
    status=st.sampled_from(sorted(STATUSES)),
    updated_at=st.floats(NOW - 5 * MIN_AGE_S, NOW + 100),
    lost=st.booleans(),
    watched=st.booleans(),
    trimmed=st.booleans(),
)


@given(st.lists(HELD, max_size=12), st.integers(0, 20 * MB))
def test_whatever_there_is_only_what_is_over_goes_each_once_and_trims_come_before_deletions(
    sessions: list[Held], quota: int
) -> None:
    taken = plan(sessions, quota, NOW)
    by_id = {one.session_id: one for one in sessions}
    for step in taken:
        one = by_id[step.session_id]
        assert one.status in ("completed", "error") or one.lost
        assert not one.watched
        assert NOW - one.updated_at >= MIN_AGE_S
    actions = [step.action for step in taken]
    assert actions == sorted(actions, reverse=True)
    for action in ("trim", "delete"):
        turn = [by_id[step.session_id].updated_at for step in taken if step.action == action]
        assert turn == sorted(turn)
    assert len(set(taken)) == len(taken)
    if sum(one.bytes for one in sessions) <= quota:
        assert taken == []


def record(store: SqliteStore, name: str, *, at: float = 0.0, rows: int = 20_000, ends: bool = True) -> None:
    """Record a training of some hundred kilobytes, ``at`` seconds after the first."""
    store.append(name, batch("p", 1, event("training_started", at=at)))
    for first in range(0, rows, 1_000):
        store.append(name, batch("p", 2 + first, steps(first + int(at * 10), 1_000)))
    if ends:
        store.append(name, batch("p", 2 + rows, event("phase_completed", at=at + rows, status="completed")))
        return
    store.beat(name, Heartbeat(producer="p", attempt=1, beat=time.time(), pid=0, host="elsewhere", lease_s=3_600))


def test_a_store_over_its_quota_trims_the_oldest_and_says_so(
    sqlite: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("old", "new", "running")):
        record(sqlite, name, at=100.0 * number, ends=name != "running")
    sqlite.close()
    store = SqliteStore(Path(sqlite._folder.path))
    assert isinstance(store, DiskStore)
    before = {summary.session_id: summary for summary in store.summaries()}
    total = sum(map(store.bytes_on_disk, before))
    with caplog.at_level(logging.WARNING):
        done = list(keep(store, total - 1_000, time.time()))
    assert [one.step for one in done] == [Step("old", "trim")]
    assert done[0].left_bytes == total - done[0].freed_bytes == sum(map(store.bytes_on_disk, before))
    assert "session old was trimmed, its last state is kept" in caplog.text
    assert {summary.session_id: summary.state for summary in store.summaries()} == {
        name: summary.state for name, summary in before.items()
    }
    read = store.read("new", 0)
    assert read is not None
    assert read.floor == 1
    assert [one.step for one in keep(store, 1, time.time(), delete=False)] == [Step("new", "trim")]
    assert [one.step for one in keep(store, 1, time.time(), is_watched=lambda name: name == "new")] == [
        Step("old", "delete")
    ]
    assert {summary.session_id for summary in store.summaries()} == {"new", "running"}
    store.close()


def test_a_store_within_its_quota_keeps_everything(sqlite: SqliteStore) -> None:
    record(sqlite, "old", rows=1_000)
    assert list(keep(sqlite, 10 * MB, time.time())) == []


def test_a_session_that_goes_on_while_room_is_made_is_left_alone(sqlite: SqliteStore) -> None:
    for number, name in enumerate(("first", "second")):
        record(sqlite, name, at=100.0 * number)
    turns = keep(sqlite, 1, time.time())
    assert next(turns).step == Step("first", "trim")
    again = Event(event_type="training_started", timestamp=time.time())
    sqlite.append("second", Batch(producer=batch("q", 1).producer, sequence=1, bodies=[again]))
    assert [one.step for one in turns] == [Step("first", "delete")]
    read = sqlite.read("second", 0)
    assert read is not None
    assert read.floor == 1


class Raced(SqliteStore):
    """A store to which a training records just after somebody has looked where its log ends."""

    def snapshot(self, session_id: str) -> Snapshot | None:
        found = super().snapshot(session_id)
        again = Event(event_type="training_started", timestamp=time.time())
        self.append(session_id, Batch(producer=Producer(id="q"), sequence=1, bodies=[again]))
        return found


@pytest.mark.parametrize("trimmed", [False, True])
def test_what_is_recorded_in_the_moment_in_which_a_session_is_dropped_stays(folder: Path, trimmed: bool) -> None:
    store = Raced(folder)
    record(store, "old")
    if trimmed:
        store.trim("old", 2**53)
    done = [one.step.action for one in keep(store, 1, time.time())]
    assert done == ([] if trimmed else ["trim"])
    read = store.read("old", 0)
    assert read is not None
    assert [kept.producer for kept in read.records] == ["q"]
    store.close()


def test_a_session_that_somebody_comes_to_see_while_room_is_made_is_left_alone(sqlite: SqliteStore) -> None:
    for number, name in enumerate(("first", "second")):
        record(sqlite, name, at=100.0 * number)
    watching: set[str] = set()
    turns = keep(sqlite, 1, time.time(), is_watched=watching.__contains__)
    assert next(turns).step == Step("first", "trim")
    watching |= {"first", "second"}
    assert list(turns) == []


def test_a_session_that_cannot_be_trimmed_holds_up_no_other(
    sqlite: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("broken", "whole")):
        record(sqlite, name, at=100.0 * number)
    turns = keep(sqlite, 1, time.time(), delete=False)
    with sqlite._connections.hold("broken", "write") as slot:
        assert slot.file is not None
        slot.file._execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING):
        assert [one.step for one in turns] == [Step("whole", "trim")]
    assert "session broken is left as it is" in caplog.text
    with sqlite._connections.hold("broken", "write") as slot:
        assert slot.file is not None
        slot.file._execute("ROLLBACK")


def test_a_store_that_keeps_nothing_on_a_disk_has_no_quota() -> None:
    assert not isinstance(MemoryStore(), DiskStore)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 KB"),
        (4_240_000, "4.2 MB"),
        (812_000_000, "812 MB"),
        (3 * 10**15, "3000 TB"),
    ],
)
def test_bytes_are_said_in_words(count: int, said: str) -> None:
    assert words_of_bytes(count) == said


def test_the_times_of_the_tests_are_long_ago() -> None:
    assert time.time() - START > MIN_AGE_S


def test_no_less_than_nothing_is_said_to_be_freed() -> None:
    said = str(Dropped(Step("s", "trim"), -21_100, 1_900_000))
    assert "its space is given back once no server or kernel has it open, all sessions take 1.9 MB now" in said
    assert "21.1 KB freed" in str(Dropped(Step("s", "delete"), 21_100, 1_900_000))
