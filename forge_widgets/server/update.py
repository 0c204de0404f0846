"""From a client's update to what is appended: the one place where the contract's POST bodies become bodies of a log.

Pure but for the arguments. Called by the REST handlers, in a thread of the store's pool.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, cast

from msgspec import Struct

from forge_widgets.core.document import parse_time
from forge_widgets.core.events import STATUSES, Body, Event, EventType, Status
from forge_widgets.core.metrics import Metrics, complete, grok_progress, unpack_number, wire_name
from forge_widgets.core.state import State
from forge_widgets.core.steps import block_of
from forge_widgets.errors import InvalidInput
from forge_widgets.server.body import Json, text_field
from forge_widgets.server.limits import Limits

UPDATE_TYPES = ("training_started", "step_update", "model_completed", "phase_completed", "training_error")

_LAST_MOMENT = 253_402_300_799.0
_TICK_S = 1e-6
_PHASE_MESSAGE = re.compile(r"Phase (.+) completed")
_NAMED_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


class Update(Struct, frozen=True, kw_only=True):
    """A client's update, checked and normalised; nothing of the session's state is in it yet."""

    event_type: EventType
    # By their names on the wire, as the client gave them.
    metrics: Metrics
    status: Status | None = None
    message: str = ""
    # A phase's name.
    name: str = ""
    error: str = ""
    # Seconds since the epoch; None where the client gave none.
    timestamp: float | None = None
    # "" where a repetition can't be told from a new update.
    key: str = ""


def parse_update(body: Json, limits: Limits, header_key: str = "") -> Update:
    """Check the body of ``POST …/update``. Raises InvalidInput naming the field."""
    event_type = text_field(body, "eventType", 80, "step_update")
    if event_type not in UPDATE_TYPES:
        raise InvalidInput(
            f"{event_type!r} can't be used", where="eventType", expected=f"one of {', '.join(UPDATE_TYPES)}"
        )
    status = text_field(body, "status", 80)
    if status and status not in STATUSES:
        raise InvalidInput(
            f"{status!r} can't be used", where="status", expected=f"one of {', '.join(sorted(STATUSES))}"
        )
    message = text_field(body, "message", limits.max_text_chars)
    error = text_field(body, "error", limits.max_text_chars)
    timestamp = _timestamp(body.get("timestamp"))
    return Update(
        event_type=cast("EventType", event_type),
        metrics=_metrics(body.get("metrics"), limits),
        status=cast("Status", status) if status else None,
        message=message,
        name=_phase_name(body, message, limits) if event_type == "phase_completed" else "",
        error=(error or message or "training failed") if event_type == "training_error" else "",
        timestamp=timestamp,
        key=_key(body, timestamp, limits, header_key),
    )


def parse_error(body: Json, limits: Limits, header_key: str = "") -> Update:
    """Check the body of ``POST …/error``. Raises InvalidInput naming the field."""
    if not isinstance(body.get("error"), str):
        raise InvalidInput(
            "no text was given", where="error", expected='the error\'s text, as in {"error": "out of memory"}'
        )
    return parse_update({**body, "eventType": "training_error", "status": None}, limits, header_key)


def body_of(update: Update, state: State, now: float) -> Body:
    """Complete an update against the session's state and return what is appended.

    A step that says nothing but numbers, and can't be a repetition, is a row; everything else is an event. Without a
    time of its own an update is stamped just after the newest record, so that a clock set back makes none of them stale.
    """
    timestamp = update.timestamp
    if timestamp is None:
        timestamp = max(now, state.updated_at + _TICK_S)
    metrics = _completed(update, state)
    plain = not (update.status or update.message or update.key) and metrics
    if update.event_type == "step_update" and plain:
        return block_of([(timestamp, metrics)])
    if update.event_type == "model_completed":
        metrics.setdefault("currentModel", state.value("currentModel"))
    return Event(
        event_type=update.event_type,
        timestamp=timestamp,
        metrics=metrics,
        status=update.status,
        message=update.message or _default_message(update, metrics),
        name=update.name,
        error=update.error,
        key=update.key,
    )


def _completed(update: Update, state: State) -> Metrics:
    """Add what the contract derives; a total that is said after its step derives the progress of that step again."""
    step, total = state.value("currentStep"), state.value("totalSteps")
    metrics = complete(update.metrics, total)
    derived = state.value("grokProgress") == grok_progress(step, total)  # else the client says it itself
    of_known_step = update.event_type != "training_started" and not metrics.keys() & {"currentStep", "grokProgress"}
    if derived and of_known_step and "totalSteps" in metrics:
        metrics["grokProgress"] = grok_progress(step, metrics["totalSteps"])
    return metrics


def _default_message(update: Update, metrics: Metrics) -> str:
    if update.event_type == "model_completed":
        return f"Model {metrics['currentModel']:.0f} completed"
    if update.event_type == "phase_completed":
        return f"Phase {update.name} completed" if update.name else "Phase completed"
    return ""


def _metrics(given: Any, limits: Limits) -> Metrics:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidInput(
            f"{type(given).__name__} can't be used",
            where="metrics",
            expected='an object of numbers such as {"loss": 0.5}',
        )
    if len(given) > limits.max_metrics:
        raise InvalidInput(
            f"{len(given)} are too many", where="metrics", expected=f"at most {limits.max_metrics} metrics"
        )
    named = [(_encodable(name), value) for name, value in given.items()]
    return {wire_name(name): _metric(name, value) for name, value in named}


def _encodable(name: str) -> str:
    """Replace lone surrogates: neither a store nor an answer that names the metric could carry them."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _metric(name: str, value: Any) -> float:
    if isinstance(value, str) and value in _NAMED_NUMBERS:
        return unpack_number(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        shown = json.dumps(value)[:40]
        raise InvalidInput(
            f"{shown} is no number",
            where=f"metrics.{name[:80]}",
            expected='a number, or one of the strings "NaN", "Infinity", "-Infinity"',
        )
    return float(value)


def _phase_name(body: Json, message: str, limits: Limits) -> str:
    for field in ("phase", "phaseName", "phase_name", "name"):
        name = text_field(body, field, limits.max_phase_chars)
        if name:
            return name
    told = _PHASE_MESSAGE.fullmatch(message)
    return told.group(1)[: limits.max_phase_chars] if told else ""


def _timestamp(given: Any) -> float | None:
    if given is None:
        return None
    moment = parse_time(given) if isinstance(given, str) else given
    if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 <= moment <= _LAST_MOMENT:
        raise InvalidInput(
            f"{json.dumps(given)[:40]} is no time",
            where="timestamp",
            expected="ISO 8601 such as 2025-01-15T10:30:45Z, or seconds since 1970",
        )
    return float(moment)


def _key(body: Json, timestamp: float | None, limits: Limits, header_key: str) -> str:
    """Return what a repetition is known by: the client's key, else a digest of the timestamp, however it was written, and
    of all else that was sent.
    """
    if len(header_key) > limits.max_key_chars:
        raise InvalidInput(
            f"{len(header_key)} characters are too many",
            where="Idempotency-Key",
            expected=f"at most {limits.max_key_chars}",
        )
    given = text_field(body, "idempotencyKey", limits.max_key_chars) or header_key
    if given:
        return f"http:{given}"
    if timestamp is None:
        return ""
    said = {name: value for name, value in body.items() if name != "sessionId"} | {"timestamp": timestamp}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
