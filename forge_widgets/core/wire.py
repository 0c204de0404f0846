"""Frames as JSON: what our own clients read on every transport (docs/PROTOCOL.md).

Numbers that are not finite travel as their names ("NaN", "Infinity", "-Infinity"), a metric that a row does not have as null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from forge_widgets.core.events import Batch, Body, Event, Record
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.metrics import pack_number, wire_value
from forge_widgets.core.series import Point, Series
from forge_widgets.core.state import State
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.core.subscription import Cursor, Frame
from forge_widgets.core.thin import thin

PROTOCOLS = (1,)
"""Versions of docs/PROTOCOL.md that are spoken here."""

PROTOCOL = max(PROTOCOLS)

MIN_LINE_POINTS = 8
"""Points that a thinned line keeps at least."""

THINNED_DIGITS = 6
"""Significant digits of the values of a thinned line: a picture shows no more, and they are half of its bytes."""

Json = dict[str, Any]


def encode(message: Json) -> bytes:
    """Encode a message that holds only JSON-safe values."""
    return msgspec.json.encode(message)


def agreed_protocol(offered: str) -> int | None:
    """Return the newest version of an offer (``2,1``) that is spoken here; None where there is none."""
    known = {str(version): version for version in PROTOCOLS}
    return max((known[one] for one in map(str.strip, offered.split(",")) if one in known), default=None)


def frame_message(session_id: str, frame: Frame, series: Series) -> Json:
    """Build a frame's message; ``series`` are the curves that a key frame carries, thinned as the frame says."""
    message: Json = {
        "type": "frame",
        "sessionId": session_id,
        "epoch": frame.epoch,
        "from": frame.first,
        "to": frame.last,
        "key": frame.key,
    }
    records = [record_message(record) for record in frame.records]
    if not frame.key:
        return {**message, "records": records}
    lines = list(series.lines())
    thinned = lines if frame.points is None else _thinned(lines, frame.points)
    if frame.coalesced or records:
        message |= {"coalesced": frame.coalesced, "events": records}
    if frame.trimmed:
        message["trimmed"] = frame.trimmed
    return {
        **message,
        "recovered": frame.recovered,
        "coarse": any(len(few[2]) < len(many[2]) for few, many in zip(thinned, lines, strict=True)),
        "state": state_message(frame.state),
        "series": [_line_message(*line) for line in thinned],
    }


def welcome_message(session_id: str, store_id: str, heartbeat_s: float, now: float, protocol: int = PROTOCOL) -> Json:
    """Build the first message of a live view, in the version that was agreed on."""
    return {
        "type": "welcome",
        "protocol": protocol,
        "sessionId": session_id,
        "storeId": store_id,
        "heartbeatSeconds": heartbeat_s,
        "timestamp": now,
    }


def heartbeat_message(cursor: Cursor, behind: Arrears, now: float) -> Json:
    """Build a heartbeat: where the log stands, and what its producers could not save yet."""
    return {
        "type": "heartbeat",
        "epoch": cursor.epoch,
        "top": cursor.offset,
        "unsaved": behind.unsaved,
        "reason": behind.reason,
        "timestamp": now,
    }


def state_message(state: State) -> Json:
    """Build the message of a state: its fields in camelCase."""
    message: Json = msgspec.to_builtins(state)
    message["metrics"] = {
        name: [pack_number(metric.value), list(metric.stamp)] for name, metric in state.metrics.items()
    }
    message["pace"] = [[pack_number(sample.timestamp), pack_number(sample.steps)] for sample in state.pace]
    for model in message["models"]:
        model["loss"] = None if model["loss"] is None else pack_number(model["loss"])
    return message


def series_message(series: Series) -> list[Json]:
    """Build the message of curves: a line for each metric and model, with all of its points."""
    return [_line_message(*line) for line in series.lines()]


def record_message(record: Record) -> Json:
    """Build the message of a record: an event, or rows in columns."""
    message: Json = {
        "offset": record.offset,
        "attempt": record.attempt,
        "producer": record.producer,
        "sequence": record.sequence,
    }
    return {**message, **body_message(record.body)}


def batch_message(batch: Batch) -> Json:
    """Build the message of a batch: what a training sends to a store over HTTP."""
    return {
        "producer": msgspec.to_builtins(batch.producer),
        "sequence": batch.sequence,
        "bodies": [body_message(body) for body in batch.bodies],
    }


def body_message(body: Body) -> Json:
    """Build the message of what a record holds: an event, or rows in columns."""
    return {"event": _event_message(body)} if isinstance(body, Event) else {"rows": _rows_message(body)}


def _line_message(metric: str, model: int, points: Sequence[Point]) -> Json:
    return {
        "metric": metric,
        "model": model,
        "steps": [_number(step) for step, _ in points],
        "values": [pack_number(value) for _, value in points],
    }


def _thinned(lines: Sequence[tuple[str, int, list[Point]]], most: int) -> list[tuple[str, int, list[Point]]]:
    """Leave about ``most`` points to all lines together."""
    share = max(MIN_LINE_POINTS, most // max(1, len(lines)))
    return [
        (
            metric,
            model,
            points if len(points) <= share else [(step, _rounded(value)) for step, value in thin(points, share)],
        )
        for metric, model, points in lines
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.{THINNED_DIGITS}g}")


def _event_message(event: Event) -> Json:
    message: Json = msgspec.to_builtins(event)
    message["metrics"] = {name: pack_number(value) for name, value in event.metrics.items()}
    return message


def _rows_message(block: StepBlock) -> Json:
    columns = {name: _column_message(name, column) for name, column in block.columns.items()}
    return {"timestamps": list(block.timestamps), "columns": columns, "thinned": block.thinned}


def _column_message(name: str, column: Column) -> list[float | str | None]:
    present = column.present
    return [
        None
        if present is not None and not present[index]
        else (wire_value(name, value) if math.isfinite(value) else pack_number(value))
        for index, value in enumerate(column.values)
    ]


def _number(value: float) -> float | str:
    return int(value) if value.is_integer() else pack_number(value)
