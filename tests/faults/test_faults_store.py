"""What happens to the disk under a training that somebody watches: full, locked, and files moved, deleted and broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest

from forge_widgets.core.events import Event
from forge_widgets.core.subscription import Slice
from forge_widgets.errors import StoreDamaged
from forge_widgets.stores.session_file import SessionFile
from forge_widgets.stores.sqlite import SqliteStore
from tests.faults.checker import events_of, units_of
from tests.faults.conftest import Effort
from tests.faults.house import House


@pytest.fixture
def small_house(tmp_path: Path, seed: int) -> Iterator[House]:
    """Give a house on a disk of 1 MB, where mounting one is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    house = House(disk / "store", seed)
    yield house
    house.close()
    subprocess.run(["umount", "-l", str(disk)], check=True)


def log_in_file(file: Path) -> Slice:
    """Read the log in a session's file, wherever it lies."""
    with closing(SessionFile(file, busy_timeout_s=1, wal=True)) as opened:
        return opened.read(0, 10_000_000)


def test_a_full_disk_is_said_and_what_waits_is_saved_in_order_when_there_is_room(
    small_house: House, effort: Effort
) -> None:
    house = small_house
    house.serve()
    training = house.train()
    viewers = [house.watch(), house.watch(transport="http")]
    filler = house.folder.parent / "filler"
    with filler.open("wb", buffering=0) as opened:
        try:
            while opened.write(bytes(4_096)):
                pass
        except OSError:
            pass
    for viewer in viewers:
        viewer.until(lambda v=viewer: v.unsaved > 10, "word of what is not saved", 30)  # type: ignore[misc]
        assert "no space is left" in viewer.reasons[-1]
    held = training.step
    for _ in range(10):
        house.assert_durable(training)
        time.sleep(effort(0.5, 20.0) / 10)
    # Nothing is acknowledged that the disk could not take.
    assert training.step == held
    filler.unlink()
    training.goes_on(200)
    for viewer in viewers:
        viewer.until(lambda v=viewer: v.unsaved == 0, "word that all is saved", 30)  # type: ignore[misc]
    assert training.stop() == 0
    log = house.judge(training)
    assert training.end["slowest"] < 0.5
    assert "connection_lost" not in events_of(log)
    assert all(viewer.unbroken for viewer in viewers)


def test_a_lock_that_somebody_else_holds_is_waited_out(house: House, effort: Effort) -> None:
    house.serve()
    training = house.train()
    viewers = [house.watch(), house.watch(transport="http")]
    with house.locked():
        held = training.step
        for _ in range(20):
            house.assert_durable(training)
            time.sleep(effort(3.0, 30.0) / 20)
        # One more may have been saved just before, and said just after.
        assert training.step - held < 50
    training.goes_on(200)
    assert training.stop() == 0
    log = house.judge(training)
    assert training.end["slowest"] < 0.5
    assert "connection_lost" not in events_of(log)
    assert all(viewer.unbroken for viewer in viewers)


@pytest.mark.again(5)
@pytest.mark.parametrize("away", ["renamed", "deleted"])
def test_a_file_that_goes_under_a_training_is_followed_by_a_new_log_with_its_state(house: House, away: str) -> None:
    house.serve()
    training, other = house.train(), house.train("other")
    viewers = [house.watch(), house.watch(transport="http"), house.watch("other")]
    training.goes_on(50)
    file, moved = house.folder / "sessions" / "s.sqlite", house.folder.parent / "moved.sqlite"
    epoch = viewers[0].position[0]
    if away == "renamed":
        file.rename(moved)
    else:
        file.unlink()
    training.goes_on(100)
    for viewer in viewers[:2]:
        viewer.until(lambda v=viewer: v.position[0] != epoch, "new epoch")  # type: ignore[misc]
    assert [one.stop() for one in (training, other)] == [0, 0]
    steps = training.step
    if away == "renamed":
        log = house.judge(training, before=(log_in_file(moved),))
    else:
        # What the deleted file held went with it; its state and all that came later did not.
        log = house.judge()
        assert [unit.sequence for unit in units_of(log.records)][-1] == steps + 2
        assert log.base.rows + sum(not isinstance(unit.what, Event) for unit in units_of(log.records)) == steps
    assert all(viewer.state.rows == steps for viewer in viewers[:2])
    house.judge(other, session_id="other")
    assert viewers[2].unbroken


def break_wal(file: Path) -> None:
    """Cut the write-ahead log to nothing: what was acknowledged into it is gone from the disk."""
    os.truncate(f"{file}-wal", 0)


def break_pages(file: Path) -> None:
    """Overwrite all of the database but its first page, and read it whole, as another process would that opens it."""
    with closing(apsw.Connection(str(file))) as connection:
        connection.set_busy_timeout(10_000)
        # Into the database itself, where the harm is.
        connection.execute("SELECT 1 FROM meta").fetchall()  # a connection that has read nothing knows of no such log
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    size = file.stat().st_size
    assert size > 2 * 4_096
    with file.open("r+b") as opened:
        opened.seek(4_096)
        opened.write(b"\xa5" * (size - 4_096))
    reader = SqliteStore(file.parents[1])
    with suppress(StoreDamaged):  # the training may have noticed by itself, and have set it aside
        reader.read("s", 0)
    reader.close()


@pytest.mark.again(5)
@pytest.mark.parametrize("damage", [break_wal, break_pages])
def test_a_file_that_is_broken_under_a_training_is_set_aside_and_its_state_goes_on(
    house: House, damage: Callable[[Path], None]
) -> None:
    house.serve()
    training, other = house.train(), house.train("other")
    viewers = [house.watch(), house.watch("other")]
    training.goes_on(50)
    file, epoch = house.folder / "sessions" / "s.sqlite", viewers[0].position[0]
    damage(file)
    viewers[0].until(lambda: viewers[0].position[0] != epoch, "new epoch", 30)
    training.goes_on(100)
    assert file.with_name("s.sqlite.damaged-1").exists()
    assert [one.stop() for one in (training, other)] == [0, 0]
    log = house.judge()
    units = list(units_of(log.records))
    # What comes after the break is there without a hole, and the state has counted what came before.
    assert [unit.sequence for unit in units] == list(range(units[0].sequence, training.step + 3))
    assert log.base.rows + sum(not isinstance(unit.what, Event) for unit in units) == training.step
    assert viewers[0].state.rows == training.step
    house.judge(other, session_id="other")
    assert viewers[1].unbroken
