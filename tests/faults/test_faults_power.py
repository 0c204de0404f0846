"""A power cut at every sync, and between: what was acknowledged is in the log that is there when the power is back."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from forge_widgets.core.events import Batch, Body, Event, Producer, length
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.stores import compaction
from forge_widgets.stores import folder as folders
from forge_widgets.stores.sqlite import SqliteStore
from tests.faults.checker import check, units_of
from tests.faults.conftest import Effort
from tests.faults.power import Cut, Kept, PowerDisk

SESSIONS = ("s", "t")
# What is left of a disk is read where syncs cost nothing.
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Promised:
    """What a store has promised of a session; None stands for nothing: it is just being deleted, or made, or was damaged."""

    # Who writes to it, the newest sequence number that was acknowledged (0: it was deleted), and the floor.
    producer: str = ""
    sequence: int = 0
    floor: int = 1


Promises = dict[str, Promised | None]


class Life:
    """What happens to a store until the power goes: appends of any size, trims, compactions, deletions, checkpoints, damage."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self._incarnations = 0
        self.compactions = 0
        self.promised: Promises = {}
        self.disk = PowerDisk(folder / "sessions", lambda: dict(self.promised))
        self.store = SqliteStore(folder)

    def lead(self, moments: int) -> None:
        """Do this and that."""
        whims = [self.append] * 14 + [self.trim, self.compact, self.compact, self.delete, self.reopen, self.damage]
        for _ in range(moments):
            session_id = self._chance.choice(SESSIONS)
            self._chance.choice(whims)(session_id)
            self.disk.cut("at rest")
        self.store.close()

    def append(self, session_id: str) -> None:
        promised = self.promised.get(session_id)
        if promised is None or not promised.sequence:
            self._incarnations += 1
            promised = Promised(f"p{self._incarnations}")
            # It may be there or not until it is acknowledged; where it was never before, nothing was promised.
            self.promised[session_id] = None
        body = self._body(promised.sequence + 1)
        last = promised.sequence + length(body)
        batch = Batch(producer=Producer(id=promised.producer), sequence=promised.sequence + 1, bodies=[body])
        assert self.store.append(session_id, batch).sequence == last
        self.promised[session_id] = replace(promised, sequence=last)

    def _body(self, first: int) -> Body:
        """Draw a few rows, or an event of up to many pages: a thousand of them make SQLite bring its log into the database."""
        if self._chance.random() < 0.5:
            return block(first, self._chance.choice([1, 3, 40]))
        text = self._chance.randbytes(self._chance.choice([10, 2_000, 100_000])).hex()
        return Event(event_type="annotation", timestamp=float(first), message=text)

    def trim(self, session_id: str) -> None:
        promised = self.promised.get(session_id)
        if promised is not None and promised.sequence:
            floor = self.store.trim(session_id, self._chance.randrange(promised.sequence + 1))
            assert floor is not None
            self.promised[session_id] = replace(promised, floor=floor)

    def compact(self, session_id: str) -> None:
        """Compact what there is; nothing is promised anew by that."""
        if self.promised.get(session_id) is not None:
            self.compactions += self.store.compact(session_id, whole=self._chance.random() < 0.5)

    def delete(self, session_id: str) -> None:
        if self.promised.get(session_id) is not None:
            self.promised[session_id] = None
            self.store.delete(session_id)
            self.promised[session_id] = Promised()

    def reopen(self, session_id: str) -> None:
        """Close the store, which brings what is in the write-ahead log into the database, and open it again."""
        self.store.close()
        self.store = SqliteStore(self._folder)

    def damage(self, session_id: str) -> None:
        """Break the file while nobody has it open: the next append sets it aside, and a new log begins."""
        file = self._folder / "sessions" / f"{session_id}.sqlite"
        self.reopen(session_id)
        if file.exists():
            self.promised[session_id] = None
            with file.open("r+b") as opened:
                opened.write(b"\xa5" * 100)


def block(first: int, rows: int) -> StepBlock:
    """Make rows whose step is their sequence number."""
    steps = array("d", range(first, first + rows))
    return StepBlock(steps, {"currentStep": Column(steps)})


@pytest.mark.parametrize("journal", ["write-ahead log", "rollback journal"])
def test_what_was_acknowledged_outlives_a_power_cut_at_every_sync(
    tmp_path: Path, chance: random.Random, effort: Effort, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    cuts = 0
    monkeypatch.setattr(compaction, "RANGE_ROWS", 60)
    monkeypatch.setattr(folders, "is_network", lambda path: journal == "rollback journal")
    for life_number in range(effort(1, 6)):
        life = recorded(tmp_path / f"life-{life_number}", chance, monkeypatch)
        assert life.compactions
        for cut in chance.sample(life.disk.cuts, min(len(life.disk.cuts), effort(50, 250))):
            for kept, names in KEPT:
                with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as left:
                    survives(cut, Path(left), kept, names, chance)
                cuts += 1
    print(f"{cuts} disks after a power cut")


def recorded(folder: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> Life:
    """Let a store live on a disk that notes what would be left at each moment."""
    (folder / "sessions").mkdir(parents=True)
    life = Life(folder, chance)
    with life.disk.mounted(), monkeypatch.context() as patch:
        sync = folders.sync_folder

        def noted(path: Path) -> None:
            sync(path)
            if path == folder / "sessions":
                life.disk.sync_folder()

        patch.setattr(folders, "sync_folder", noted)
        life.lead(100)
    return life


KEPT: tuple[tuple[Kept, str], ...] = (("nothing", "synced"), ("part", "synced"), ("part", "now"), ("all", "synced"))


def survives(cut: Cut[Promises], folder: Path, kept: Kept, names: str, chance: random.Random) -> None:
    """See that a store on what is left keeps what was promised, and goes on."""
    (folder / "sessions").mkdir()
    cut.lay_out(folder / "sessions", kept, names=names, chance=chance)  # type: ignore[arg-type]
    store = SqliteStore(folder)
    try:
        for session_id, promised in cut.promised.items():
            if promised is not None:
                kept_promise(store, session_id, promised)
    except Exception as error:
        raise AssertionError(f"{cut.what}, {kept} kept, names {names}: {cut.promised}") from error
    finally:
        store.close()


def kept_promise(store: SqliteStore, session_id: str, promised: Promised) -> None:
    if not promised.sequence:
        assert store.read(session_id, 0) is None, "it was deleted, and is there again"
        return
    log = check(store, session_id)
    units = list(units_of(log.records))
    assert log.floor >= promised.floor
    assert log.top >= promised.sequence
    for unit in units:
        assert (unit.producer, unit.sequence) == (promised.producer, unit.offset)
        assert isinstance(unit.what, Event) or unit.what[1]["currentStep"] == unit.sequence
    # What was not acknowledged is sent again.
    first, last = promised.sequence + 1, log.top + 1
    again = Batch(producer=Producer(id=promised.producer), sequence=first, bodies=[block(first, last - first + 1)])
    assert store.append(session_id, again).top == last
    check(store, session_id)
