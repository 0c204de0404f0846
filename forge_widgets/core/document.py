"""The contract's objects: the progress document and the messages of a naive client.

Everything here is built from a state and is safe as strict JSON. Handlers of HTTP, WebSocket and comm send it unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from forge_widgets.core.events import Event
from forge_widgets.core.metrics import DEFAULTS, split_nonfinite
from forge_widgets.core.state import State
from forge_widgets.errors import InvalidInput

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def iso_time(timestamp: float) -> str:
    """Write seconds since the epoch as ISO 8601, UTC, milliseconds, with ``Z``."""
    moment = _EPOCH + timedelta(seconds=min(max(timestamp, 0.0), 253_402_300_799.0))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Read an ISO 8601 time as seconds since the epoch; without a zone it is UTC. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError as error:
        raise InvalidInput(
            f"{text[:80]!r} is no time", where="timestamp", expected="ISO 8601 such as 2025-01-15T10:30:45Z"
        ) from error
    return ((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)) - _EPOCH).total_seconds()


def metrics_of(state: State) -> Mapping[str, float]:
    """Return the nine metrics and the user's own, as numbers."""
    return {**DEFAULTS, **{name: metric.value for name, metric in state.metrics.items()}}


def progress_document(session_id: str, state: State) -> Json:
    """Build the contract's progress document, the same object on every transport."""
    values, nonfinite = split_nonfinite(metrics_of(state))
    document: Json = {
        "sessionId": session_id,
        "metrics": values,
        "status": state.status,
        "timestamp": iso_time(state.updated_at),
    }
    if nonfinite:
        document["nonfinite"] = nonfinite
    return document


def session_joined(session_id: str, state: State) -> Json:
    """Build the message that greets a naive client in a session."""
    document = progress_document(session_id, state)
    return {"type": "session_joined", "currentState": document["metrics"], **document}


def progress_update(session_id: str, state: State, event_type: str = "step_update", message: str = "") -> Json:
    """Build the message of an update: the whole document, what happened, and the contract's words for it."""
    document = progress_document(session_id, state)
    return {"type": "progress_update", "eventType": event_type, **document, "message": message}


def connection_lost(session_id: str, state: State) -> Json:
    """Build the message that says that the training has gone without a word."""
    return {
        "type": "connection_lost",
        "eventType": "connection_lost",
        **progress_document(session_id, state),
    }


def event_message(session_id: str, state: State, event: Event) -> Json:
    """Build the message of a lifecycle event; ``state`` is the state after it."""
    document = progress_document(session_id, state)
    if event.event_type == "connection_lost":
        return connection_lost(session_id, state)
    if event.event_type == "training_error":
        return {"type": event.event_type, "eventType": event.event_type, **document, "error": event.error}
    if event.event_type in ("control", "alert", "annotation"):
        return {"type": event.event_type, "eventType": event.event_type, **document, "message": event.message}
    return progress_update(session_id, state, event.event_type, event.message)
