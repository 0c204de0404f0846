"""The ring between a training loop and its publisher: an append is all that the loop ever waits for.

Bounded: when it holds ``capacity`` rows, or as many as the publisher lets wait, the next ones are dropped and counted, all
but the newest; lifecycle events are never dropped. Any thread appends, the publisher's thread drains.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from forge_widgets.core.events import EventType, Producer, Status

CAPACITY = 65_536


RawRow: TypeAlias = tuple[float, Any, Any, Any, Any, Any, dict[str, Any]]
"""One step as the loop gave it, None where it gave nothing: moment of the monotonic clock, step, loss, model (from 1),
total steps, total models, other metrics. A bare tuple: making one costs a sixth of a named one, and this is the loop's thread."""


class RawEvent(NamedTuple):
    """One lifecycle event as the loop gave it."""

    moment: float
    event_type: EventType
    metrics: dict[str, Any]
    message: str = ""
    name: str = ""
    error: str = ""
    status: Status | None = None


class Barrier(NamedTuple):
    """Set once everything before it is durable."""

    reached: threading.Event


class Successor(NamedTuple):
    """What follows is recorded by another producer: the next attempt of the same run."""

    producer: Producer


class Dropped(NamedTuple):
    """Stands in the drained sequence where rows were dropped."""

    rows: int


Item: TypeAlias = RawRow | RawEvent | Dropped | Barrier | Successor


class Buffer:
    """The bounded ring."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._items: deque[Item] = deque()
        self._most = self._capacity = capacity
        # Guards the overflow only: a loop that finds room never takes it.
        self._lock = threading.Lock()
        # The newest row that found the ring full, and how many rows it has displaced.
        self._overflow: RawRow | None = None
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._items) + (self._overflow is not None)

    def add_row(self, row: RawRow) -> None:
        """Append a row, or keep it as the newest of a full ring."""
        if self._overflow is None and len(self._items) < self._capacity:
            self._items.append(row)
            return
        with self._lock:
            self._dropped += self._overflow is not None
            self._overflow = row

    def add(self, item: RawEvent | Barrier | Successor) -> None:
        """Append an event, a barrier or a successor, whatever the ring holds, behind the newest row."""
        self._take_overflow()
        self._items.append(item)

    def narrow(self, capacity: int) -> None:
        """Let fewer rows wait from now on; what waits already stays."""
        self._capacity = min(self._capacity, capacity)

    def widen(self) -> None:
        """Let twice as many rows wait, up to what it was made for."""
        self._capacity = min(self._capacity * 2, self._most)

    def drain(self, limit: int) -> Iterator[Item]:
        """Yield and remove at most ``limit`` items, oldest first."""
        for _ in range(limit):
            if not self._items:
                self._take_overflow()
            if not self._items:
                return
            yield self._items.popleft()

    def _take_overflow(self) -> None:
        if self._overflow is None:
            return
        with self._lock:
            row, self._overflow = self._overflow, None
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self._items.append(Dropped(dropped))
            if row is not None:
                self._items.append(row)
