"""Lists of a folder's sessions, the index behind them, and heartbeats."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.events import Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.stores.base import Summary
from forge_widgets.stores.beats import BEAT_BYTES, KEPT_S
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, steps


def age(folder: Path) -> None:
    """Make all files look as if they were written a minute ago, so that the index trusts their stat."""
    for path in (folder / "sessions").iterdir():
        found = path.stat()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 60_000_000_000))


def opened_by(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files a list opens from now on."""
    opened: list[str] = []
    summarize = store.summarize

    def note(file: Path, known: Summary | None) -> Summary | None:
        opened.append(file.stem)
        return summarize(file, known)

    monkeypatch.setattr(store, "summarize", note)
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


def open_for_reading(store: SqliteStore) -> list[str]:
    return [session for (session, role), slot in store._connections._slots.items() if role == "read" and slot.file]


def test_a_session_that_changes_from_list_to_list_is_kept_open_until_it_has_settled(
    sqlite: SqliteStore, folder: Path
) -> None:
    lister = SqliteStore(folder)
    for number in range(3):
        for session in ("moving", "Hashed", "settled"):
            if number == 0 or session != "settled":
                sqlite.append(session, batch("p", number + 1, steps(number, 1)))
        assert {summary.session_id: summary.state.rows for summary in lister.summaries()} == {
            "moving": number + 1,
            "Hashed": number + 1,
            "settled": 1,
        }
    assert set(open_for_reading(lister)) >= {"moving", "Hashed"}
    age(folder)
    listed = lister.summaries()
    assert open_for_reading(lister) == []
    assert lister.summaries() == listed
    sqlite.append("moving", batch("p", 4, steps(3, 1)))
    assert lister.summaries()[0].state.rows == 4
    lister.close()


def test_a_session_that_somebody_reads_is_not_closed_by_a_list(sqlite: SqliteStore, folder: Path) -> None:
    for number in range(2):
        sqlite.append("s", batch("p", number + 1, steps(number, 1)))
        sqlite.summaries()
    with sqlite._reading("s") as file:
        sqlite._connections.let_go("s", "read")
        assert file is not None
        assert file.version()[2] == 2


def test_a_copy_under_any_name_is_listed_as_it_changes(sqlite: SqliteStore, folder: Path) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 1)))
    sqlite.close()
    copies = [folder / "sessions" / f"{name}.sqlite" for name in ("copy", "my copy", "Copy")]
    for turn in range(3):
        for copy in copies:
            copy.write_bytes((folder / "sessions" / "s.sqlite").read_bytes())
        assert {(listed.session_id, listed.state.rows) for listed in sqlite.summaries()} == {
            (name, turn + 1) for name in ("s", "copy", "my copy", "Copy")
        }
        sqlite.append("s", batch("p", turn + 2, steps(turn + 1, 1)))
        sqlite.close()


def test_a_session_that_is_deleted_and_begun_again_is_listed_as_it_is(sqlite: SqliteStore, folder: Path) -> None:
    lister = SqliteStore(folder)
    for turn in range(3):
        sqlite.append("s", batch(f"p{turn}", 1, steps(0, turn + 1)))
        assert [summary.state.rows for summary in lister.summaries()] == [turn + 1]
        assert sqlite.delete("s")
        assert lister.summaries() == []
    lister.close()


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


def test_a_heartbeat_that_comes_or_goes_is_noticed_however_quiet_the_folder_was(
    sqlite: SqliteStore, folder: Path
) -> None:
    sqlite.beat("s", Heartbeat(producer="p"))
    other, sessions = SqliteStore(folder), folder / "sessions"
    for coming in ("q", "r"):
        found = sessions.stat()
        os.utime(sessions, ns=(found.st_atime_ns, found.st_mtime_ns - 60_000_000_000))
        before = [heartbeat.producer for heartbeat in other.heartbeats("s")]
        assert [heartbeat.producer for heartbeat in other.heartbeats("s")] == before
        sqlite.beat("s", Heartbeat(producer=coming))
        assert sorted(heartbeat.producer for heartbeat in other.heartbeats("s")) == sorted([*before, coming])
    sqlite.delete("s")
    assert other.heartbeats("s") == []
    other.close()


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
