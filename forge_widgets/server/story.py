"""What a naive client is told: every lifecycle event, and of the steps between them only the newest state.

Pure: from a session's log and a cursor to the contract's messages. Called by a watched session for its naive viewers.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from forge_widgets.core.document import Json, event_message, progress_update
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor, SessionLog

# These messages carry what happened; clients take the metrics from the progress_update before them.
_NOT_PROGRESS = frozenset({"training_error", "connection_lost"})


class Told(Struct, frozen=True):
    """Encoded messages for a naive client, in order, and the cursor after them."""

    messages: Sequence[bytes]
    cursor: Cursor


def tell(log: SessionLog, cursor: Cursor) -> list[Json]:
    """Tell what came after a cursor; where more events lie behind it than the log holds, the newest state alone."""
    happenings = log.happenings_after(cursor)
    if happenings is None:
        return [_steps(log.session_id, log.state)]
    messages: list[Json] = []
    # How far it was told, and the state there; None where it is not known: the cursor's own.
    told, state = cursor.offset, None
    for happening in happenings:
        record, event = happening.record, happening.event
        if record.attempt != happening.after.attempt:
            # What an earlier attempt still sent changed nothing.
            continue
        stepped = record.offset > told + 1 and happening.before is not state
        if stepped and event.event_type in _NOT_PROGRESS:
            messages.append(_steps(log.session_id, happening.before))
        messages.append(event_message(log.session_id, happening.after, event))
        told, state = record.offset, happening.after
    if log.top > told and log.state is not state:
        messages.append(_steps(log.session_id, log.state))
    return messages


def _steps(session_id: str, state: State) -> Json:
    return progress_update(session_id, state, message=state.message)
