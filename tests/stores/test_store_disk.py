"""What a folder of SQLite files survives of its disk: full and read-only ones, limits, locks.

Judged by one rule: what was acknowledged is in the log, or in the file that was set aside or moved, and in the state.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, event, steps
from tests.stores.conftest import Start
from tests.stores.reading import state_of, steps_in


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 512 KB, where that is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_refuses_and_the_same_append_goes_through_when_there_is_room(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "store")
    store.append("s", batch("p", 1, event("training_started")))
    store.beat("s", Heartbeat(producer="p", beat=1.0))
    store.append("t", batch("p", 1, event("training_started")))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(256 * 1024))
    sequence = 2
    while True:
        try:
            store.append("s", batch("p", sequence, steps(sequence, 500)))
        except StoreUnavailable as error:
            assert error.reason == "no space is left on its disk"  # noqa: PT017 - at whichever append it comes
            break
        sequence += 500
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.append("s", batch("p", sequence, steps(sequence, 500)))
    store.beat("s", Heartbeat(producer="p", beat=2.0, unsaved=500, reason="no space"))
    store.beat("s", Heartbeat(producer="new", beat=2.0))
    assert [heartbeat.unsaved for heartbeat in store.heartbeats("s") if heartbeat.producer == "p"] == [500]
    assert steps_in(store) == list(range(2, sequence))
    with pytest.raises(StoreUnavailable):
        store.append("new", batch("p", 1, steps(0, 500)))
    filler.unlink()
    receipt = store.append("s", batch("p", sequence, steps(sequence, 500)))
    assert (receipt.sequence, receipt.repeated) == (sequence + 499, 0)
    assert steps_in(store) == list(range(2, sequence + 500))
    state_of(store)
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
def test_a_file_size_limit_refuses_and_the_same_append_goes_through_without_it(folder: Path, start: Start) -> None:
    reason, sequence = start("limited", folder, "s", 200_000).communicate(timeout=60)[0].splitlines()
    assert reason
    store = SqliteStore(folder)
    assert steps_in(store) == list(range(1, int(sequence) + 1))
    store.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "store")
    with pytest.raises(StoreUnavailable, match="file"):
        store.append("s", batch("p", 1, steps(0, 1)))
    with pytest.raises(StoreUnavailable):
        _ = store.store_id
    store.beat("s", Heartbeat(producer="p"))
    assert store.heartbeats("s") == []
    assert store.snapshot("s") is None


def test_a_read_only_disk_is_read_and_refuses_to_be_written(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "store")
    store_id = store.store_id
    store.append("s", batch("p", 1, event("training_started"), steps(0, 5)))
    snapshot = store.snapshot("s")
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    reader = SqliteStore(small_disk / "store")
    assert reader.snapshot("s") == snapshot
    assert reader.version("s") == reader.version("s")
    assert [summary.session_id for summary in reader.summaries()] == ["s"]
    assert reader.store_id == store_id
    with pytest.raises(StoreUnavailable):
        reader.append("s", batch("p", 7, steps(5, 1)))
    with pytest.raises(StoreUnavailable):
        reader.delete("s")
    reader.beat("s", Heartbeat(producer="p"))
    reader.close()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    writer = SqliteStore(small_disk / "store")
    assert writer.append("s", batch("p", 7, steps(5, 1))).top == 7
    writer.close()


def test_a_file_that_another_process_locks_refuses_and_takes_the_same_append_after(
    sqlite: SqliteStore, folder: Path, start: Start
) -> None:
    sqlite.append("s", batch("p", 1, steps(0, 5)))
    locker = start("lock", folder, "s")
    assert locker.stdout is not None
    assert locker.stdout.readline() == "locked\n"
    with pytest.raises(StoreUnavailable, match="another process holds its lock"):
        sqlite.append("s", batch("p", 6, steps(5, 5)))
    assert sqlite.append("other", batch("p", 1, steps(0, 1))).top == 1  # nobody else waits
    assert steps_in(sqlite) == [0, 1, 2, 3, 4]  # and reading goes on
    locker.communicate("go\n", timeout=10)
    assert sqlite.append("s", batch("p", 6, steps(5, 5))).top == 10


def test_a_lock_that_is_let_go_in_time_is_waited_for(folder: Path, start: Start) -> None:
    store = SqliteStore(folder)
    store.append("s", batch("p", 1, steps(0, 5)))
    locker = start("lock", folder, "s")
    assert locker.stdout is not None
    locker.stdout.readline()
    done: list[int] = []
    waiting = threading.Thread(target=lambda: done.append(store.append("s", batch("p", 6, steps(5, 5))).top))
    waiting.start()
    locker.communicate("go\n", timeout=10)
    waiting.join(10)
    assert done == [10]
    store.close()
