"""Session files that are broken, suspected, cut, or half made, and what is done about them.

Judged by one rule: what was acknowledged is in the log, or in the file that was set aside or moved, and in the state.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import StoreDamaged, StoreUnavailable
from forge_widgets.stores.connections import Slot
from forge_widgets.stores.damage import set_aside
from forge_widgets.stores.folder import Folder
from forge_widgets.stores.session_file import CHECKED_WHOLE_BYTES, SessionFile
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, steps
from tests.stores.conftest import Start, wait_until
from tests.stores.reading import state_of, steps_in, steps_in_file


def damage_page(file: Path, page: int) -> None:
    with file.open("r+b") as opened:
        opened.seek((page - 1) * 4096)
        opened.write(b"\xa5" * 4096)


@pytest.fixture
def closed(sqlite: SqliteStore, folder: Path) -> Path:
    """Give the file of a session ``s`` that nobody has open, beside one ``t``."""
    for session_id in ("s", "t"):
        for number in range(20):
            sqlite.append(session_id, batch("p", 1 + 100 * number, steps(100 * number, 100)))
    sqlite.close()
    return folder / "sessions" / "s.sqlite"


@pytest.mark.parametrize("harm", ["page", "header", "truncated", "garbage", "foreign", "no row"])
def test_a_damaged_file_is_set_aside_and_said(
    closed: Path, folder: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    if harm == "page":
        damage_page(closed, 5)
    elif harm == "header":
        damage_page(closed, 1)
    elif harm == "truncated":
        os.truncate(closed, closed.stat().st_size // 2)
    elif harm == "garbage":
        closed.write_bytes(b"no database" * 1_000)
    else:
        with closing(apsw.Connection(str(closed))) as connection:
            statements = {"foreign": "PRAGMA application_id = 1", "no row": "DELETE FROM meta"}
            connection.execute(statements[harm])
    content = closed.read_bytes()
    store = SqliteStore(folder)
    for _ in range(2):  # a reader says it, and moves nothing
        with pytest.raises(StoreDamaged) as raised:
            store.read("s", 0)
        assert str(closed) in str(raised.value)
    # A list needs the newest records only, so it still shows what has lost an old page.
    assert {summary.session_id for summary in store.summaries()} == ({"s", "t"} if harm == "page" else {"t"})
    assert closed.read_bytes() == content
    receipt = store.append("s", batch("p", 2_001, steps(2_000, 5)))
    assert (receipt.top, receipt.sequence) == (5, 2_005)
    assert (closed.parent / "s.sqlite.damaged-1").read_bytes() == content
    assert "set aside as s.sqlite.damaged-1" in caplog.text
    assert steps_in(store) == [2_000, 2_001, 2_002, 2_003, 2_004]
    assert {summary.session_id for summary in store.summaries()} == {"s", "t"}
    assert store.append("t", batch("p", 2_001, steps(2_000, 5))).top == 2_005
    assert not Path(f"{closed}.suspect").exists()
    store.close()


def test_damage_that_only_a_reader_meets_is_looked_into_by_the_writer(sqlite: SqliteStore, folder: Path) -> None:
    """The writer needs none of the old pages: it would append to a file that nobody can read any more."""
    for number in range(40):
        sqlite.append("s", batch("p", 1 + 100 * number, steps(100 * number, 100)))
    file = sqlite._path("s")
    with apsw.Connection(str(file)) as connection:
        connection.execute("UPDATE records SET body = x'00' WHERE offset = 1")
    assert sqlite.append("s", batch("p", 4_001, steps(4_000, 10))).top == 4_010
    reader = SqliteStore(folder)
    with pytest.raises(StoreDamaged):
        reader.read("s", 0)
    receipt = sqlite.append("s", batch("p", 4_011, steps(4_010, 10)))
    assert (receipt.top, receipt.sequence) == (10, 4_020)
    assert steps_in(reader) == list(range(4_010, 4_020))
    assert state_of(reader).rows == 4_020
    reader.close()


def test_a_suspicion_that_was_wrong_is_looked_into_once(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sqlite.append("s", batch("p", 1, steps(0, 5)))
    Path(f"{sqlite._path('s')}.suspect").touch()
    looked = []
    read_whole = SessionFile.read_whole

    def count(file: SessionFile) -> None:
        looked.append(file)
        read_whole(file)

    monkeypatch.setattr(SessionFile, "read_whole", count)
    for sequence in range(6, 10):
        assert sqlite.append("s", batch("p", sequence, steps(sequence, 1))).epoch == before.epoch
    assert len(looked) == 1


@pytest.mark.parametrize("harm", ["truncated", "removed"])
def test_a_write_ahead_log_that_is_harmed_under_a_writer_is_noticed(
    sqlite: SqliteStore, folder: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = sqlite.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    sqlite.append("s", batch("p", 7, steps(5, 5)))
    wal = folder / "sessions" / "s.sqlite-wal"
    if harm == "truncated":
        os.truncate(wal, wal.stat().st_size // 2)
    else:
        wal.unlink()
    after = sqlite.append("s", batch("p", 12, steps(10, 5)))
    assert after.epoch != before.epoch
    assert steps_in(sqlite) == [10, 11, 12, 13, 14]
    assert state_of(sqlite).rows == 15
    assert "set aside" in caplog.text
    if harm == "removed":
        assert steps_in_file(folder / "sessions" / "s.sqlite.damaged-1") == list(range(10))


def test_a_checkpoint_from_outside_is_no_damage(sqlite: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    before = sqlite.append("s", batch("p", 1, steps(0, 50)))
    with closing(apsw.Connection(str(sqlite._path("s")))) as connection:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    for sequence in (51, 56):
        assert sqlite.append("s", batch("p", sequence, steps(sequence - 1, 5))).epoch == before.epoch
    assert steps_in(sqlite) == list(range(60))
    assert caplog.records == []


def test_a_snapshot_in_which_a_bit_turned_is_not_gone_on_with(sqlite: SqliteStore, folder: Path) -> None:
    for number in range(70):
        sqlite.append("s", batch("p", 1 + 10 * number, steps(10 * number, 10)))
    before = state_of(sqlite)
    with closing(apsw.Connection(str(sqlite._path("s")))) as connection:
        [(whole,)] = connection.execute("SELECT state FROM snapshot").fetchall()
        assert isinstance(whole, bytes)
        for place in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            connection.execute("UPDATE snapshot SET state = ?", (bytes(changed),))
            with closing(SqliteStore(folder)) as fresh:
                assert state_of(fresh) == before


def test_two_writers_that_see_damage_at_once_set_it_aside_once(closed: Path, folder: Path) -> None:
    damage_page(closed, 1)
    stores = [SqliteStore(folder) for _ in range(4)]
    ready = threading.Barrier(4)

    def write(number: int) -> None:
        ready.wait(10)
        for sequence in range(1, 6):
            stores[number].append("s", batch(f"p{number}", sequence, steps(sequence, 1)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [path.name for path in sorted(folder.glob("sessions/*damaged*"))] == ["s.sqlite.damaged-1"]
    assert sorted(steps_in(stores[0])) == sorted([1, 2, 3, 4, 5] * 4)
    for store in stores:
        store.close()


def test_a_file_that_has_taken_the_damaged_ones_place_is_left_alone(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    file = sqlite._path("s")
    set_aside(Folder(folder), Slot(), file, file.stat().st_ino + 1, StoreDamaged(str(file), "of another file"))
    assert steps_in(sqlite) == [0, 1, 2, 3, 4]


def test_a_log_that_is_restored_from_a_copy_under_its_reader_and_writer_is_folded_afresh(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    """As ``.restore`` of SQLite's shell does it: in place, with everybody's connections open."""
    other = SqliteStore(tmp_path / "other")
    other.append("s", batch("q", 1, steps(90, 3)))
    sqlite.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    before = sqlite.version("s")
    assert state_of(sqlite).rows == 5
    source, target = apsw.Connection(str(other._path("s"))), apsw.Connection(str(sqlite._path("s")))
    with target.backup("main", source, "main") as backup:
        backup.step()
    target.close()
    source.close()
    other.close()
    assert sqlite.version("s") != before
    assert sqlite.append("s", batch("q", 4, steps(93, 2))).top == 5
    assert steps_in(sqlite) == [90, 91, 92, 93, 94]
    assert state_of(sqlite).rows == 5
    assert state_of(sqlite).value("currentStep") == 94


def test_a_large_file_is_checked_at_its_header_and_tables_only(folder: Path) -> None:
    store = SqliteStore(folder)
    number = 0
    file = folder / "sessions" / "s.sqlite"
    while not file.exists() or file.stat().st_size <= CHECKED_WHOLE_BYTES:
        store.append("s", batch("p", 0, *(steps(number + 1_000 * part, 1_000) for part in range(50))))
        number += 50_000
    snapshot = store.snapshot("s")
    store.close()
    damage_page(file, file.stat().st_size // 4096 // 2)
    again = SqliteStore(folder)
    assert again.snapshot("s") == snapshot
    again.close()
    damage_page(file, 1)
    with pytest.raises(StoreDamaged):
        SqliteStore(folder).snapshot("s")


def test_what_is_left_of_a_lost_file_does_not_get_into_its_successor(sqlite: SqliteStore, folder: Path) -> None:
    """A write-ahead log without its database would be taken for that of the next one of this name."""
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    wal = folder / "sessions" / "s.sqlite-wal"
    kept = wal.read_bytes()
    sqlite.close()
    (folder / "sessions" / "s.sqlite").unlink()
    wal.write_bytes(kept)
    again = SqliteStore(folder)
    assert again.snapshot("s") is None
    again.append("s", batch("q", 1, steps(50, 2)))
    assert steps_in(again) == [50, 51]
    again.close()
    lost = folder / "sessions" / "lost.sqlite"
    journals = [Path(f"{lost}{suffix}") for suffix in ("-wal", "-shm", "-journal")]
    for journal in journals:
        journal.write_bytes(kept)
    with Folder(folder).lock():
        Folder(folder).make_file(lost)
    assert not any(journal.exists() for journal in journals)


def test_a_file_whose_maker_was_killed_before_it_was_done_is_made_by_the_next(folder: Path) -> None:
    Folder(folder).prepare()
    (folder / "sessions" / "s.sqlite").touch()
    store = SqliteStore(folder)
    assert store.snapshot("s") is None
    assert store.summaries() == []
    assert store.append("s", batch("p", 1, steps(0, 5))).top == 5
    assert steps_in(store) == [0, 1, 2, 3, 4]
    store.close()


def test_a_file_that_cannot_be_set_aside_is_said_and_nothing_acknowledged(
    closed: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage_page(closed, 1)
    store = SqliteStore(folder)

    def refuse(*arguments: object) -> Path:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "set_aside", refuse)
        with pytest.raises(StoreUnavailable, match="not permitted"):
            store.append("s", batch("p", 1, steps(0, 5)))
    assert store.append("s", batch("p", 1, steps(0, 5))).top == 5
    store.close()


def test_a_fork_waits_for_an_append_that_is_under_way(sqlite: SqliteStore, folder: Path, start: Start) -> None:
    """The lock of a session is held for as long as another process holds the file's: the child must find it free."""
    if not hasattr(os, "fork"):
        pytest.skip("there are no forks here")
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    locker = start("lock", folder, "s")
    assert locker.stdout is not None
    locker.stdout.readline()
    refused = threading.Event()

    def append() -> None:
        try:
            sqlite.append("s", batch("p", 6, steps(5, 5)))
        except StoreUnavailable:
            refused.set()

    thread = threading.Thread(target=append)
    thread.start()
    with sqlite._connections._lock:
        slot = sqlite._connections._slots["s", "write"]
    wait_until(slot.lock.locked)
    assert slot.lock in sqlite._connections.fork_locks()
    child = os.fork()
    if child == 0:
        os._exit(0 if steps_in(sqlite) == [0, 1, 2, 3, 4] else 1)
    locker.communicate("go\n", timeout=10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join(10)
    assert refused.is_set() or steps_in(sqlite) == list(range(10))


def test_nothing_is_logged_where_nothing_is_wrong(sqlite: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        sqlite.append("s", batch("p", 1, steps(0, 5)))
        sqlite.beat("s", Heartbeat(producer="p"))
        sqlite.summaries()
        sqlite.delete("s")
    assert caplog.records == []
