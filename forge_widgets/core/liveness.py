"""Is somebody still training? What heartbeats say, whatever the log says.

A producer beats beside the log while it lives. Readers ask here whether the latest attempt has lost all of its producers;
time and what the machine knows of processes come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from forge_widgets.core.events import Event
from forge_widgets.core.state import State

LEASE_S = 20.0


class Heartbeat(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a producer says of itself outside the log."""

    producer: str
    # The attempt that it writes to; 0 before anything was recorded.
    attempt: int = 0
    pid: int = 0
    host: str = ""
    # When that process began, in clock ticks since its machine did; 0 where that is not known. No clock that is set changes it.
    started: int = 0
    # Seconds since the epoch of this beat, and how long it holds.
    beat: float = 0.0
    lease_s: float = LEASE_S
    # The newest sequence number that is durable.
    durable: int = 0
    # Events and rows that are not saved yet, and why they could not be; "" while all is well.
    unsaved: int = 0
    reason: str = ""
    # True once the producer has ended in good order.
    closed: bool = False


ProcessAlive = Callable[[Heartbeat], bool | None]
"""Says whether a heartbeat's process lives; None where that can't be known from here (another host)."""


def is_live(heartbeat: Heartbeat, now: float, process_alive: ProcessAlive) -> bool:
    """Say whether a producer is there: not closed, and its process lives or its lease holds."""
    if heartbeat.closed:
        return False
    alive = process_alive(heartbeat)
    if alive is None:
        return now - heartbeat.beat <= heartbeat.lease_s
    return alive


def lost_producer(
    state: State, heartbeats: Sequence[Heartbeat], now: float, process_alive: ProcessAlive
) -> Heartbeat | None:
    """Return the heartbeat of the last producer that went without a word; None where nobody is missed.

    Missed is: the latest attempt runs or is paused, it had producers that beat, and none of them is live.
    """
    if state.status not in ("running", "paused") or state.lost:
        return None
    ours = [heartbeat for heartbeat in heartbeats if heartbeat.attempt == state.attempt]
    if not ours or any(is_live(heartbeat, now, process_alive) for heartbeat in ours):
        return None
    return max(ours, key=lambda heartbeat: (heartbeat.beat, heartbeat.producer))


def connection_lost(lost: Heartbeat, now: float) -> Event:
    """Make the event that says so; its idempotency key is the same for all who notice, so that it is recorded once."""
    return Event(event_type="connection_lost", timestamp=now, key=f"lost:{lost.producer}:{lost.durable}")


class Arrears(Struct, frozen=True):
    """What a session's producers could not save yet."""

    # Events and rows.
    unsaved: int = 0
    # Why; where a reader can't read, it says that here. "" while all is well.
    reason: str = ""


def arrears(heartbeats: Sequence[Heartbeat], attempt: int) -> Arrears:
    """Add up what the producers of an attempt, and those that have none yet, could not save."""
    behind = [heartbeat for heartbeat in heartbeats if heartbeat.unsaved and heartbeat.attempt in (0, attempt)]
    reasons = [heartbeat.reason for heartbeat in behind if heartbeat.reason]
    return Arrears(sum(heartbeat.unsaved for heartbeat in behind), reasons[0] if reasons else "")
