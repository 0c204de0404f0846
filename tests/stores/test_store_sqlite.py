"""A folder of SQLite files: processes, rights, names, copies, lists."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.events import Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import InvalidStoreURL, StoreUnavailable
from forge_widgets.stores import codec, open_store, schema
from forge_widgets.stores.base import Store, Summary
from forge_widgets.stores.beats import BEAT_BYTES, KEPT_S
from forge_widgets.stores.connections import MAX_OPEN
from forge_widgets.stores.filenames import stem_of
from forge_widgets.stores.folder import _write_once
from forge_widgets.stores.network_fs import is_network
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


def test_more_sessions_than_may_be_open_at_once_are_served(sqlite: SqliteStore) -> None:
    for turn in range(2):
        for number in range(MAX_OPEN + 10):
            sqlite.append(f"s{number}", batch("p", turn + 1, steps(turn, 1)))
    assert len(sqlite._connections._slots) == MAX_OPEN
    assert len(sqlite.summaries()) == MAX_OPEN + 10


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


# --- rights and names ---------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_everything_is_for_its_owner_only(sqlite: SqliteStore, folder: Path) -> None:
    before = os.umask(0)
    try:
        sqlite.append("s", batch("p", 1, steps(0, 1)))
        sqlite.beat("s", Heartbeat(producer="p"))
        _ = sqlite.store_id
        sqlite._index._save({}, {})
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert {path.name for path in found} >= {"s.sqlite", "s.sqlite-wal", "store.json", "index.sqlite", "s@p.beat"}
    assert {path.name: oct(mode) for path, mode in found.items() if mode & 0o077} == {}


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_a_sessions_folder_open_to_others_is_tightened(sqlite: SqliteStore, folder: Path) -> None:
    (folder / "sessions").mkdir(parents=True)
    (folder / "sessions").chmod(0o777)
    sqlite.append("s", batch("p", 1, steps(0, 1)))
    assert stat.S_IMODE((folder / "sessions").stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_a_folder_of_another_user_is_refused(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sessions").mkdir(parents=True)
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StoreUnavailable, match=f"belongs to user {owner}, and a store is one user's own"):
        sqlite.append("s", batch("p", 1, steps(0, 1)))
    assert list((folder / "sessions").iterdir()) == []


def test_the_store_id_is_drawn_once_by_processes_at_once_and_stays(folder: Path) -> None:
    asked = f"from forge_widgets.stores import open_store; print(open_store({str(folder)!r}).store_id)"
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([sys.executable, "-c", asked], cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = {process.communicate(timeout=30)[0].strip() for process in started}
    assert len(answers) == 1
    assert answers == {open_store(folder).store_id}
    assert {path.name for path in folder.iterdir()} == {"sessions", "store.json"}
    _write_once(folder / "store.json", b"of one who comes late")
    assert answers == {open_store(folder).store_id}


def test_a_store_id_that_cannot_be_read_is_said(folder: Path, sqlite: SqliteStore) -> None:
    folder.mkdir()
    (folder / "store.json").write_text("[]")
    with pytest.raises(StoreUnavailable, match="a new id is drawn"):
        _ = sqlite.store_id


@pytest.mark.parametrize(
    ("session_id", "stem"),
    [
        ("cognate-123", "cognate-123"),
        ("a" * 100, "a" * 100),
        ("x.sqlite-wal", "x.sqlite-wal"),
        ("Run", "run~e5a8d4e0ae1e"),
        ("nul", "nul~"),
        ("com1.x", "com1.x~"),
        ("a" * 101, "a" * 80 + "~"),
    ],
)
def test_a_file_is_named_by_its_session_or_by_a_hash_of_it(session_id: str, stem: str) -> None:
    assert stem_of(session_id).startswith(stem[:-12] if session_id == "Run" else stem)
    assert stem_of(session_id) == stem_of(session_id).lower()
    assert len(stem_of(session_id)) <= 100


def test_a_session_is_copied_by_copying_its_file(sqlite: SqliteStore, tmp_path: Path) -> None:
    for session_id in ("plain", "Mixed"):
        sqlite.append(session_id, batch("p", 1, event("training_started"), steps(0, 5)))
    snapshots = {session_id: sqlite.snapshot(session_id) for session_id in ("plain", "Mixed")}
    files = {session_id: sqlite._path(session_id) for session_id in snapshots}
    sqlite.close()  # brings the write-ahead log into the file
    other = SqliteStore(tmp_path / "other")
    other.append("here", batch("p", 1, steps(0, 1)))
    for file in files.values():
        shutil.copy(file, tmp_path / "other" / "sessions")
    assert {summary.session_id for summary in other.summaries()} == {"plain", "Mixed", "here"}
    assert {session_id: other.snapshot(session_id) for session_id in snapshots} == snapshots
    assert other.append("plain", batch("p", 7, steps(5, 5))).top == 11
    other.close()


def test_a_copy_under_another_name_is_another_session(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.append("one", batch("p", 1, steps(0, 5)))
    sqlite.append("Two", batch("p", 1, steps(0, 5)))
    sqlite.close()
    again = SqliteStore(folder)
    shutil.copy(again._path("one"), again._path("copy"))
    shutil.copy(again._path("Two"), folder / "sessions" / "two~000000000000.sqlite")  # no id has this name
    assert {summary.session_id for summary in again.summaries()} == {"one", "copy", "Two"}
    assert again.append("copy", batch("q", 1, steps(0, 1))).top == 6
    assert again.append("one", batch("q", 1, steps(0, 2))).top == 7
    again.close()


# --- journal and schema --------------------------------------------------------------------------

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /home rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2
41 40 0:36 / /home/me/fast\\040disk rw master:3 - xfs /dev/sdb rw
42 22 0:37 / /mnt/ssh rw - fuse.sshfs me@there: rw
43 22 0:38 / /mnt/local rw - fuse.ntfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", False), ("/srv/x", False), ("/home/me/x", True), ("/homely", False),
        ("/home/me/fast disk/x", False), ("/mnt/ssh", True), ("/mnt/local/x", False),
    ],
)  # fmt: skip
def test_a_network_file_system_is_known_by_the_mounts(tmp_path: Path, path: str, expected: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_network(Path(path), mounts) is expected
    assert is_network(Path(path), tmp_path / "none") is False


def test_a_local_folder_gets_a_write_ahead_log_and_full_syncs(sqlite: SqliteStore) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 1)))
    connection = apsw.Connection(str(sqlite._path("s")))
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert connection.execute("PRAGMA application_id").fetchall() == [(schema.APPLICATION_ID,)]
    assert connection.execute("PRAGMA user_version").fetchall() == [(schema.VERSION,)]
    connection.close()
    with sqlite._connections.hold("s", "write") as slot:
        assert slot.file is not None
        assert slot.file._one("PRAGMA synchronous") == (2,)


def test_a_network_folder_gets_a_rollback_journal(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_widgets.stores.folder.is_network", lambda path: True)
    sqlite.append("s", batch("p", 1, steps(0, 1)))
    assert not Path(f"{sqlite._path('s')}-wal").exists()
    with sqlite._connections.hold("s", "write") as slot:
        assert slot.file is not None
        assert slot.file._one("PRAGMA journal_mode") == ("delete",)
        assert slot.file._one("PRAGMA synchronous") == (3,)
    # Also to a store that has made nothing itself: trims go through it.
    other = SqliteStore(sqlite._folder.path)
    other.read("s", 0)
    with other._connections.hold("s", "read") as slot:
        assert slot.file is not None
        assert slot.file._one("PRAGMA synchronous") == (3,)
    other.close()


def test_an_older_file_is_brought_up_to_date_by_whoever_opens_it(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    snapshot = sqlite.snapshot("s")
    sqlite.close()

    def add_note(connection: apsw.Connection, beginning: schema.Beginning) -> None:
        connection.execute("ALTER TABLE meta ADD COLUMN note TEXT NOT NULL DEFAULT 'new'")

    monkeypatch.setattr(schema, "LADDER", (*schema.LADDER, add_note))
    monkeypatch.setattr(schema, "VERSION", 2)
    newer = SqliteStore(folder)
    assert newer.snapshot("s") == snapshot
    assert newer.append("s", batch("p", 6, steps(5, 5))).top == 10
    assert newer.append("t", batch("p", 1, steps(0, 5))).top == 5
    for session_id in ("s", "t"):
        connection = apsw.Connection(str(newer._path(session_id)))
        assert connection.execute("SELECT note FROM meta").fetchall() == [("new",)]
        assert connection.execute("PRAGMA user_version").fetchall() == [(2,)]
        connection.close()
    newer.close()


def test_a_step_of_a_migration_that_fails_leaves_the_file_as_it_was(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    sqlite.close()

    def fail(connection: apsw.Connection, beginning: schema.Beginning) -> None:
        connection.execute("ALTER TABLE meta ADD COLUMN note TEXT")
        raise apsw.FullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "LADDER", (*schema.LADDER, fail))
        patch.setattr(schema, "VERSION", 2)
        with pytest.raises(StoreUnavailable, match="no space"):
            SqliteStore(folder).snapshot("s")
    again = SqliteStore(folder)
    assert again.append("s", batch("p", 6, steps(5, 5))).top == 10
    again.close()


def test_a_file_of_a_newer_release_is_left_alone_and_said(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    sqlite.append("t", batch("p", 1, steps(0, 5)))
    with apsw.Connection(str(sqlite._path("s"))) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    fresh = SqliteStore(folder)
    calls: list[Callable[[], object]] = [
        lambda: fresh.snapshot("s"),
        lambda: fresh.append("s", batch("p", 6, steps(5, 1))),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="a newer forge-widgets made it"):
            call()
    assert [summary.session_id for summary in fresh.summaries()] == ["t"]
    assert fresh._path("s").exists()
    fresh.close()


# --- lists ---------------------------------------------------------------------------------------


def age(folder: Path) -> None:
    """Make all files look as if they were written a minute ago, so that the index trusts their stat."""
    for path in (folder / "sessions").iterdir():
        found = path.stat()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 60_000_000_000))


def opened_by(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files a list opens from now on."""
    opened: list[str] = []
    summarize = store._summarize

    def note(path: Path) -> Summary | None:
        opened.append(path.stem)
        return summarize(path)

    monkeypatch.setattr(store, "_summarize", note)
    return opened


