"""The contract's answers that are more than a progress document: what HTTP and WebSocket say of a session.

Pure. The documents themselves are core's (core.document); here they get the server's own fields.
"""

from __future__ import annotations

from msgspec.structs import replace

from forge_widgets.core.document import Json, iso_time, progress_document
from forge_widgets.core.state import State
from forge_widgets.stores.base import Summary


def shown(state: State, now: float) -> State:
    """Return the state as it is shown: one that nothing was recorded of waits, now."""
    return state if state.updated_at else replace(state, updated_at=now)


def session_document(session_id: str, state: State, connections: int) -> Json:
    """Build what is said of a session: its progress document and who watches."""
    return {
        **progress_document(session_id, state),
        "websocket_available": True,
        "connection_count": connections,
        "connectionCount": connections,
        "last_update": iso_time(state.updated_at),
    }


def times_of(summary: Summary) -> Json:
    """Build a list entry's times."""
    return {"lastUpdate": iso_time(summary.updated_at), "createdAt": iso_time(summary.created_at)}
