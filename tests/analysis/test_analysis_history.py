"""The recorded rows of a session."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forge_widgets.analysis.history import history
from forge_widgets.core.events import Body, Event
from forge_widgets.core.steps import Row, block_of
from forge_widgets.errors import InvalidInput, InvalidSessionId, SessionNotFound
from forge_widgets.stores import open_store, pending
from forge_widgets.stores.base import Store

Record = Callable[[str, str, Sequence[Body]], None]

T0 = 1_763_800_000.25


def started(at: float = T0) -> Event:
    return Event(event_type="training_started", timestamp=at)


def rows(count: int, *, first: int = 0, model: float = 1.0) -> list[Row]:
    return [
        (T0 + step, {"currentStep": float(step), "currentModel": model, "loss": 1.0 / (step + 1)})
        for step in range(first, first + count)
    ]


def test_rows_come_in_the_order_of_the_log_with_step_model_and_timestamp(store: Store, record: Record) -> None:
    record("run", "p1", [started(), block_of(rows(3)), block_of(rows(2, model=2.0))])
    frame = history("run", store=store).to_dataframe()
    assert list(frame.columns) == ["step", "model", "timestamp", "loss"]
    assert frame["step"].tolist() == [0, 1, 2, 0, 1]
    assert frame["model"].tolist() == [1, 1, 1, 2, 2]
    assert frame["loss"].tolist() == [1.0, 0.5, 1 / 3, 1.0, 0.5]
    assert str(frame["step"].dtype) == str(frame["model"].dtype) == "int64"
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"
    assert frame["timestamp"][1] == pd.Timestamp("2025-11-22T08:26:41.250Z")


def test_what_a_row_has_not_recorded_is_nan_and_left_out_of_the_row(store: Store, record: Record) -> None:
    first = block_of([(T0, {"loss": 2.0, "currentStep": 0.0}), (T0 + 1, {"currentStep": 1.0})])
    later = block_of([(T0 + 2, {"currentStep": 2.0, "bleu": 0.4, "loss": math.nan})])
    record("run", "p1", [first, later])
    found = history("run", store=store)
    np.testing.assert_array_equal(found.to_dataframe()["loss"], [2.0, math.nan, math.nan])
    np.testing.assert_array_equal(found.to_dataframe()["bleu"], [math.nan, math.nan, 0.4])
    assert [sorted(row) for row in found] == [
        ["loss", "model", "step", "timestamp"],
        ["model", "step", "timestamp"],
        ["bleu", "loss", "model", "step", "timestamp"],
    ]
    assert found.presence("loss") == b"\x01\x00\x01"


def test_a_row_without_a_step_keeps_the_others_readable(store: Store, record: Record) -> None:
    record("run", "p1", [block_of([(T0, {"loss": 1.0}), (T0 + 1, {"loss": 0.5, "currentStep": 1.0})])])
    frame = history("run", store=store).to_dataframe()
    np.testing.assert_array_equal(frame["step"], [math.nan, 1.0])
    assert frame["model"].tolist() == [1, 1]


def test_a_step_with_a_message_is_a_row_and_lifecycle_events_stand_beside(store: Store, record: Record) -> None:
    said = Event(
        event_type="step_update", timestamp=T0 + 9, metrics={"currentStep": 9.0}, message="slow", status="paused"
    )
    phase = Event(event_type="phase_completed", timestamp=T0 + 10, name="warmup")
    record("run", "p1", [started(), block_of(rows(1)), said, phase])
    found = history("run", store=store)
    assert list(found.column("step")) == [0.0, 9.0]
    assert [event.event_type for event in found.events] == ["training_started", "phase_completed"]


def test_the_latest_attempt_is_shown_and_others_by_their_number(store: Store, record: Record) -> None:
    record("run", "p1", [started(), block_of(rows(3))])
    record("run", "p2", [started(T0 + 50), block_of(rows(1))])
    record("run", "p1", [block_of(rows(1, first=3))])
    latest = history("run", store=store)
    assert (latest.attempt, latest.attempts, len(latest)) == (2, (1, 2), 1)
    first = history("run", attempt=1, store=store)
    assert list(first.column("step")) == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(InvalidInput, match=r"no attempt 3 of run in attempt: expected one of 1, 2"):
        history("run", attempt=3, store=store)


def test_a_log_longer_than_a_slice_is_read_whole(store: Store, record: Record) -> None:
    for start in range(0, 120_000, 40_000):
        record("run", "p1", [block_of(rows(40_000, first=start))])
    found = history("run", store=store)
    assert len(found) == 120_000
    assert found.column("step")[-1] == 119_999.0


def test_an_unknown_session_is_an_error_that_says_what_to_do(store: Store) -> None:
    with pytest.raises(SessionNotFound, match="forge-widgets sessions"):
        history("nobody", store=store)
    with pytest.raises(InvalidSessionId):
        history("../etc", store=store)


def test_a_store_may_be_named_by_its_folder_or_the_environment(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record("run", "p1", [block_of(rows(2))])
    assert len(history("run", store=tmp_path / "store")) == 2
    assert len(history("run", store=str(tmp_path / "store"))) == 2
    monkeypatch.setenv("FORGE_WIDGETS_STORE", str(tmp_path / "store"))
    assert len(history("run")) == 2


def test_what_this_process_has_not_saved_yet_is_saved_first(store: Store, record: Record) -> None:
    record("run", "p1", [block_of(rows(1))])

    def flush(timeout_s: float) -> bool:
        record("run", "p1", [block_of(rows(1, first=1))])
        return True

    unregister = pending.register("run", flush)
    try:
        assert len(history("run", store=store)) == 2
    finally:
        unregister()


def test_a_metric_that_is_called_like_a_column_keeps_its_place(store: Store, record: Record) -> None:
    record("run", "p1", [block_of([(T0, {"currentStep": 1.0, "model": 7.0, "metrics.model": 8.0})])])
    found = history("run", store=store)
    assert found.columns == ("step", "model", "timestamp", "metrics.metrics.model", "metrics.model")
    (row,) = found
    assert (row["model"], row["metrics.metrics.model"], row["metrics.model"]) == (1.0, 7.0, 8.0)
    assert row["timestamp"] == datetime.fromtimestamp(T0, timezone.utc)


def test_both_texts_are_the_same_for_the_same_training_whenever_it_ran(store: Store, record: Record) -> None:
    for name, later in (("one", 0.0), ("two", 1234.5)):
        moved = [(at + later, {**metrics, "lr": math.inf}) for at, metrics in rows(2)]
        record(name, "p1", [started(T0 + later), block_of(moved, thinned=4)])
    one, two = (history(name, store=store) for name in ("one", "two"))
    assert str(one) == "history of one: 2 rows, attempt 1 of 1, 4 more dropped while training"
    assert repr(one).splitlines()[1:] == ["  step   0 … 1", "  model  1", "  loss   1 … 0.5", "  lr     inf"]
    assert repr(one).replace("one", "two") == repr(two)


def test_a_session_without_a_row_has_an_empty_history(store: Store, record: Record) -> None:
    record("run", "p1", [started()])
    found = history("run", store=store)
    assert len(found) == 0
    assert list(found) == []
    assert list(found.to_dataframe().columns) == ["step", "model", "timestamp"]
    assert repr(found) == "history of run: 0 rows, attempt 1 of 1"


def test_an_unknown_column_is_an_error_that_lists_those_there(store: Store, record: Record) -> None:
    record("run", "p1", [block_of(rows(1))])
    found = history("run", store=store)
    with pytest.raises(InvalidInput, match="no column 'los' in column: expected one of step, model, timestamp, loss"):
        found.column("los")
    assert list(found.column("timestamp")) == [T0]


def test_a_session_deleted_and_made_anew_while_it_is_read_gives_the_new_log(store: Store, record: Record) -> None:
    record("run", "p1", [block_of(rows(60_000)), block_of(rows(60_000, first=60_000))])

    class Replaced:
        """Deletes the session and records it anew after the first slice."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def read(self, session_id: str, after: int, max_rows: int = 50_000) -> object:
            part = store.read(session_id, after, max_rows)
            if after == 0 and part is not None and part.top > 10:
                store.delete(session_id)
                record("run", "p2", [block_of(rows(2))])
            return part

    found = history("run", store=Replaced())  # type: ignore[arg-type]
    assert list(found.column("step")) == [0.0, 1.0]


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "pyarrow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
from forge_widgets.analysis.history import history
from forge_widgets.errors import MissingDependency
found = history("run", store=sys.argv[1])
assert len(found) == 1
try:
    found.to_dataframe()
except MissingDependency as error:
    print(error)
"""


def test_without_pandas_the_error_says_what_to_install(tmp_path: Path, record: Record) -> None:
    record("run", "p1", [block_of(rows(1))])
    answer = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(tmp_path / "store")], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout == (
        "pandas is needed for History.to_dataframe() and is not installed: pip install 'forge-widgets[pandas]'\n"
    )


def test_history_imports_neither_training_nor_server_nor_pandas(tmp_path: Path) -> None:
    code = (
        "import sys, forge_widgets.analysis.history, forge_widgets.analysis.sessions, forge_widgets.analysis.export\n"
        "print([name for name in sys.modules if name.startswith(('forge_widgets.training', 'forge_widgets.server', "
        "'pandas', 'numpy', 'pyarrow', 'tornado', 'apsw'))])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "[]\n"


def test_a_memory_store_is_read_too() -> None:
    store = open_store("memory://history-test")
    from forge_widgets.core.events import Batch, Producer

    store.append("run", Batch(producer=Producer(id="p"), sequence=0, bodies=[block_of(rows(2))]))
    assert len(history("run", store="memory://history-test")) == 2