def test_a_list_opens_only_files_that_have_changed(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        sqlite.append(f"s{number}", batch("p", 1, steps(number, 1)))
    age(folder)
    first = sqlite.summaries()
    opened = opened_by(sqlite, monkeypatch)
    assert sqlite.summaries() == first
    assert opened == []
    fresh = SqliteStore(folder)
    opened = opened_by(fresh, monkeypatch)
    assert fresh.summaries() == first
    assert opened == []
    sqlite.append("s1", batch("p", 2, steps(50, 1)))
    assert [summary.state.rows for summary in fresh.summaries()] == [2, 1, 1]
    assert opened == ["s1"]
    sqlite.delete("s0")
    assert {summary.session_id for summary in fresh.summaries()} == {"s1", "s2"}
    fresh.close()


def test_a_change_that_a_stat_does_not_show_is_listed(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one tick of the file system's clock a file can change twice and keep its time and size."""
    monkeypatch.setattr("forge_widgets.stores.folder.is_network", lambda path: True)
    file, now = folder / "sessions" / "s.sqlite", time.time_ns()
    for rows in (1, 2):
        sqlite.append("s", batch("p", rows, steps(rows, 1)))
        os.utime(file, ns=(now, now))
        assert [summary.state.rows for summary in sqlite.summaries()] == [rows]


def test_training_never_writes_the_index(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 1)))
    sqlite.snapshot("s")
    assert not (folder / "index.sqlite").exists()


