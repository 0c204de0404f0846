"""The ring between a training loop and its publisher: an append is all that the loop ever waits for.

Bounded: when it holds ``capacity`` rows, or as many as the publisher lets wait, the next ones are dropped and counted, all
but the newest; lifecycle events are never dropped. Any thread appends, the publisher's thread drains.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from forge_widgets.core.events import EventType, Producer, Status
from forge_widgets.training.packed import Shapes

CAPACITY = 32_768
"""Rows of a ring: five minutes of 100 steps a second, in 4.5 MB where they have the common metrics only."""


class RawRow(NamedTuple):
    """One step that could not be packed: a tensor is to be read yet. LEFT_OUT stands where the loop gave nothing."""

    moment: float
    names: tuple[str, ...]
    values: tuple[Any, ...]


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


Row: TypeAlias = bytes | RawRow
"""One step: packed (see packed), or as it is where a tensor in it is still to be read."""

Item: TypeAlias = Row | RawEvent | Dropped | Barrier | Successor


class Buffer:
    """The bounded ring.

    A loop in a hurry appends a packed row to ``items`` itself while they are fewer than ``room``, and calls ``wake`` then
    where ``idle`` is set: two looks instead of a call, which would cost as much as all the rest.
    """

    __slots__ = (
        "_capacity",
        "_dropped",
        "_left",
        "_lock",
        "_most",
        "_overflow",
        "idle",
        "items",
        "room",
        "shapes",
        "wake",
    )

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.items: deque[Item] = deque()
        # Below how many items anybody may append a row; 0 while that takes a closer look.
        self.room = self._most = self._capacity = capacity
        # True while the publisher waits for the first item after a quiet while, and once it has ended.
        self.idle = False
        # Wakes the publisher.
        self.wake: Callable[[], None] = _nobody
        self.shapes = Shapes()
        # Guards the overflow only: a loop that finds room never takes it. Its holder may take it again, since a signal's
        # handler may record, too.
        self._lock = threading.RLock()
        # The newest row that found the ring full, and how many rows it has displaced.
        self._overflow: Row | None = None
        self._dropped = 0
        # True once its run goes on with another.
        self._left = False

    def __len__(self) -> int:
        return len(self.items) + (self._overflow is not None)

    def add_row(self, row: Row) -> None:
        """Append a row, or keep it as the newest of a full ring."""
        if len(self.items) < self.room:
            self.items.append(row)
        else:
            self._keep_newest(row)
        if self.idle:
            self.wake()

    def add(self, item: RawEvent | Barrier | Successor) -> None:
        """Append an event, a barrier or a successor, whatever the ring holds, behind the newest row."""
        self._take_overflow()
        self.items.append(item)
        if self.idle:
            self.wake()

    def narrow(self, capacity: int) -> None:
        """Let fewer rows wait from now on; what waits already stays."""
        self._hold(min(self._capacity, capacity))

    def widen(self) -> None:
        """Let twice as many rows wait, up to what it was made for."""
        if self._capacity < self._most:
            self._hold(min(self._capacity * 2, self._most))

    def leave(self, *, forked: bool = False) -> None:
        """Let nobody append past ``add_row`` any more: the run goes on with another ring.

        ``forked``: this is a copy in the child of a fork; whoever held the lock is not here.
        """
        if forked:
            self._lock = threading.RLock()
        with self._lock:
            self._left = True
            self.room = 0

    def drain(self, limit: int) -> list[Item]:
        """Remove and return at most ``limit`` items, oldest first. Only one thread may call this."""
        if len(self.items) < limit:
            self._take_overflow()
        take = self.items.popleft
        return [take() for _ in range(min(limit, len(self.items)))]

    def clear(self) -> int:
        """Empty the ring of which nothing is recorded any more; return how many events and steps it held. Any thread may call this.

        Who waits at a barrier is let go.
        """
        self._take_overflow()
        count = 0
        with suppress(IndexError):  # somebody else came first
            for _ in range(len(self.items)):
                item = self.items.popleft()
                if isinstance(item, Barrier):
                    item.reached.set()
                count += not isinstance(item, (Barrier, Successor))
        return count

    def give_back(self, items: list[Item]) -> None:
        """Put back what was drained last."""
        self.items.extendleft(reversed(items))

    def _hold(self, capacity: int) -> None:
        with self._lock:
            self._capacity = capacity
            self._open()

    def _keep_newest(self, row: Row) -> None:
        with self._lock:
            # Asked for once more with the lock: else the row could come before one that is just being taken.
            if self._overflow is None and len(self.items) < self._capacity:
                self.items.append(row)
            else:
                self._dropped += self._overflow is not None
                self._overflow = row
            self._open()

    def _take_overflow(self) -> None:
        if self._overflow is None:
            return
        with self._lock:
            row, self._overflow = self._overflow, None
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self.items.append(Dropped(dropped))
            if row is not None:
                self.items.append(row)
            self._open()

    def _open(self) -> None:
        """Say how far anybody may append; the caller holds the lock."""
        self.room = 0 if self._left or self._overflow is not None else self._capacity


def _nobody() -> None:
    """Stand in for a publisher until there is one."""
