"""A folder of SQLite files: whose it is, how files are named, and how they are made and brought up to date."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores import open_store, schema
from forge_widgets.stores.filenames import stem_of
from forge_widgets.stores.folder import _write_once
from forge_widgets.stores.network_fs import is_network
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, steps


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


def test_an_older_file_is_read_as_it_is_and_brought_up_to_date_by_whoever_writes_to_it(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    snapshot = sqlite.snapshot("s")
    sqlite.close()

    def add_note(connection: apsw.Connection, beginning: schema.Beginning) -> None:
        connection.execute("ALTER TABLE meta ADD COLUMN note TEXT NOT NULL DEFAULT 'new'")

    monkeypatch.setattr(schema, "LADDER", (*schema.LADDER, add_note))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    newer = SqliteStore(folder)
    assert newer.snapshot("s") == snapshot
    assert _version(newer, "s") == schema.VERSION - 1
    assert newer.append("s", batch("p", 6, steps(5, 5))).top == 10
    assert newer.append("t", batch("p", 1, steps(0, 5))).top == 5
    for session_id in ("s", "t"):
        connection = apsw.Connection(str(newer._path(session_id)))
        assert connection.execute("SELECT note FROM meta").fetchall() == [("new",)]
        connection.close()
        assert _version(newer, session_id) == schema.VERSION
    newer.close()


def _version(store: SqliteStore, session_id: str) -> object:
    with closing(apsw.Connection(str(store._path(session_id)))) as connection:
        return connection.execute("PRAGMA user_version").fetchall()[0][0]


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
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(StoreUnavailable, match="no space"):
            SqliteStore(folder).append("s", batch("p", 6, steps(5, 5)))
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