@pytest.mark.parametrize("harm", ["deleted", "garbage", "another format", "a wrong entry", "a folder"])
def test_an_index_that_is_broken_is_made_anew(sqlite: SqliteStore, folder: Path, harm: str) -> None:
    for number in range(3):
        sqlite.append(f"s{number}", batch("p", 1, steps(number, 1)))
    age(folder)
    listed = sqlite.summaries()
    index = folder / "index.sqlite"
    assert index.exists()
    if harm == "deleted":
        index.unlink()
    elif harm == "garbage":
        index.write_bytes(b"no database" * 1_000)
    elif harm == "a folder":
        index.unlink()
        index.mkdir()
    else:
        with apsw.Connection(str(index)) as connection:
            connection.execute(
                "PRAGMA user_version = 99" if harm == "another format" else "UPDATE sessions SET entry = x'c1'"
            )
    fresh = SqliteStore(folder)
    assert fresh.summaries() == listed
    if harm != "a folder":
        with apsw.Connection(str(index)) as connection:
            assert connection.execute("SELECT count(*) FROM sessions").fetchall() == [(3,)]
    fresh.close()


def test_what_is_no_session_does_not_break_a_list(
    sqlite: SqliteStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite.append("good", batch("p", 1, steps(0, 1)))
    sessions = folder / "sessions"
    (sessions / "empty.sqlite").touch()
    (sessions / "garbage.sqlite").write_bytes(b"no database" * 1_000)
    (sessions / "folder.sqlite").mkdir()
    with apsw.Connection(str(sessions / "foreign.sqlite")) as connection:
        connection.execute("CREATE TABLE t(x)")
    (sessions / "gone.sqlite").symlink_to(sessions / "nothing")
    with caplog.at_level(logging.WARNING):
        assert [summary.session_id for summary in sqlite.summaries()] == ["good"]
    assert {name for name in ("garbage", "foreign") if name in caplog.text} == {"garbage", "foreign"}


# --- heartbeats ----------------------------------------------------------------------------------


def test_a_beat_is_rewritten_in_place(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.beat("s", Heartbeat(producer="p", beat=1.0))
    [file] = (folder / "sessions").glob("*.beat")
    before = file.stat()
    sqlite.beat("s", Heartbeat(producer="p", beat=2.0, reason="x" * 5_000))
    after = file.stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size) == (before.st_ino, BEAT_BYTES)
    [heartbeat] = sqlite.heartbeats("s")
    assert heartbeat.reason.startswith("xxx")


def test_a_torn_or_empty_heartbeat_is_passed_over(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.beat("s", Heartbeat(producer="p", beat=1.0))
    (folder / "sessions" / "s@torn.beat").write_bytes(b'{"producer": "torn", "be')
    (folder / "sessions" / "s@empty.beat").touch()
    assert [heartbeat.producer for heartbeat in sqlite.heartbeats("s")] == ["p"]


def test_a_session_whose_name_begins_anothers_has_its_own_heartbeats(sqlite: SqliteStore) -> None:
    sqlite.beat("a", Heartbeat(producer="b.c"))
    sqlite.beat("a.b", Heartbeat(producer="c"))
    assert [heartbeat.producer for heartbeat in sqlite.heartbeats("a")] == ["b.c"]
    assert sqlite.delete("a") is False
    assert [heartbeat.producer for heartbeat in sqlite.heartbeats("a.b")] == ["c"]


def test_heartbeats_long_gone_are_removed_when_a_new_producer_comes(sqlite: SqliteStore) -> None:
    now = 10 * KEPT_S
    for producer, heartbeat in {
        "closed long ago": Heartbeat(producer="a", attempt=1, beat=now - KEPT_S - 1, closed=True),
        "closed just now": Heartbeat(producer="b", attempt=1, beat=now - 60, closed=True),
        "crashed in an earlier attempt": Heartbeat(producer="c", attempt=1, beat=now - KEPT_S - 1),
        "crashed in this attempt": Heartbeat(producer="d", attempt=2, beat=now - KEPT_S - 1),
    }.items():
        assert producer
        sqlite.beat("s", heartbeat)
    sqlite.beat("s", Heartbeat(producer="e", attempt=2, beat=now))
    assert sorted(heartbeat.producer for heartbeat in sqlite.heartbeats("s")) == ["b", "d", "e"]


def test_a_producer_of_many_sessions_beats_in_all(sqlite: SqliteStore) -> None:
    for turn in (1.0, 2.0):
        for number in range(100):
            sqlite.beat(f"s{number}", Heartbeat(producer="p", beat=turn))
    assert {sqlite.heartbeats(f"s{number}")[0].beat for number in range(100)} == {2.0}


def test_a_group_stays_together_across_processes(sqlite: SqliteStore, folder: Path) -> None:
    assert sqlite.append("s", batch("first", 1, event("training_started"))).attempt == 1
    rank_0, rank_1 = Producer(id="r0", group="job"), Producer(id="r1", group="job")
    assert sqlite.append("s", batch(rank_0, 1, event("training_started"))).attempt == 2
    other = SqliteStore(folder)
    assert other.append("s", batch(rank_1, 1, event("training_started"))).attempt == 2
    other.close()
