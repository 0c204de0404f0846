"""What a naive client is told: every lifecycle event, and of the steps between them only the newest state.

Pure: from a session's log and a cursor to the contract's messages. Called by a watched session for its naive viewers.
"""

from __future__ import annotations

from collections.abc import Sequence

from forge_widgets.core.document import Json, event_message, progress_update
from forge_widgets.core.events import Event
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor, Entry, SessionLog

# These messages carry what happened; clients take the metrics from the progress_update before them.
_NOT_PROGRESS = frozenset({"training_error", "connection_lost"})


def tell(log: SessionLog, cursor: Cursor) -> list[Json]:
    """Tell what came after a cursor; where the log's tail doesn't reach back, the newest state alone."""
    entries = log.entries_after(cursor)
    if entries is None:
        return [_steps(log.session_id, log.state)]
    messages: list[Json] = []
    stepped: State | None = None
    for entry in _of_latest_attempt(entries):
        body = entry.record.body
        if not isinstance(body, Event) or body.event_type == "step_update":
            stepped = entry.state
            continue
        if stepped is not None and body.event_type in _NOT_PROGRESS:
            messages.append(_steps(log.session_id, stepped))
        stepped = None
        messages.append(event_message(log.session_id, entry.state, body))
    if stepped is not None:
        messages.append(_steps(log.session_id, stepped))
    return messages


def _of_latest_attempt(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out what an earlier attempt still sent: it changed nothing."""
    return [entry for entry in entries if entry.record.attempt == entry.state.attempt]


def _steps(session_id: str, state: State) -> Json:
    return progress_update(session_id, state, message=state.message)
