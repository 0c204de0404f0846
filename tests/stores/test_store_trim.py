"""A SQLite store's files trimmed while other processes read and append, and killed in the middle of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from forge_widgets.core.state import fold_all
from forge_widgets.core.subscription import SessionLog
from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, recorded_steps, steps
from tests.stores.conftest import Start, wait_until


def fill(store: SqliteStore, blocks: int = 40, rows: int = 500) -> None:
    """Record rows that take some hundred kilobytes."""
    for number in range(blocks):
        store.append("s", batch("p", 1 + rows * number, steps(rows * number, rows)))


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "sessions").glob("s.sqlite*"))


def test_a_trimmed_file_is_smaller_on_the_disk(sqlite: SqliteStore, folder: Path) -> None:
    fill(sqlite)
    sqlite.close()
    before = size_of(folder)
    store = SqliteStore(folder)
    store.trim("s", 20_000)
    assert size_of(folder) < before / 3
    store.close()
    assert before > 200_000


def test_a_file_that_is_open_is_smaller_too_once_it_was_trimmed(sqlite: SqliteStore, folder: Path) -> None:
    fill(sqlite)
    sqlite.close()  # brings the write-ahead log into the file
    before = size_of(folder)
    training = SqliteStore(folder)
    training.append("s", batch("p", 20_001, steps(20_000, 10)))
    assert training.trim("s", 19_990) == 19_991
    assert (folder / "sessions" / "s.sqlite").stat().st_size < before / 3
    assert training.append("s", batch("p", 20_011, steps(20_010, 10))).top == 20_020
    training.close()


def test_a_trim_of_little_leaves_the_file_at_its_size(sqlite: SqliteStore, folder: Path) -> None:
    fill(sqlite, blocks=8)
    sqlite.close()
    before = size_of(folder)
    store = SqliteStore(folder)
    store.trim("s", 500)
    store.close()
    assert size_of(folder) == before


def test_other_processes_go_on_with_a_log_that_was_trimmed_before_or_behind_them(
    sqlite: SqliteStore, folder: Path
) -> None:
    fill(sqlite, blocks=4)
    behind, ahead = SqliteStore(folder), SqliteStore(folder)
    assert ahead.snapshot("s") == sqlite.snapshot("s") == behind.snapshot("s")  # what each remembers from now on
    sqlite.append("s", batch("p", 2_001, steps(2_000, 10)))
    assert ahead.snapshot("s") == sqlite.snapshot("s")
    sqlite.trim("s", 2_005)
    assert behind.snapshot("s") == ahead.snapshot("s") == sqlite.snapshot("s")
    for other in (behind, ahead):
        receipt = other.append("s", batch("p", 2_001, steps(2_000, 10)))
        assert (receipt.repeated, receipt.top) == (10, 2_010)
    assert behind.append("s", batch("q", 1, steps(0, 3))).top == 2_013
    snapshot = sqlite.snapshot("s")
    assert snapshot is not None
    assert snapshot.state.rows == 2_013
    behind.close()
    ahead.close()


def test_a_trim_waits_for_a_lock_and_changes_nothing_where_it_never_gets_it(
    sqlite: SqliteStore, folder: Path, start: Start
) -> None:
    fill(sqlite, blocks=2)
    holder = start("lock", folder, "s")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(StoreUnavailable, match="another process holds its lock"):
        sqlite.trim("s", 500)
    holder.communicate("\n")
    read = sqlite.read("s", 0)
    assert read is not None
    assert (read.floor, read.top) == (1, 1_000)
    assert sqlite.trim("s", 500) == 501


def test_a_session_is_trimmed_again_and_again_while_another_process_appends(folder: Path, start: Start) -> None:
    writer = start("append", folder, "s", "p", 50, 60)
    store = SqliteStore(folder)
    log = SessionLog("s")
    wait_until(lambda: store.snapshot("s") is not None)
    while log.top < 3_000:
        read = store.read("s", log.top)
        assert read is not None
        assert read.floor <= log.top + 1
        log.apply(read)
        store.trim("s", log.top - 70)
    assert writer.wait(30) == 0
    read, snapshot = store.read("s", 0), store.snapshot("s")
    assert read is not None
    assert snapshot is not None
    assert fold_all(read.base, read.records) == snapshot.state == log.state
    assert recorded_steps(read.records) == list(range(read.floor, 3_001))
    store.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_trim_that_is_killed_has_happened_or_has_not(
    sqlite: SqliteStore, folder: Path, start: Start, seed: int
) -> None:
    fill(sqlite, blocks=30)
    state = sqlite.snapshot("s")
    trimmer = start("trim", folder, "s", 700)
    assert trimmer.stdout is not None
    chance, said = random.Random(seed), 1
    for _ in range(chance.randrange(1, 15)):
        said = int(trimmer.stdout.readline())
    trimmer.kill()
    trimmer.wait(10)
    read = sqlite.read("s", 0)
    assert read is not None
    assert (read.floor - 1) % 700 == 0 or read.floor == read.top + 1
    assert said <= read.floor
    assert sqlite.snapshot("s") == state
    assert state is not None
    assert fold_all(read.base, read.records) == state.state
    assert sqlite.append("s", batch("p", 15_001, steps(15_000, 5))).top == 15_005
    assert sqlite.trim("s", 15_003) == 15_004


def test_a_damaged_session_is_not_trimmed(sqlite: SqliteStore, folder: Path) -> None:
    fill(sqlite, blocks=2)
    sqlite.close()
    (folder / "sessions" / "s.sqlite").write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreDamaged):
        SqliteStore(folder).trim("s", 5)
