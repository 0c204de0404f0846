"""A file as the release before overviews made it (version 1): read as it is, and brought up to date by whoever writes to it."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.events import Record
from forge_widgets.errors import SequenceGap
from forge_widgets.stores import compaction, schema
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, recorded_steps, steps
from tests.stores.reading import read_all_records, state_of

MADE = Path(__file__).parent / "made_by_version_1.sqlite.gz"
"""One session: 100 steps and two events of producer p, an attempt of 100 steps of producer q."""

STEPS = [*range(100), *range(5, 105)]


@pytest.fixture
def older(tmp_path: Path) -> Iterator[SqliteStore]:
    sessions = tmp_path / "older" / "sessions"
    sessions.mkdir(parents=True, mode=0o700)
    (sessions / "s.sqlite").write_bytes(gzip.decompress(MADE.read_bytes()))
    with closing(SqliteStore(sessions.parent)) as store:
        yield store


def version_of(store: SqliteStore) -> object:
    with closing(apsw.Connection(str(store._path("s")))) as connection:
        return connection.execute("PRAGMA user_version").fetchall()[0][0]


def look(store: SqliteStore) -> tuple[list[Record], list[int]]:
    """Ask all that readers ask; return the records, and the rows of the curves of both attempts."""
    opened = store.opening("s", 100)
    assert opened is not None
    assert (opened.top, opened.state) == (203, state_of(store))
    assert [summary.attempts for summary in store.summaries()] == [2]
    curves = [store.series("s", SeriesQuery(attempt=attempt, max_points=8)) for attempt in (1, 2)]
    return read_all_records(store), [curve.rows for found in curves if found is not None for curve in found.curves]


def test_it_is_read_as_it_is(older: SqliteStore) -> None:
    records, rows = look(older)
    assert recorded_steps(records) == STEPS
    assert rows == [100, 100]
    assert version_of(older) == 1


def test_it_is_read_on_a_disk_that_can_not_be_written_to(older: SqliteStore, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        shutil.copytree(older._folder.path, disk / "store")
        subprocess.run([mount, "-o", "remount,ro", str(disk)], check=True)
        with closing(SqliteStore(disk / "store")) as archived:
            assert look(archived) == look(older)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_it_is_gone_on_with_and_compacted_with_all_its_rows(
    older: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "RANGE_ROWS", 64)
    before = look(older)
    assert older.append("s", batch("q", 22, steps(25, 80))).repeated == 80
    assert version_of(older) == schema.VERSION
    assert look(older) == before
    assert older.append("s", batch("p", 102, event("phase_completed", key="once"))).repeated == 1
    with pytest.raises(SequenceGap):
        older.append("s", batch("q", 200, steps(0, 1)))
    while older.compact("s", whole=True):
        pass
    records, rows = look(older)
    assert (recorded_steps(records), rows) == (STEPS, [100, 100])
    assert len(records) < len(before[0])
    assert older.append("s", batch("q", 102, steps(105, 5))).top == 208
