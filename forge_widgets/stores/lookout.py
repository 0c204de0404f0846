"""Hears what the producers of a session say beside its log, and records that the last of them has gone without a word.

Every reader that somebody watches through has one, in a server as in a kernel; whoever notices first, it is recorded
once. Judges by core.liveness alone; may be called from any thread, and holds none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from forge_widgets.core.events import Batch, Producer
from forge_widgets.core.liveness import Arrears, Heartbeat, ProcessAlive, arrears, connection_lost, lost_producer
from forge_widgets.core.state import State
from forge_widgets.stores.base import Store


class Lookout(Struct, frozen=True, kw_only=True):
    """What heartbeats are heard with."""

    store: Store
    # Who appends a connection_lost.
    producer: Producer
    # Seconds since the epoch, UTC.
    clock: Callable[[], float]
    process_alive: ProcessAlive

    def listen(self, session_id: str, state: State, *, judge: bool = True) -> Arrears:
        """Return what could not be saved yet; with ``judge`` also record that nobody trains any more.

        ``state`` is the newest that the caller has read. Raises what the store raises.
        """
        heartbeats = self.store.heartbeats(session_id)
        now = self.clock()
        if judge and lost_producer(state, heartbeats, now, self.process_alive) is not None:
            self._record(session_id, heartbeats, now)
        return arrears(heartbeats, state.attempt)

    def _record(self, session_id: str, heartbeats: Sequence[Heartbeat], now: float) -> None:
        """Record the loss, unless the log says meanwhile that the training has ended: a state is older than what was heard."""
        snapshot = self.store.snapshot(session_id)
        lost = None if snapshot is None else lost_producer(snapshot.state, heartbeats, now, self.process_alive)
        if lost is not None:
            batch = Batch(producer=self.producer, sequence=0, bodies=[connection_lost(lost, now)])
            self.store.append(session_id, batch)
