"""The store interface: where sessions are kept, whatever keeps them.

Training appends, everybody else reads. All calls are synchronous, may be made from any thread, and raise only the errors
named here: InvalidSessionId, SequenceGap, StoreUnavailable, StoreDamaged. One file a backend, chosen by URL (stores.open_store).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct

from forge_widgets.core.curves import Curves, SeriesQuery
from forge_widgets.core.events import Batch
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor, Slice


class Receipt(Struct, frozen=True):
    """What an append answers: all of the batch is durable now."""

    epoch: str
    # Newest offset of the log after this append.
    top: int
    # The producer's newest durable sequence number.
    sequence: int
    # The attempt that the batch's last body belongs to.
    attempt: int
    # Events and rows of the batch that the log already had.
    repeated: int = 0


class Snapshot(Struct, frozen=True):
    """The state of a session's latest attempt at a position in its log."""

    cursor: Cursor
    state: State


class Summary(Struct, frozen=True):
    """A session in a list."""

    session_id: str
    # Seconds since the epoch of the first record of the first attempt, and of the newest record.
    created_at: float
    updated_at: float
    # Attempts so far.
    attempts: int
    state: State


class Store(Protocol):
    """Where sessions are kept."""

    # The URL that opens this store again.
    url: str

    @property
    def store_id(self) -> str:
        """Durable random id: the same store has it in every process and after every restart. Raises StoreUnavailable."""

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append a producer's batch durably: when this returns it survives ``kill -9`` and a power cut.

        What the producer has appended before (by sequence) is passed over, an event whose key the session already has
        too. Makes the session where there is none. A producer that the log does not know may begin at any sequence
        number: its log may have been lost, and a new one begun. Raises SequenceGap and StoreUnavailable; nothing is
        applied then, and the same call may be made again.
        """

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read records after an offset, in order, at least one and about max_rows rows. None for an unknown session.

        A record that holds the offset inside it comes whole.
        """

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Fold the session to its newest state. None for an unknown session."""

    def series(self, session_id: str, query: SeriesQuery) -> Curves | None:
        """Return curves of one attempt, downsampled to what is asked for; None for an unknown session.

        Only finite values at finite steps are points. An attempt that is not in the log has no curves.
        """

    def version(self, session_id: str) -> object:
        """Return something that differs from the last answer once the session's log has changed; cheap. None: unknown session."""

    def trim(self, session_id: str, upto: int) -> int | None:
        """Drop the records up to an offset, durably; return the floor then, None for an unknown session.

        All or nothing for everybody who reads or appends meanwhile; a block that holds the offset inside it is cut there.
        What is dropped stays in the state: the state just before the floor is kept, and the fold of the records on it is
        what it was. Offsets and epoch stay, and so do producers' sequences and keys: what was dropped is passed over when
        it is sent again. An offset beyond the top drops all, one below the floor nothing. Raises StoreUnavailable,
        StoreDamaged.
        """

    def summaries(self) -> list[Summary]:
        """List the sessions, newest update first."""

    def delete(self, session_id: str) -> bool:
        """Delete a session. False where there was none."""

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Say that a producer lives, beside the log. Never durable, never raises for a full disk."""

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the newest heartbeat of each producer of a session that has not been forgotten."""

    def close(self) -> None:
        """Let go of files and connections; no call may follow."""


@runtime_checkable
class Distant(Protocol):
    """What a store far away asks of its writer besides (http_relay)."""

    # Seconds to gather before an append.
    flush_interval_s: float

    def keep(self, session_id: str, batch: Batch) -> Receipt:
        """Record on this machine, to be delivered later: where the store asks to wait and its writer can't."""


@runtime_checkable
class Compacting(Protocol):
    """What a store that keeps small blocks asks of whoever has time, its writer first (training.publisher)."""

    def compact(self, session_id: str, *, whole: bool = False) -> bool:
        """Compact the oldest rows of a session that are not; False where there is nothing left to do.

        A few thousand rows a call, some 20 ms, durably, and invisible to everybody who reads or appends meanwhile:
        offsets, sequences and the fold stay. With ``whole`` the newest few rows, too: a training that has ended adds none.
        """
