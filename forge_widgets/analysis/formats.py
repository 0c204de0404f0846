"""What is in an exported file: a history as CSV, JSON or Parquet.

Writes into an open binary file, row by row where the format allows it. Export chooses and calls it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, Any, BinaryIO, Literal, TypeAlias, get_args

from forge_widgets.analysis.history import History, moment
from forge_widgets.core.events import Event
from forge_widgets.core.metrics import nonfinite_name, split_nonfinite, wire_value
from forge_widgets.core.wire import encode
from forge_widgets.errors import MissingDependency

Format = Literal["csv", "parquet", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

Json = dict[str, Any]
Writer: TypeAlias = Callable[[History, BinaryIO], None]


def writer_of(format: Format) -> Writer:  # noqa: A002
    """Return what writes a history in a format."""
    return {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[format]


def _write_csv(recorded: History, file: BinaryIO) -> None:
    text = _Utf8(file)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(recorded.columns)
    for row in recorded:
        writer.writerow([_csv_cell(recorded, name, row.get(name)) for name in recorded.columns])


def _csv_cell(recorded: History, name: str, value: float | datetime | None) -> str | float | None:
    if isinstance(value, datetime):
        return iso_microseconds(value)
    if value is None or value - value == 0:
        return None if value is None else _written(recorded, name, value)
    return nonfinite_name(value)


def _written(recorded: History, name: str, value: float) -> float:
    """Return a number as it is written: ``step``, ``model`` and the contract's counts as whole numbers."""
    return wire_value(_wire_name(recorded, name), value)


def _wire_name(recorded: History, name: str) -> str:
    return {"step": "currentStep", "model": "currentModel"}.get(name) or recorded.metrics[name]


def _write_json(recorded: History, file: BinaryIO) -> None:
    head = {"sessionId": recorded.session_id, "attempt": recorded.attempt, "attempts": list(recorded.attempts)}
    head["thinned"] = recorded.thinned
    file.write(encode(head)[:-1] + b',\n"rows": [')
    _write_items(file, (_json_row(recorded, row) for row in recorded))
    file.write(b'],\n"events": [')
    _write_items(file, map(_json_event, recorded.events))
    file.write(b"]}\n")


def _write_items(file: BinaryIO, items: Iterator[Json]) -> None:
    before = b"\n"
    for item in items:
        file.write(before + encode(item))
        before = b",\n"


def _json_row(recorded: History, row: dict[str, float | datetime]) -> Json:
    numbers = {_wire_name(recorded, name): value for name, value in row.items() if isinstance(value, float)}
    values, nonfinite = split_nonfinite(numbers)
    document: Json = {"step": values.pop("currentStep", None), "model": values.pop("currentModel")}
    timestamp = row["timestamp"]
    if isinstance(timestamp, datetime):
        document["timestamp"] = iso_microseconds(timestamp)
    document["metrics"] = values
    return {**document, "nonfinite": nonfinite} if nonfinite else document


def _json_event(event: Event) -> Json:
    values, nonfinite = split_nonfinite(event.metrics)
    document: Json = {"eventType": event.event_type, "timestamp": iso_microseconds(moment(event.timestamp))}
    said = {"status": event.status, "name": event.name, "message": event.message, "error": event.error}
    document.update({name: text for name, text in said.items() if text})
    document["metrics"] = values
    return {**document, "nonfinite": nonfinite} if nonfinite else document


def _write_parquet(recorded: History, file: BinaryIO) -> None:
    pa, parquet = load_pyarrow()
    import numpy as np

    arrays = {}
    for name in recorded.columns:
        values = np.array(recorded.column(name), dtype="float64")
        missing = np.frombuffer(recorded.presence(name), dtype="uint8") == 0
        if name == "timestamp":
            arrays[name] = pa.array(np.rint(values * 1e6).astype("int64"), type=pa.timestamp("us", tz="UTC"))
        elif name in ("step", "model") and recorded.whole(name):
            arrays[name] = pa.array(values.astype("int64"))
        else:
            arrays[name] = pa.array(values, mask=missing)
    about = {"sessionId": recorded.session_id, "attempt": str(recorded.attempt), "thinned": str(recorded.thinned)}
    parquet.write_table(pa.table(arrays).replace_schema_metadata(about), file)


def load_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet. Raises MissingDependency."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "an export to Parquet", "forge-widgets[parquet]") from error
    return pa, parquet


def iso_microseconds(time: datetime) -> str:
    """Write a time in UTC as ISO 8601 to the microsecond, with ``Z``."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Utf8:
    """What csv writes into: text made UTF-8, without a wrapper that would close the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())
