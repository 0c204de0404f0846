"""What a connection remembers between two appends: right whoever else writes, trims or compacts meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.events import Batch, Body, Producer
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import Cursor
from forge_widgets.errors import SequenceGap
from forge_widgets.stores import appender, codec
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import START, batch, event, steps
from tests.stores.reading import state_of, steps_in, steps_in_file


@pytest.fixture
def other(folder: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(folder)) as store:
        yield store


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let snapshots come by the count of records alone, however slow this machine is."""
    monkeypatch.setattr(appender, "SNAPSHOT_S", 3_600.0)


def noted(store: SqliteStore) -> list[tuple[object, ...]]:
    """Return what the table of producers says."""
    with closing(apsw.Connection(str(store._path("s")))) as connection:
        return list(connection.execute("SELECT id, sequence FROM producers ORDER BY id"))


def record_rows(store: SqliteStore, appends: int = 10) -> None:
    """Record a training's first rows, three an append."""
    for number in range(appends):
        store.append("s", batch("p", 1 + 3 * number, steps(3 * number, 3)))


def test_rows_leave_the_table_of_producers_alone_until_the_next_snapshot(sqlite: SqliteStore) -> None:
    record_rows(sqlite, 10)
    assert noted(sqlite) == [("p", 3)]
    record_rows(sqlite, 100)
    assert 3 * (100 - appender.SNAPSHOT_EVERY) <= int(str(noted(sqlite)[0][1])) <= 300


def test_where_a_producer_stands_is_known_to_whoever_opens_the_file(sqlite: SqliteStore, other: SqliteStore) -> None:
    record_rows(sqlite)
    assert other.append("s", batch("p", 25, steps(24, 6))).repeated == 6
    with pytest.raises(SequenceGap) as gap:
        other.append("s", batch("p", 32, steps(31, 1)))
    assert gap.value.expected == 31
    assert steps_in(other) == list(range(30))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_producer_that_writes_through_two_processes_repeats_nothing(
    sqlite: SqliteStore, other: SqliteStore, rows: int
) -> None:
    """As where a batch is sent again to another server."""
    for first in range(1, 60, rows):
        for store in (sqlite, other):
            receipt = store.append("s", batch("p", first, steps(first - 1, rows)))
            assert receipt.sequence == first + rows - 1
            assert receipt.repeated == (0 if store is sqlite else rows)
    assert len(steps_in(sqlite)) == state_of(other).rows == len(set(steps_in(sqlite)))


def test_what_another_producer_appends_in_between_is_followed(sqlite: SqliteStore, other: SqliteStore) -> None:
    record_rows(sqlite)
    assert other.append("s", batch("q", 1, steps(500, 5))).top == 35
    assert sqlite.append("s", batch("p", 31, steps(30, 3))).top == 38
    two = batch("p", 34, steps(33, 3), steps(36, 3))
    other.append("s", batch("q", 6, steps(505, 1)))
    assert sqlite.append("s", two).top == 45
    assert sqlite.append("s", batch("p", 40, steps(39, 2), steps(41, 2))).top == 49
    assert state_of(sqlite).rows == 49


def test_a_producer_of_whom_more_came_through_another_connection_is_looked_up_again(
    sqlite: SqliteStore, other: SqliteStore
) -> None:
    """The one that catches up with an event of its own must not take the others for what they were."""
    record_rows(sqlite)
    other.append("s", batch("p", 31, steps(30, 3)))
    sqlite.append("s", batch("q", 1, event("alert")))
    assert sqlite.append("s", batch("p", 31, steps(30, 3))).repeated == 3
    assert steps_in(sqlite) == list(range(33))


@pytest.mark.parametrize("upto", [5, 17, 30])
def test_what_is_trimmed_stays_known(sqlite: SqliteStore, other: SqliteStore, upto: int) -> None:
    record_rows(sqlite)
    assert other.trim("s", upto) == upto + 1
    assert sqlite.append("s", batch("p", 31, steps(30, 3))).top == 33
    assert other.trim("s", 33) == 34
    with closing(SqliteStore(other._folder.path)) as fresh:
        assert fresh.append("s", batch("p", 25, steps(24, 10))).repeated == 9
        assert steps_in(fresh) == [33]
    assert state_of(sqlite).rows == 34


def test_what_is_compacted_stays_known(sqlite: SqliteStore, other: SqliteStore) -> None:
    """A large record begins before the snapshot and ends after it."""
    record_rows(sqlite, 100)
    assert other.compact("s", whole=True)
    assert noted(sqlite) == [("p", 300)]
    assert sqlite.append("s", batch("p", 301, steps(300, 3))).top == 303
    assert other.append("s", batch("p", 298, steps(297, 7))).repeated == 6
    assert steps_in(sqlite) == list(range(304))


def test_a_log_that_is_cleared_begins_with_whoever_comes(sqlite: SqliteStore, other: SqliteStore) -> None:
    record_rows(sqlite)
    read = other.read("s", 0)
    assert read is not None
    assert other.clear("s", Cursor(read.epoch, read.top))
    assert sqlite.append("s", batch("p", 31, steps(30, 3))).top == 33
    assert other.append("s", batch("p", 34, steps(33, 3))).top == 36
    assert steps_in(sqlite) == list(range(30, 36))


