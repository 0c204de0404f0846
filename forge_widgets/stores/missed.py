"""The sessions of a store as they are now: a training that went without a word is lost before anybody has recorded that.

Lists of server and analysis ask here. Appends nothing: a reader that watches a session does that.
"""

from __future__ import annotations

from msgspec.structs import replace

from forge_widgets.core.liveness import lost_producer
from forge_widgets.stores.base import Store, Summary
from forge_widgets.stores.processes import process_alive

FRESH_S = 1.0
"""Who has recorded something so short a time ago is there: 40 µs less for each session of a list than to hear and to look."""


def summaries_now(store: Store, now: float) -> list[Summary]:
    """List the sessions, newest update first; ``now`` in seconds since the epoch. Raises StoreUnavailable."""
    return [_as_it_is(store, summary, now) for summary in store.summaries()]


def _as_it_is(store: Store, summary: Summary, now: float) -> Summary:
    state = summary.state
    # Heartbeats are asked for only where somebody should be there, and has not been heard of just now.
    if state.status not in ("running", "paused") or state.lost or 0 <= now - state.updated_at < FRESH_S:
        return summary
    heartbeats = store.heartbeats(summary.session_id)
    if lost_producer(state, heartbeats, now, process_alive) is None:
        return summary
    # It may have ended in good order since the list was read: a state is older than what was heard.
    snapshot = store.snapshot(summary.session_id)
    if snapshot is None or lost_producer(snapshot.state, heartbeats, now, process_alive) is None:
        return summary
    return replace(summary, state=replace(state, lost=True))
