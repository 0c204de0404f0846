"""Steps on their way through the ring: however they are packed there, what was given is what is recorded."""

from __future__ import annotations

import math
import sys
import threading
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forge_widgets import create_progress_hooks
from forge_widgets.core.metrics import DEFAULTS, complete, wire_name
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.training.buffer import CAPACITY, Buffer, Dropped, RawEvent
from forge_widgets.training.packed import (
    COMMON,
    FROM_ONE,
    FROM_ZERO,
    LEFT_OUT,
    MAX_NAMINGS,
    Shapes,
    columns_of,
    pack_common,
    unpacked,
)
from forge_widgets.training.run import Run
from tests.training.conftest import Recorded

NAMES = ("loss", "accuracy", "learning_rate", "grad_norm", "learningRate", "valLoss", "totalSteps", "perplexity")
VALUES = st.one_of(
    st.none(),
    st.floats(width=32),
    st.integers(-(10**400), 10**400),
    st.sampled_from([np.float32(0.5), np.int64(3), np.array(0.25), True, math.nan, 10**400]),
)
METRICS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
STEPS = st.lists(st.one_of(METRICS, st.just({"loss": 0.5, "valLoss": 0.25}), st.just({"loss": 0.5})), max_size=12)


def as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def expected(steps: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Complete each row by itself, as the contract says it for one update."""
    total, rows = DEFAULTS["totalSteps"], []
    for step, given_metrics in enumerate(steps, 1):
        row = {"currentStep": float(step), "currentModel": 1.0}
        # Of a name that is given in both spellings the one in camelCase counts.
        named = sorted(given_metrics.items(), key=lambda item: item[0] == "learningRate")
        row |= {wire_name(name): as_float(value) for name, value in named if value is not None}
        total = row.get("totalSteps", total)
        rows.append(complete(row, total))
    return rows


@pytest.mark.parametrize("by_hooks", [False, True])
@settings(max_examples=60, deadline=None)
@example([{"loss": 1.0}, {}, {"loss": math.nan}])
@example([{"totalSteps": 10.0}, {"loss": 1.0}, {"totalSteps": 4.0}])
@example([{"perplexity": 2.0, "loss": 1.0}, {"perplexity": None, "loss": 1.0}])
@example([{"learning_rate": 0.1, "learningRate": 0.2}])
@given(STEPS)
def test_steps_of_whatever_metrics_are_recorded_as_each_would_be_by_itself(
    by_hooks: bool, steps: list[dict[str, Any]]
) -> None:
    store = MemoryStore("steps")
    hooks, run = create_progress_hooks("s", store=store), Run("s", store=store)
    for step, metrics in enumerate(steps, 1):
        if by_hooks:
            hooks.emit_step_update(step, model_idx=0, **metrics)
        else:
            run.log(**metrics)
    assert hooks.flush()
    assert run.flush()
    hooks.close()
    run.close()
    rows = Recorded(store).rows("s") if steps else []
    assert [{name: repr(value) for name, value in row.items()} for row in rows] == [
        {name: repr(value) for name, value in row.items()} for row in expected(steps)
    ]


def test_a_nan_of_the_users_is_recorded_and_what_is_left_out_is_not(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    hooks.emit_step_update(1, 0.5, 0, accuracy=math.nan, learning_rate=0.1, grad_norm=1.0)
    hooks.emit_step_update(2, -math.nan, 0)
    assert hooks.flush()
    first, second = recorded.rows("s")
    assert math.isnan(first["accuracy"])
    assert (first["learningRate"], first["grad_norm"]) == (0.1, 1.0)
    assert math.isnan(second["loss"])
    assert not {"accuracy", "learningRate", "grad_norm"} & set(second)
    hooks.close()


def test_models_count_from_0_in_the_hooks_and_from_1_in_the_log_whichever_way_a_step_goes(
    folder: Path, recorded: Recorded
) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    hooks.emit_step_update(1, 0.5, 0)
    hooks.emit_step_update(2, 0.5)
    for step, loss in enumerate((0.5, 1, np.float32(0.5), None), 3):
        hooks.emit_step_update(step, loss, 1)
        hooks.emit_step_update(step, loss, 1, valLoss=0.5)
    assert hooks.flush()
    models = [row.get("currentModel") for row in recorded.rows("s")]
    assert models == [1.0, None, *[2.0] * 8]
    hooks.close()


def test_a_step_whose_numbers_need_a_look_row_by_row_counts_its_model_from_1(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    hooks.emit_step_update(0, 0.5)
    assert hooks.flush()
    hooks.emit_step_update(1, 0.5, 1, total_steps=10)
    hooks.emit_step_update(2, 0.5)
    hooks.emit_step_update(3, 0.5, 0)
    assert hooks.flush()
    rows = recorded.rows("s")[1:]
    assert [row.get("currentModel") for row in rows] == [2.0, None, 1.0]
    assert [row["grokProgress"] for row in rows] == [10.0, 20.0, 30.0]
    hooks.close()


def test_a_metric_whose_name_cannot_be_used_costs_nothing_but_itself(folder: Path, recorded: Recorded) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    for step in range(3):
        hooks.emit_step_update(step, 0.5, **{"bad\nname": 1.0, "fine": 2.0})
    assert hooks.flush()
    assert [row["fine"] for row in recorded.rows("s")] == [2.0, 2.0, 2.0]
    assert hooks.refused == 3
    hooks.close()


@pytest.mark.parametrize("turns", [1, 10])
def test_steps_of_several_kinds_that_take_turns_are_recorded_in_their_order(
    folder: Path, recorded: Recorded, turns: int
) -> None:
    run = Run("s", store=folder)
    for step in range(1, 101):
        own: dict[str, Any] = {("critic", "actor")[step // turns % 2]: float(step)}
        run.log(step=step, **own)
    assert run.flush()
    rows = recorded.rows("s")
    assert [row["currentStep"] for row in rows] == list(range(1, 101))
    assert [row[("critic", "actor")[step // turns % 2]] for step, row in enumerate(rows, 1)] == list(range(1, 101))
    assert all(("critic" in row) != ("actor" in row) for row in rows)
    run.close()


def test_more_names_than_a_ring_knows_shapes_of_are_recorded_all_the_same(folder: Path, recorded: Recorded) -> None:
    hooks: Any = create_progress_hooks("s", store=folder)
    for step in range(MAX_NAMINGS + 20):
        hooks.emit_step_update(step, 0.5, **{f"own{step}": float(step)})
        assert step % 50 or hooks.flush()
    assert hooks.flush()
    rows = recorded.rows("s")
    assert [row[f"own{step}"] for step, row in enumerate(rows)] == [float(step) for step in range(MAX_NAMINGS + 20)]
    hooks.close()


def test_a_step_number_that_no_double_holds_costs_nothing_but_itself(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    hooks.emit_step_update(1, 0.5)
    hooks.emit_step_update(10**400, 0.25)
    hooks.emit_step_update(2, 0.125)
    assert hooks.flush()
    assert [row["loss"] for row in recorded.rows("s")] == [0.5, 0.25, 0.125]
    assert [row["currentStep"] for row in recorded.rows("s")] == [1.0, math.inf, 2.0]
    hooks.close()


def test_hooks_that_start_again_after_their_end_record_into_the_next_attempt(folder: Path, recorded: Recorded) -> None:
    hooks = create_progress_hooks("s", store=folder)
    for attempt in (1, 2):
        hooks.emit_training_started(total_steps=3)
        for step in (1, 2, 3):
            hooks.emit_step_update(step, float(attempt), 0)
        hooks.close()
    assert [[row["loss"] for row in recorded.rows("s", attempt)] for attempt in (1, 2)] == [[1.0] * 3, [2.0] * 3]
    assert hooks.refused == 0


def test_a_ring_that_a_fork_has_copied_while_another_thread_held_it_is_left_in_the_child() -> None:
    ring = Buffer(capacity=1)
    holder = threading.Thread(target=ring._lock.acquire)
    holder.start()
    holder.join()
    ring.leave(forked=True)
    assert ring.room == 0


def test_a_signals_handler_may_record_while_its_thread_holds_the_ring() -> None:
    ring = Buffer(capacity=1)
    ring.add_row(b"1")
    with ring._lock:
        ring.add_row(b"2")
        ring.add(RawEvent(0.0, "training_error", {}))
    assert [type(item) for item in ring.drain(9)] == [bytes, bytes, RawEvent]


@pytest.mark.parametrize("calls", range(30))
def test_a_signals_handler_may_add_a_shape_while_its_thread_adds_another(calls: int) -> None:
    """The handler runs after so many calls and returns of its thread."""
    shapes, left = Shapes(), iter(range(calls))

    def handler(*_: object) -> None:
        if next(left, None) is None:
            sys.setprofile(None)
            shapes.of(("own",))

    sys.setprofile(handler)
    shapes.of(("others",))
    sys.setprofile(None)
    for name in ("own", "others"):
        for shape in (shapes.of((name,)), shapes.from_zero[name,]):
            assert shape is not None
            assert shape.names[-1] == name
            assert shapes.at(pack_common(shape.number, *[0.0] * 9)) is shape


def test_a_full_ring_of_common_steps_takes_less_than_5_mb() -> None:
    ring = Buffer()
    tracemalloc.start()
    while ring.room:
        ring.add_row(pack_common(FROM_ZERO, 1.0, len(ring), 0.5, *[LEFT_OUT] * (len(COMMON) - 2)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ring) == CAPACITY + 1
    assert held < 5_000_000


def test_a_ring_has_no_room_while_its_newest_row_waits_beside_it_and_none_once_it_is_left() -> None:
    ring = Buffer(capacity=2)
    for row in (b"1", b"2", b"3", b"4"):
        ring.add_row(row)
    assert ring.room == 0
    assert ring.drain(2) == [b"1", b"2"]
    assert ring.drain(5) == [Dropped(1), b"4"]
    assert ring.room == 2
    ring.leave()
    ring.widen()
    assert ring.room == 0
    ring.add_row(b"5")
    assert ring.drain(5) == [b"5"]


class Guard:
    """A ring's lock that says that somebody asks for it."""

    def __init__(self, asked: threading.Event) -> None:
        self._lock, self._asked = threading.RLock(), asked

    def __enter__(self) -> None:
        self._asked.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Meeting(deque[Any]):
    """Items of a ring to which a thread adds a row just while the newest of a full ring is put behind them."""

    def __init__(self, ring: Any) -> None:
        super().__init__(ring.items)
        self._ring = ring
        self.thread = threading.Thread(target=self._add)
        # The thread is through, or waits for its turn.
        self._seen = ring._lock._asked

    def _add(self) -> None:
        self._ring.add_row(b"next")
        self._seen.set()

    def append(self, item: Any) -> None:
        if isinstance(item, Dropped):
            self._seen.clear()
            self.thread.start()
            assert self._seen.wait(20)
        super().append(item)


def test_a_row_that_comes_while_the_newest_of_a_full_ring_is_taken_stays_behind_it() -> None:
    ring: Any = Buffer(capacity=1)
    for row in (b"first", b"dropped", b"newest"):
        ring.add_row(row)
    assert ring.drain(1) == [b"first"]
    ring._lock = Guard(threading.Event())
    ring.items = Meeting(ring)
    taken = ring.drain(5)
    ring.items.thread.join()
    assert [*taken, *ring.drain(5)] == [Dropped(1), b"newest", b"next"]


def test_whoever_appends_to_a_ring_that_rests_wakes_its_publisher() -> None:
    ring, roused = Buffer(), threading.Event()
    ring.wake = roused.set
    ring.add_row(b"row")
    assert not roused.is_set()
    ring.idle = True
    ring.add_row(b"row")
    assert roused.is_set()
    roused.clear()
    ring.add(RawEvent(0.0, "training_started", {}))
    assert roused.is_set()


def test_numbers_that_only_look_left_out_across_two_of_them_are_kept() -> None:
    shape = Shapes().of(())
    assert shape is not None
    # The bytes of LEFT_OUT, four in the one and four in the next number of a column.
    torn = np.frombuffer(b"\0\0\0\0" + np.float64(LEFT_OUT).tobytes() + b"\0\0\0\0", dtype=np.float64)
    rows = [pack_common(FROM_ONE, 0.0, 1.0, float(loss), *[LEFT_OUT] * (len(COMMON) - 2)) for loss in torn]
    _, columns = columns_of(shape, rows)
    named = dict(columns)
    assert list(named) == ["currentStep", "loss"]
    assert named["loss"].present is None
    assert [value.hex() for value in named["loss"].values] == [float(value).hex() for value in torn]
    _, names, values = unpacked(shape, rows[0])
    assert names == COMMON
    assert [value is LEFT_OUT for value in values] == [False, False, *[True] * (len(COMMON) - 2)]