def test_of_a_cleared_log_none_is_remembered_when_one_comes_back(sqlite: SqliteStore, other: SqliteStore) -> None:
    for producer in "pq":
        sqlite.append("s", batch(producer, 1, steps(0, 3)))
    receipt = sqlite.append("s", batch("q", 4, steps(3, 1)))
    assert other.clear("s", Cursor(receipt.epoch, receipt.top))
    sqlite.append("s", batch("p", 4, steps(3, 3)))
    sqlite.append("s", batch("q", 5, steps(4, 3)))
    # As where the answer was lost, or another server is asked.
    assert other.append("s", batch("q", 5, steps(4, 3))).repeated == 3
    assert steps_in(other) == [3, 4, 5, 4, 5, 6]


def test_a_file_that_is_put_back_as_it_was_is_gone_on_with_from_there(sqlite: SqliteStore, folder: Path) -> None:
    record_rows(sqlite, 4)
    sqlite.close()
    file, kept = folder / "sessions" / "s.sqlite", folder / "kept"
    shutil.copy(file, kept)
    record_rows(sqlite, 6)
    sqlite.close()
    shutil.copy(kept, file)
    with pytest.raises(SequenceGap):
        sqlite.append("s", batch("p", 19, steps(18, 3)))
    assert sqlite.append("s", batch("p", 13, steps(12, 3))).top == 15


@pytest.mark.parametrize(
    "body",
    [
        block_of([(START + 99, {"größe": 1.0})]),
        block_of([(START + 99, {"odd \ud800": 1.0})]),
        event("alert", at=99.0),
    ],
)
def test_what_is_more_than_plain_rows_is_recorded_among_them(sqlite: SqliteStore, body: Body) -> None:
    record_rows(sqlite)
    assert sqlite.append("s", batch("p", 31, body)).top == 31
    assert sqlite.append("s", batch("p", 32, steps(30, 2))).top == 33
    assert state_of(sqlite).updated_at == START + 99


def test_an_empty_block_takes_no_place(sqlite: SqliteStore) -> None:
    record_rows(sqlite)
    receipt = sqlite.append("s", batch("p", 31, block_of([])))
    assert (receipt.top, receipt.sequence) == (30, 30)
    assert sqlite.append("s", batch("p", 31)).top == 30
    assert sqlite.append("s", batch("p", 31, steps(30, 1))).top == 31


def test_more_producers_than_are_remembered_are_told_apart(sqlite: SqliteStore) -> None:
    names = [f"p{number}" for number in range(appender.MAX_KNOWN + 5)]
    for turn in range(2):
        for name in names:
            assert sqlite.append("s", batch(name, 1 + turn, steps(turn, 1))).sequence == 1 + turn
    assert all(sqlite.append("s", batch(name, 1, steps(0, 2))).repeated == 2 for name in names)


def test_a_bare_producer_is_numbered_by_the_store(sqlite: SqliteStore) -> None:
    bare = Producer(id="http", bare=True)
    assert [sqlite.append("s", batch(bare, 0, steps(number, 2))).sequence for number in range(3)] == [2, 4, 6]


@pytest.mark.parametrize(
    "news",
    [
        batch("p", 31, event("training_error", at=99.0)),
        batch("p", 31, event("phase_completed", at=99.0, status="completed")),
        batch("q", 1, event("training_started", at=99.0)),
    ],
)
def test_a_status_is_never_older_in_the_snapshot_than_in_the_log(sqlite: SqliteStore, news: Batch) -> None:
    record_rows(sqlite)
    sqlite.append("s", news)
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        [(state,)] = connection.execute("SELECT state FROM snapshot").fetchall()
    assert codec.decode_state(state) == state_of(sqlite)


def test_a_snapshot_comes_with_time_too(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "SNAPSHOT_S", 0.0)
    record_rows(sqlite, 3)
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        assert connection.execute("SELECT offset FROM snapshot").fetchall() == [(9,)]
    assert noted(sqlite) == [("p", 9)]


def test_a_writer_that_ends_leaves_its_file_whole_although_a_reader_stays(
    sqlite: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    record_rows(sqlite)
    assert len(steps_in(other)) == 30
    sqlite.close()
    assert (other._path("s").with_name("s.sqlite-wal")).exists()
    shutil.copy(other._path("s"), tmp_path / "copy.sqlite")
    assert steps_in_file(tmp_path / "copy.sqlite") == list(range(30))


def test_an_interrupt_while_an_append_waits_leaves_its_slot_to_others(sqlite: SqliteStore) -> None:
    class Interrupted:
        def acquire(self) -> bool:
            raise KeyboardInterrupt

    record_rows(sqlite, 1)
    slot = sqlite._connections._slots["s", "write"]
    lock, slot.lock = slot.lock, Interrupted()  # type: ignore[assignment]  # where a signal's handler would raise it
    with pytest.raises(KeyboardInterrupt):
        sqlite.append("s", batch("p", 4, steps(3, 3)))
    slot.lock = lock
    assert slot.users == 0
    assert sqlite.append("s", batch("p", 4, steps(3, 3))).top == 6
