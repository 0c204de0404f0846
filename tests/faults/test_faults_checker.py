"""That the checker sees what it is there for: a lost step, one that is there twice, one that was never recorded."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from forge_widgets.core.events import Batch, Body, Event, Producer, Record
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold_all
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.core.subscription import Frame, Slice
from forge_widgets.core.wire import frame_message
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store
from tests.faults.checker import Acknowledged, check
from tests.faults.viewer import Viewer

ALL = [Acknowledged("p", 4, 3)]


def block(first: int, *losses: float) -> StepBlock:
    steps = array("d", range(first, first + len(losses)))
    return StepBlock(steps, {"currentStep": Column(steps), "loss": Column(array("d", losses))})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a store that holds a start and three rows of a producer ``p``."""
    opened = open_store(tmp_path / "store")
    start = Event(event_type="training_started", timestamp=0.5)
    bodies: list[Body] = [start, block(1, 0.3, 0.2), block(3, 0.1)]
    opened.append("s", Batch(producer=Producer(id="p"), sequence=1, bodies=bodies))
    yield opened
    opened.close()


class Wrong:
    """A store that shows another log than it has."""

    def __init__(self, store: Store, records: Sequence[Record]) -> None:
        self._store = store
        self._records = records

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, session_id: str, after: int) -> Slice:
        read = self._store.read(session_id, after)
        assert read is not None
        return replace(read, records=self._records, top=self._records[-1].last)


def records_of(store: Store) -> list[Record]:
    read = store.read("s", 0)
    assert read is not None
    return list(read.records)


def seen(store: Store, records: Sequence[Record]) -> Viewer:
    """Make a viewer that saw the first record in a key frame, and then these."""
    read = store.read("s", 0)
    assert read is not None
    viewer = Viewer("http://127.0.0.1:9", "s", "")
    first = fold_all(State(), read.records[:1])
    viewer.take(frame_message("s", Frame(read.epoch, 1, 1, True, first, ()), Series()))
    viewer.take(frame_message("s", Frame(read.epoch, 2, records[-1].last, False, State(), records), Series()))
    return viewer


def test_what_is_whole_passes(store: Store) -> None:
    log = check(store, "s", ALL, [seen(store, records_of(store)[1:])])
    assert (log.top, len(log.records)) == (4, 3)


@pytest.mark.parametrize(
    ("ack", "said"),
    [
        (Acknowledged("p", 5, 0), "1 of 5"),
        (Acknowledged("q", 1, 0), "q: 1 of 1"),
        (Acknowledged("p", 4, 9), "step 9"),
    ],
)
def test_an_acknowledged_step_that_is_not_there_is_seen(store: Store, ack: Acknowledged, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(store, "s", [ack])


def test_a_log_with_a_hole_or_a_repeat_is_seen(store: Store) -> None:
    start, first, second = records_of(store)
    hole = Wrong(store, [start, second])
    again = Wrong(store, [start, first, replace(first, offset=4), replace(second, offset=6)])
    for wrong, said in ((hole, "offset 4 where 2 was due"), (again, "sequence 2 after 3")):
        with pytest.raises(AssertionError, match=said):
            check(wrong, "s")  # type: ignore[arg-type]


def test_a_state_that_is_not_the_fold_is_seen(store: Store) -> None:
    start, first, second = records_of(store)
    wrong = Wrong(store, [start, first, replace(second, body=block(3, 0.9))])
    with pytest.raises(AssertionError, match="not the fold"):
        check(wrong, "s")  # type: ignore[arg-type]


def test_a_viewer_that_shows_another_number_is_seen(store: Store) -> None:
    _, first, second = records_of(store)
    with pytest.raises(AssertionError, match="a viewer has"):
        check(store, "s", ALL, [seen(store, [first, replace(second, body=block(3, 0.9))])])


def test_a_viewer_that_stayed_behind_is_seen(store: Store) -> None:
    with pytest.raises(AssertionError, match="stayed behind"):
        check(store, "s", ALL, [seen(store, records_of(store)[1:2])])


def test_a_viewer_whose_key_frame_is_not_the_fold_is_seen(store: Store) -> None:
    viewer = seen(store, records_of(store)[1:])
    viewer.chapters[0].base = replace(viewer.chapters[0].base, rows=7)
    with pytest.raises(AssertionError, match="key frame"):
        check(store, "s", ALL, [viewer])


def test_a_viewer_that_lost_a_row_or_took_it_twice_is_seen(store: Store) -> None:
    _, first, second = records_of(store)
    for kept in ([second], [first, second, second]):
        viewer = seen(store, [first, second])
        viewer.chapters[0].records = kept
        with pytest.raises(AssertionError):
            check(store, "s", ALL, [viewer])


def test_the_last_commit_of_a_log_that_was_moved_away_may_come_again_and_nothing_before_it(store: Store) -> None:
    read = store.read("s", 0)
    assert read is not None
    start, rows, _ = read.records
    moved = replace(read, epoch="moved", records=[start], top=start.last)
    check(store, "s", ALL, before=(moved,))
    with pytest.raises(AssertionError, match="in two logs"):
        check(store, "s", ALL, before=(replace(moved, records=[start, rows], top=rows.last),))
