"""A folder of SQLite files: processes, rights, names, copies, lists."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import InvalidStoreURL
from forge_widgets.stores import codec, connections, open_store
from forge_widgets.stores.base import Store
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, recorded_steps, steps
from tests.stores.conftest import Start


def steps_of(store: Store, session_id: str, producer: str) -> list[float]:
    read = store.read(session_id, 0, 10_000_000)
    assert read is not None
    return recorded_steps(record for record in read.records if record.producer == producer)


def test_importing_the_package_and_its_stores_loads_no_database_library() -> None:
    asked = (
        "import sys, forge_widgets, forge_widgets.stores as s; s.open_store('memory://x');"
        "assert not {'apsw', 'jupyter_core'} & set(sys.modules); s.open_store('f'); assert 'apsw' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", asked], check=True, cwd=Path(__file__).parents[2], timeout=30)


def test_opening_a_store_makes_nothing(folder: Path) -> None:
    store = open_store(folder)
    assert store.summaries() == []
    assert store.snapshot("s") is None
    assert not folder.exists()


def test_urls_name_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.chdir(tmp_path)
    spaced = f"sqlite:///{tmp_path}/a%20b"
    assert open_store(f"sqlite:///{tmp_path}/x").url == open_store("sqlite:///x").url == open_store("x").url
    assert open_store(tmp_path / "a b").url == open_store(spaced).url == spaced
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/x").url == open_store("x").url
    assert open_store().url == f"sqlite:///{data_dir}/forge_widgets"
    monkeypatch.setenv("FORGE_WIDGETS_STORE", "memory://named")
    assert open_store() is open_store("memory://named")
    store = open_store("x")
    assert open_store(store) is store


@pytest.mark.parametrize(
    "url", ["", "  ", "sqlite://", "sqlite:///", "sqlite://x", "memory://", "ftp://x", "http://", "https:///x", "a\0b"]
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidStoreURL) as raised:
        open_store(url)
    assert repr(url) in str(raised.value)


def test_processes_append_to_one_session_and_to_many_at_once(folder: Path, start: Start) -> None:
    writers = [start("append", folder, "shared", f"p{number}", 7, 30) for number in range(3)]
    writers += [start("append", folder, f"own-{number}", f"p{number}", 7, 30) for number in range(2)]
    acknowledged = [int(writer.communicate(timeout=60)[0].split()[-1]) for writer in writers]
    assert acknowledged == [210] * 5
    store = open_store(folder)
    for number in range(3):
        assert steps_of(store, "shared", f"p{number}") == list(range(1, 211))
    for number in range(2):
        assert steps_of(store, f"own-{number}", f"p{number}") == list(range(1, 211))
    read = store.read("shared", 0)
    assert read is not None
    assert read.top == 630
    assert [record.offset for record in read.records] == list(range(1, 631, 7))


def test_what_was_acknowledged_is_there_after_kill_9(folder: Path, start: Start) -> None:
    writer = start("append", folder, "s", "p", 5, 100_000)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.communicate(timeout=10)[0].split()]
    store = open_store(folder)
    kept = steps_of(store, "s", "p")
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= acknowledged[-1]
    assert store.append("s", batch("p", len(kept) + 1, steps(0, 1))).repeated == 0


def _append_in_child(store: Store, session_id: str, count: int) -> None:
    for sequence in range(1, count + 1):
        store.append(session_id, batch(f"child-{os.getpid()}", sequence, steps(sequence, 1)))
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_goes_on_with_connections_of_its_own(folder: Path) -> None:
    sqlite = SqliteStore(folder)
    sqlite.append("s", batch("parent", 1, event("training_started"), steps(1, 1)))
    sqlite.beat("s", Heartbeat(producer="parent"))
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_append_in_child, args=(sqlite, "s", 10)) for _ in range(3)]
    for child in children:
        child.start()
    for sequence in range(3, 23):
        sqlite.append("s", batch("parent", sequence, steps(sequence, 1)))
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    sqlite.append("s", batch("parent", 23, steps(23, 1)))
    read = sqlite.read("s", 0)
    assert read is not None
    assert read.top == 23 + 30
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sqlite.close()


def test_a_store_reads_what_other_connections_of_its_process_write(sqlite: SqliteStore, folder: Path) -> None:
    other = SqliteStore(folder)
    seen = []
    for number in range(3):
        (sqlite, other)[number % 2].append("s", batch(f"p{number}", 1, steps(number, 1)))
        seen.append((sqlite.version("s"), other.version("s"), sqlite.snapshot("s")))
        assert sqlite.snapshot("s") == other.snapshot("s")
    assert len(set(map(repr, seen))) == 3
    other.close()


def test_more_sessions_than_may_be_open_at_once_are_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OPEN", 20)
    sqlite = SqliteStore(folder)
    for turn in range(2):
        for number in range(30):
            sqlite.append(f"s{number}", batch("p", turn + 1, steps(turn, 1)))
    assert len(sqlite._connections._slots) == 20
    assert len(sqlite.summaries()) == 30
    sqlite.close()


@pytest.mark.parametrize(("files", "kept"), [(256, 64), (1_024, 85), (20_000, 512), (-1, 512)])
def test_as_many_files_are_kept_open_as_the_process_can_spare(
    files: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connections.most_open() == kept


def test_opening_folds_no_more_than_the_records_since_the_snapshot(sqlite: SqliteStore, folder: Path) -> None:
    for number in range(200):
        sqlite.append("s", batch("p", number + 1, steps(number, 1)))
    snapshot = sqlite.snapshot("s")
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        [(offset,)] = connection.execute("SELECT offset FROM snapshot").fetchall()
        assert isinstance(offset, int)
        assert 200 - 64 <= offset <= 200
        connection.execute("DELETE FROM records WHERE offset <= ?", (offset,))
    fresh = SqliteStore(folder)
    assert fresh.snapshot("s") == snapshot
    fresh.close()


def test_a_snapshot_of_another_format_is_folded_again(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        sqlite.append("s", batch("p", number + 1, steps(number, 1)))
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        connection.execute("UPDATE snapshot SET state = x'c1'")
    fresh = SqliteStore(folder)
    assert fresh.snapshot("s") == sqlite.snapshot("s")
    monkeypatch.setattr(codec, "STATE_FORMAT", codec.STATE_FORMAT + 1)
    again = SqliteStore(folder)
    assert again.snapshot("s") == sqlite.snapshot("s")
    fresh.close()
    again.close()
