"""Exports: what was recorded comes back equal from every format."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from forge_widgets.analysis.export import export
from forge_widgets.analysis.history import history
from forge_widgets.core.events import Body, Event
from forge_widgets.core.metrics import unpack_number
from forge_widgets.core.steps import block_of
from forge_widgets.errors import InvalidInput, SessionNotFound
from forge_widgets.stores.base import Store

Record = Callable[[str, str, Sequence[Body]], None]

T0 = 1_763_800_000.123456
ROWS = [
    (T0, {"currentStep": 0.0, "currentModel": 1.0, "loss": 0.1 + 0.2, "totalSteps": 3.0}),
    (T0 + 1, {"currentStep": 1.0, "currentModel": 1.0, "loss": math.nan, "bleu, 4": 1e-300}),
    (T0 + 2, {"currentStep": 2.0, "currentModel": 2.0, "loss": math.inf, "bleu, 4": -math.inf}),
    (T0 + 3, {"currentStep": 3.0, "currentModel": 2.0}),
]


@pytest.fixture
def recorded(store: Store, record: Record) -> Store:
    """Give a store with a session of all that is hard to write."""
    ended = Event(event_type="phase_completed", timestamp=T0 + 4, name="training_complete", metrics={"loss": math.nan})
    record("run", "p1", [Event(event_type="training_started", timestamp=T0), block_of(ROWS), ended])
    return store


def exported(store: Store, format: str) -> bytes:  # noqa: A002
    target = io.BytesIO()
    export("run", format, target, store=store)  # type: ignore[arg-type]
    return target.getvalue()


def test_csv_comes_back_equal(recorded: Store) -> None:
    text = exported(recorded, "csv")
    assert text.splitlines()[0] == b'step,model,timestamp,loss,totalSteps,"bleu, 4"'
    assert text.splitlines()[1] == b"0,1,2025-11-22T08:26:40.123456Z,0.30000000000000004,3,"
    assert text.splitlines()[3] == b"2,2,2025-11-22T08:26:42.123456Z,Infinity,,-Infinity"
    frame = pd.read_csv(io.BytesIO(text))
    frame["timestamp"] = pd.to_datetime(frame["timestamp"]).dt.as_unit("us")
    pd.testing.assert_frame_equal(frame, history("run", store=recorded).to_dataframe(), check_dtype=False)
    cells = [line["loss"] for line in csv.DictReader(io.StringIO(text.decode()))]
    np.testing.assert_array_equal(
        [float(cell or "nan") for cell in cells], history("run", store=recorded).column("loss")
    )


def test_parquet_comes_back_equal_and_tells_missing_from_nan(recorded: Store) -> None:
    content = exported(recorded, "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(content)), history("run", store=recorded).to_dataframe())
    table = parquet.read_table(pa.BufferReader(content))
    assert table.column("loss").null_count == 1
    assert math.isnan(table.column("loss")[1].as_py())
    assert table.schema.metadata[b"sessionId"] == b"run"


def test_json_is_strict_and_comes_back_equal(recorded: Store) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    document = json.loads(exported(recorded, "json"), parse_constant=refuse)
    assert (document["sessionId"], document["attempt"], document["attempts"]) == ("run", 1, [1])
    assert document["rows"][1]["metrics"]["loss"] is None
    assert document["rows"][1]["nonfinite"] == {"loss": "NaN"}
    assert "loss" not in document["rows"][3]["metrics"]
    found = history("run", store=recorded)
    for number, row in enumerate(document["rows"]):
        values = {**row["metrics"], **row.get("nonfinite", {})}
        for name in found.metrics:
            np.testing.assert_equal(unpack_number(values.get(name, "NaN")), found.column(name)[number])
        assert [row["step"], row["model"]] == [found.column("step")[number], found.column("model")[number]]
    assert [event["eventType"] for event in document["events"]] == ["training_started", "phase_completed"]
    assert document["events"][1] == {
        "eventType": "phase_completed",
        "timestamp": "2025-11-22T08:26:44.123456Z",
        "name": "training_complete",
        "metrics": {"loss": None},
        "nonfinite": {"loss": "NaN"},
    }


@pytest.mark.parametrize("format_", ["csv", "json", "parquet"])
def test_a_session_without_a_row_is_exported_too(store: Store, record: Record, format_: str) -> None:
    record("run", "p1", [Event(event_type="training_started", timestamp=T0)])
    assert exported(store, format_)


def test_a_file_is_replaced_whole_or_stays_as_it_was(recorded: Store, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_text("what was there")
    with pytest.raises(SessionNotFound):
        export("nobody", "csv", target, store=recorded)
    assert target.read_text() == "what was there"
    export("run", "csv", str(target), store=recorded)
    assert target.read_bytes() == exported(recorded, "csv")
    assert [path.name for path in tmp_path.glob("*rows*")] == ["rows.csv"]
    (tmp_path / "link.csv").symlink_to(target)
    export("run", "json", tmp_path / "link.csv", store=recorded)
    assert (tmp_path / "link.csv").is_symlink()
    assert target.read_bytes() == exported(recorded, "json")


def test_what_breaks_in_the_middle_leaves_no_part_behind(recorded: Store, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(OSError, match="there") as to_folder:
        export("run", "csv", folder, store=recorded)
    with pytest.raises(FileNotFoundError) as to_nowhere:
        export("run", "csv", tmp_path / "missing" / "rows.csv", store=recorded)
    # What is said is said of the file that was asked for.
    assert ".part" not in f"{to_folder.value} {to_nowhere.value}"
    assert to_nowhere.value.filename == str(tmp_path / "missing" / "rows.csv")
    assert sorted(path.name for path in tmp_path.iterdir() if ".part" in path.name) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_device_is_written_and_not_replaced(recorded: Store) -> None:
    export("run", "csv", "/dev/null", store=recorded)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_an_unknown_format_is_an_error_that_lists_those_there(recorded: Store) -> None:
    with pytest.raises(InvalidInput, match="'xlsx' is no format in format: expected one of csv, parquet, json"):
        exported(recorded, "xlsx")
