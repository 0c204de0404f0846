"""Session files that are moved, deleted and replaced while somebody writes and reads them.

Judged by one rule: what was acknowledged is in the log, or in the file that was set aside or moved, and in the state.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores.base import Receipt
from forge_widgets.stores.folder import Folder
from forge_widgets.stores.session_file import SessionFile
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, steps
from tests.stores.conftest import Start
from tests.stores.reading import state_of, steps_in, steps_in_file


@pytest.mark.parametrize("away", ["renamed", "deleted", "deleted by another store", "replaced"])
def test_a_file_that_goes_while_it_is_written_is_followed_by_a_new_log_with_the_state(
    sqlite: SqliteStore, folder: Path, tmp_path: Path, away: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = sqlite.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    sqlite.append("s", batch("p", 7, steps(5, 5)))
    assert state_of(sqlite).rows == 10
    file = folder / "sessions" / "s.sqlite"
    other = SqliteStore(folder)
    if away == "renamed":
        file.rename(tmp_path / "moved.sqlite")
    elif away == "deleted":
        file.unlink()
    elif away == "deleted by another store":
        assert other.delete("s")
    else:
        other.append("t", batch("q", 1, steps(90, 3)))
        other.close()
        (folder / "sessions" / "t.sqlite").replace(file)
    after = sqlite.append("s", batch("p", 12, steps(10, 5)))
    assert after.epoch != before.epoch
    assert after.sequence == 16
    assert steps_in(sqlite) == ([90, 91, 92] if away == "replaced" else []) + [10, 11, 12, 13, 14]
    state = state_of(sqlite)
    assert (state.attempt, state.rows) == ((1, 8) if away == "replaced" else (1, 15))
    assert "was moved or deleted while it was written to" in caplog.text
    if away == "renamed":
        assert steps_in_file(tmp_path / "moved.sqlite") == list(range(10))
    # The producer goes on as the old log knew it: repeats are passed over, other producers begin where they are.
    assert sqlite.append("s", batch("p", 12, steps(10, 5))).repeated == 5
    assert sqlite.append("s", batch("q2", 77, steps(15, 1))).sequence == 77
    other.close()


def test_a_file_renamed_in_the_midst_of_an_append_is_not_acknowledged_there(
    sqlite: SqliteStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename comes after the last look at the path and before the commit."""
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    file = folder / "sessions" / "s.sqlite"
    write = SessionFile.append

    def rename_and_write(*arguments: object) -> Receipt:
        monkeypatch.setattr(SessionFile, "append", write)
        file.rename(tmp_path / "moved.sqlite")
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SessionFile, "append", rename_and_write)
    assert sqlite.append("s", batch("p", 6, steps(5, 5))).sequence == 10
    assert steps_in(sqlite) == [5, 6, 7, 8, 9]
    assert state_of(sqlite).rows == 10


def test_a_writer_of_another_process_whose_file_is_deleted_goes_on_in_the_new_one(
    sqlite: SqliteStore, folder: Path, start: Start
) -> None:
    writer = start("append", folder, "s", "p", 5, 200)
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    assert sqlite.delete("s")
    assert int(writer.communicate(timeout=60)[0].split()[-1]) == 1_000
    kept = steps_in(sqlite)
    assert kept == list(range(int(kept[0]), 1_001))
    assert state_of(sqlite).rows == 1_000


def test_a_reader_follows_a_file_to_its_successor(sqlite: SqliteStore, folder: Path) -> None:
    reader = SqliteStore(folder)
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    before = reader.version("s")
    (folder / "sessions" / "s.sqlite").unlink()
    assert reader.version("s") is None
    sqlite.append("s", batch("p", 6, steps(5, 5)))
    assert reader.version("s") not in (None, before)
    assert steps_in(reader) == [5, 6, 7, 8, 9]
    reader.close()


def test_who_leaves_a_moved_file_late_leaves_its_successor_alone(
    sqlite: SqliteStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a reader waits to take the old write-ahead log away, the writer has done so, and begun a new log there."""
    reader = SqliteStore(folder)
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    assert steps_in(reader) == [0, 1, 2, 3, 4]
    file = folder / "sessions" / "s.sqlite"
    file.rename(tmp_path / "moved.sqlite")
    lock, epochs = Folder.lock, []

    def lock_late(own: Folder) -> AbstractContextManager[None]:
        monkeypatch.setattr(Folder, "lock", lock)
        epochs.append(sqlite.append("s", batch("p", 6, steps(5, 5))).epoch)
        return lock(own)

    monkeypatch.setattr(Folder, "lock", lock_late)
    assert steps_in(reader) == [5, 6, 7, 8, 9]
    epochs.append(sqlite.append("s", batch("p", 11, steps(10, 5))).epoch)
    assert epochs[0] == epochs[1]
    assert steps_in(reader) == list(range(5, 15))
    assert steps_in_file(tmp_path / "moved.sqlite") == [0, 1, 2, 3, 4]
    assert not list(file.parent.glob("*.damaged-*"))
    reader.close()


def test_what_was_not_acknowledged_in_a_file_that_went_is_not_taken_for_recorded_in_the_next(
    sqlite: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    write = SessionFile.append

    def write_and_unlink(*arguments: object) -> Receipt:
        (folder / "sessions" / "s.sqlite").unlink()
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SessionFile, "append", write_and_unlink)
    with pytest.raises(StoreUnavailable, match="moved again"):
        sqlite.append("s", batch("p", 6, steps(5, 5)))
    monkeypatch.setattr(SessionFile, "append", write)
    receipt = sqlite.append("s", batch("p", 6, steps(5, 5)))
    assert (receipt.sequence, receipt.repeated) == (10, 0)
    assert steps_in(sqlite) == [5, 6, 7, 8, 9]
    assert state_of(sqlite).rows == 10


def begin_anew(folder: Path) -> SqliteStore:
    """Delete the session and begin it again, as another process would; the store stays open, and so does its log."""
    other = SqliteStore(folder)
    assert other.delete("s")
    other.append("s", batch("q", 1, steps(100, 5)))
    return other


@pytest.mark.parametrize("moment", ["opened", "written"])
def test_a_file_whose_successor_is_there_already_leaves_the_successors_log_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """SQLite knows a write-ahead log by its name: what lies there may be another file's by now.

    Nobody holds the folder's lock here: so it is where people move files by hand.
    """
    monkeypatch.setattr(Folder, "undisturbed", lambda _: nullcontext())
    with closing(SqliteStore(folder)) as first:
        first.append("s", batch("p", 1, steps(0, 5)))
        if moment == "opened":
            first.close()
        name = {"opened": "is_settled", "written": "append"}[moment]
        ours, others = getattr(SessionFile, name), []

        def late(*arguments: object) -> object:
            monkeypatch.setattr(SessionFile, name, ours)
            others.append(begin_anew(folder))
            return ours(*arguments)

        with closing(SqliteStore(folder) if moment == "opened" else first) as writer:
            monkeypatch.setattr(SessionFile, name, late)
            assert writer.append("s", batch("p", 6, steps(5, 5))).sequence == 10
            others[0].append("s", batch("q", 6, steps(105, 5)))
        with closing(SqliteStore(folder)) as reader:
            assert steps_in(reader) == [*range(100, 105), *range(5, 10), *range(105, 110)]
        others[0].close()
    assert not list((folder / "sessions").glob("*.damaged-*"))
    assert "damaged" not in caplog.text
