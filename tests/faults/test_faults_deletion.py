"""A session that is deleted and begun again, by several processes at once, while others write to it and read it."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from contextlib import closing
from pathlib import Path
from threading import Barrier

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.subscription import Cursor
from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores.sqlite import SqliteStore
from tests.faults.conftest import Effort


def write(folder: Path, name: str, start: Barrier, seconds: float, seed: int) -> None:
    """Append notes, with a store that is opened again after a few; leave a list of those that were acknowledged."""
    until = moment_after(start, seconds)
    chance, producer = random.Random(seed), Producer(id=name)
    notes: list[str] = []
    while time.time() < until:
        store = SqliteStore(folder)
        for _ in range(chance.randint(1, 4)):
            note = f"{name}-{len(notes) + 1}"
            event = Event(event_type="annotation", timestamp=float(len(notes)), name=note)
            try:
                store.append("s", Batch(producer=producer, sequence=len(notes) + 1, bodies=[event]))
            except StoreUnavailable:  # the same again, later
                continue
            notes.append(note)
        store.close()
    (folder / f"{name}.json").write_text(json.dumps(notes))


def take_away(folder: Path, name: str, start: Barrier, seconds: float) -> None:
    """Read the session and delete it, if nothing came meanwhile; leave a list of what was read."""
    until = moment_after(start, seconds)
    notes: set[str] = set()
    while time.time() < until:
        store = SqliteStore(folder)
        try:
            read = store.read("s", 0)
            if read is not None and read.records:
                notes.update(record.body.name for record in read.records if isinstance(record.body, Event))
                if read.records[-1].last == read.top:
                    store.delete("s", only_at=Cursor(read.epoch, read.top))
        except StoreUnavailable:
            pass
        store.close()
    (folder / f"{name}.json").write_text(json.dumps(sorted(notes)))


def moment_after(start: Barrier, seconds: float) -> float:
    """Return when to end: so long after all have come up, which takes a busy machine seconds."""
    start.wait(60.0)
    return time.time() + seconds


def test_what_is_acknowledged_is_read_by_whoever_deletes_or_is_there_at_the_end(
    tmp_path: Path, seed: int, effort: Effort
) -> None:
    spawn, seconds = multiprocessing.get_context("spawn"), effort(3.0, 60.0)
    start = spawn.Barrier(4)
    working = [spawn.Process(target=write, args=(tmp_path, f"w{n}", start, seconds, seed + n)) for n in range(2)]
    working += [spawn.Process(target=take_away, args=(tmp_path, f"d{n}", start, seconds)) for n in range(2)]
    for one in working:
        one.start()
    for one in working:
        one.join(effort(60.0, 200.0))
        assert one.exitcode == 0
    with closing(SqliteStore(tmp_path)) as store:
        left = store.read("s", 0)
    read = {note for n in range(2) for note in json.loads((tmp_path / f"d{n}.json").read_text())}
    if left is not None:
        read.update(record.body.name for record in left.records if isinstance(record.body, Event))
    acknowledged = {note for n in range(2) for note in json.loads((tmp_path / f"w{n}.json").read_text())}
    print(f"{len(acknowledged)} notes acknowledged")
    assert acknowledged
    assert not acknowledged - read
