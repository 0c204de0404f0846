"""The background thread between a loop and the store: drains the buffer, appends, retries, beats.

One a run. It commits about 18 times a second and at once after a quiet while; a store that can't take anything now is tried
again while the buffer fills, and is told of in the heartbeat. It never raises into training and never keeps a process alive.
"""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from forge_widgets.core.attempts import ENDED, opens_attempt
from forge_widgets.core.events import Batch, Body, Producer, length
from forge_widgets.errors import RateLimited, SequenceGap, StoreDamaged, StoreUnavailable
from forge_widgets.stores.base import Distant, Receipt, Snapshot, Store
from forge_widgets.training.buffer import Barrier, Buffer, Item, RawEvent, Successor
from forge_widgets.training.clock import ProducerClock
from forge_widgets.training.compactor import Compactor
from forge_widgets.training.pulse import BEAT_INTERVAL_S, Pulse
from forge_widgets.training.rows import Refusals, RowBuilder

logger = logging.getLogger("forge_widgets")

FLUSH_INTERVAL_S = 0.055
"""Seconds between two flushes: a little more than between two frames of a viewer, so that each flush is a frame at once.

At 100 steps a second the newest step of a frame is 21 to 30 ms old when it arrives instead of 37 to 42 with 25 ms, of which
every other one had to wait for the next frame, and a flush takes hardly less for half as many rows.
"""

RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0)
CLOSE_TIMEOUT_S = 5.0
LET_GO_TIMEOUT_S = 1.0

BATCH_ITEMS = 4_096
"""Items that are built and appended at once: 8,192 took 2 MB more."""

HELD_ROWS = 256
"""Rows that wait at the most, once a server asks for a long pause: a lifecycle event behind them waits as long as they do."""


class Publisher:
    """Moves what one producer records into the store.

    Args:
        session_id: the session that is written.
        producer: who writes.
        open_store: opens the store; called on this thread until it succeeds.
        buffer: what the loop appends to. The publisher drains it; nobody else does.
        owns_store: True closes the store with the publisher.
    """

    def __init__(
        self,
        session_id: str,
        producer: Producer,
        open_store: Callable[[], Store],
        buffer: Buffer,
        refusals: Refusals,
        *,
        owns_store: bool = True,
    ) -> None:
        self.session_id = session_id
        self.producer = producer
        self._open_store = open_store
        self._owns_store = owns_store
        self._buffer = buffer
        self._clock = ProducerClock()
        self._refusals = refusals
        self._rows = RowBuilder(self._clock, refusals, buffer.shapes)
        # Opened on first use.
        self._store: Store | None = None
        # Bodies that wait for the store, the sequence number of the first, and who waits for them.
        self._pending: list[Body] = []
        self._sequence = 1
        self._barriers: list[threading.Event] = []
        # Who writes once everything before is saved; None while nobody else is to.
        self._successor: Producer | None = None
        # The attempt that the store gave us; 0 before the first append.
        self._attempt = 0
        # How often in a row the store could not take what is pending, and why.
        self._failures = 0
        self._reason = ""
        # Seconds that a server asks to be left alone with steps; 0.0 where none does.
        self._retry_after_s = 0.0
        self._said_limit = False
        self._pulse = Pulse(session_id)
        self._compactor = Compactor(session_id)
        # Seconds between flushes: what suits the store.
        self._flush_interval_s = FLUSH_INTERVAL_S
        buffer.wake = self.wake
        # Held while nobody has anything for the thread: it sleeps on it. An Event takes three times as long for that.
        self._asleep = threading.Lock()
        self._asleep.acquire()
        # When to give up saving, once closing; None before.
        self._closing_by: float | None = None
        self._ended = False
        # What was not saved when the thread ended, or came later.
        self._given_up = 0
        self._thread = threading.Thread(target=self._run, name=f"forge-publisher-{session_id}", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def wake(self) -> None:
        """Wake the thread: something was appended while it was idle. What comes after its end is counted as refused."""
        self._rouse()
        if self._ended:
            self._refuse_late()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was recorded before is durable. False where time ran out; never raises."""
        if not self._thread.is_alive():
            return not self._given_up and not self._left()
        barrier = threading.Event()
        self._buffer.add(Barrier(barrier))
        self._rouse()
        # An end lets go of whoever waits, too.
        return barrier.wait(timeout_s) and not self._given_up

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Save what is left, say goodbye in the heartbeat and end the thread; give up after ``timeout_s``."""
        if self._closing_by is None or self._closing_by == math.inf:
            self._closing_by = time.monotonic() + timeout_s
        self._rouse()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s + 1.0)
            if self._thread.is_alive():
                logger.error(
                    "%s: the store does not answer: %d events and steps may not be saved", self.session_id, self._left()
                )

    def let_go(self) -> None:
        """End once all is saved, however long that takes: nobody records here any more. Wait for it only shortly.

        The wait keeps attempts in order where a cell makes its hooks anew; the process's end closes what is left.
        """
        if self._closing_by is None:
            self._closing_by = math.inf
        self._rouse()
        if self._thread is not threading.current_thread():
            self._thread.join(LET_GO_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            started = time.monotonic()
            worked = self._step()
            if self._closing_by is not None and (not self._left() or time.monotonic() >= self._closing_by):
                self._end()
                return
            if self._pulse.is_due:
                self._beat()
            if self._failures:
                self._sleep(self._retry_pause())
            elif not worked:
                self._rest()
            elif len(self._buffer) < BATCH_ITEMS:  # what is more than a batch does not wait
                if self._store is not None:
                    self._compactor.compact_some(self._store)
                self._sleep(started + self._flush_interval_s - time.monotonic())

    def _retry_pause(self) -> float:
        """Return how long a store that has failed is left alone: never beyond the moment at which closing gives up."""
        # Never longer than a beat: who waits for a server lives.
        pause = min(self._retry_after_s, BEAT_INTERVAL_S) or RETRY_S[min(self._failures, len(RETRY_S)) - 1]
        return pause if self._closing_by is None else min(pause, self._closing_by - time.monotonic())

    def _step(self) -> bool:
        """Build what the buffer holds, unless something still waits, and append it. Return False where there was nothing."""
        if not self._pending:
            items = self._drained()
            if not items and self._successor is None:
                return False
            self._pending = self._build(items)
        if self._pending:
            self._append()
        if not self._pending:
            for barrier in self._barriers:
                barrier.set()
            self._barriers.clear()
            self._hand_over()
        return True

    def _drained(self) -> list[Item]:
        """Take what the buffer holds, up to where another producer goes on."""
        items = self._buffer.drain(BATCH_ITEMS)
        kinds = set(map(type, items))
        if Successor in kinds:
            at, successor = next((at, item) for at, item in enumerate(items) if isinstance(item, Successor))
            self._successor = successor.producer
            self._buffer.give_back(items[at + 1 :])
            del items[at:]
        if Barrier in kinds:
            self._barriers += [item.reached for item in items if isinstance(item, Barrier)]
        return items

    def _hand_over(self) -> None:
        """Go on as the successor, if there is one; all before it is saved."""
        if self._successor is None:
            return
        self._beat(closed=True)
        self.producer, self._successor = self._successor, None
        self._sequence, self._attempt = 1, 0
        self._rows = RowBuilder(self._clock, self._refusals, self._buffer.shapes)

    def _build(self, items: list[Item]) -> list[Body]:
        try:
            self._clock.refresh()
            if self._store is None and items:
                self._open_before(items[0])
            return self._rows.build(items)
        except Exception as error:  # the thread must outlive whatever a user's objects do when they are read
            logger.warning("%s: %d steps are not recorded", self.session_id, len(items), exc_info=True)
            self._refusals.add("steps", error)
            return []

    def _append(self) -> None:
        try:
            store = self._store or self._open(joins=self.producer.resume or not opens_attempt(self._pending[0]))
            batch = Batch(producer=self.producer, sequence=self._sequence, bodies=self._pending)
            receipt = self._sent(store, batch)
        except RateLimited as limited:
            self._held_back(limited)
        except SequenceGap as gap:
            # The log went back behind us (a copy was put in its place): go on from where it stands.
            logger.warning("%s: %s", self.session_id, gap)
            self._sequence = gap.expected
            self._failures += 1
        except StoreUnavailable as error:
            self._failed(error.reason, error)
        except Exception as error:  # noqa: BLE001  # no fault of a store may end this thread: say it, keep, try again
            self._failed(f"{type(error).__name__}: {error}", error)
        else:
            recorded = sum(map(length, self._pending))
            self._sequence += recorded
            self._compactor.note(recorded)
            first = receipt.attempt != self._attempt
            self._attempt = receipt.attempt
            self._pending = []
            self._buffer.widen()
            self._recovered(first=first)

    def _sent(self, store: Store, batch: Batch) -> Receipt:
        """Append; where a server asks to wait and this is the end, record on this machine, from where it is delivered later."""
        try:
            return store.append(self.session_id, batch)
        except RateLimited:
            if self._closing_by is None or not isinstance(store, Distant):
                raise
            return store.keep(self.session_id, batch)

    def _open_before(self, first: Item) -> None:
        """Open the store before the first steps are built: what is derived of them depends on the attempt that they join."""
        starts = isinstance(first, RawEvent) and first.event_type == "training_started"
        try:
            self._open(joins=self.producer.resume or not starts)
        except Exception:  # the append that follows opens it again, and says what is wrong
            logger.debug("%s: the store did not open", self.session_id, exc_info=True)

    def _open(self, *, joins: bool) -> Store:
        """Open the store; a producer that joins an attempt goes on with its time and its totals."""
        store = self._open_store()
        known = self._joined(store) if joins else None
        if known is not None:
            self._clock.seed(known.state.updated_at)
            if self.producer.resume or not (known.state.status in ENDED or known.state.lost):
                self._rows.total_steps = known.state.value("totalSteps")
        self._store = store
        if isinstance(store, Distant):
            self._flush_interval_s = store.flush_interval_s
        return store

    def _joined(self, store: Store) -> Snapshot | None:
        """Return where the session stands; None of one that is damaged, too: the append sets it aside."""
        try:
            return store.snapshot(self.session_id)
        except StoreDamaged:
            logger.debug("%s: what it joins can't be read", self.session_id, exc_info=True)
            return None

    def _held_back(self, limited: RateLimited) -> None:
        """Wait as long as a server asks: steps fill the ring meanwhile, and are thinned there; events stay."""
        if not self._said_limit:
            self._said_limit = True
            logger.warning(
                "%s: %s takes no more steps for now (%s): they wait, and are thinned where they are too many (said once)",
                self.session_id,
                limited.url,
                limited.reason,
            )
        if limited.retry_after_s > BEAT_INTERVAL_S:
            self._buffer.narrow(HELD_ROWS)
        self._failures += 1
        self._retry_after_s, self._reason = limited.retry_after_s, limited.reason

    def _failed(self, reason: str, error: Exception) -> None:
        self._failures += 1
        self._retry_after_s = 0.0
        if reason != self._reason:
            self._reason = reason
            unknown = None if isinstance(error, StoreUnavailable) else error
            logger.warning(
                "%s: steps can't be saved now (%s); training goes on, they are kept and saved later",
                self.session_id,
                reason,
                exc_info=unknown,
            )
        self._beat()

    def _recovered(self, *, first: bool) -> None:
        if self._failures and not self._retry_after_s:
            logger.warning("%s: steps are saved again", self.session_id)
        failed, self._failures, self._reason, self._retry_after_s = self._failures > 0, 0, "", 0.0
        if first or failed:
            self._beat()

    def _beat(self, *, closed: bool = False) -> None:
        if self._store is not None:
            self._pulse.beat(
                self._store,
                self.producer,
                attempt=self._attempt,
                durable=self._sequence - 1,
                unsaved=self._left() if self._failures else 0,
                reason=self._reason,
                closed=closed,
            )

    def _left(self) -> int:
        return sum(map(length, self._pending)) + len(self._buffer)

    def _end(self) -> None:
        left = self._given_up = self._left()
        if left:
            reason = self._reason or "time ran out"
            logger.error("%s: %d events and steps were not saved (%s)", self.session_id, left, reason)
        self._beat(closed=True)
        if self._store is not None and not left:
            self._compactor.compact_rest(self._store, math.inf if self._closing_by is None else self._closing_by)
        if self._store is not None and self._owns_store:
            try:
                self._store.close()
            except Exception:  # nothing is left to be saved; the process goes on
                logger.debug("%s: the store did not close", self.session_id, exc_info=True)
        if left:
            # Counted and said: what comes from now on is late.
            self._pending = []
            for barrier in self._barriers:
                barrier.set()
            self._buffer.clear()
        self._ended = self._buffer.idle = True
        atexit.unregister(self.close)
        self._refuse_late()

    def _refuse_late(self) -> None:
        """Count what came too late to be recorded, and let go of it."""
        late = self._buffer.clear()
        if late:
            self._given_up += late
            self._refusals.add_late(late)

    def _sleep(self, seconds: float) -> None:
        """Wait out an interval; a flush or a close cuts it short."""
        self._asleep.acquire(timeout=max(0.0, seconds))

    def _rest(self) -> None:
        """Wait for the next item, or for the next heartbeat."""
        self._buffer.idle = True
        if not len(self._buffer) and self._closing_by is None:
            self._asleep.acquire(timeout=BEAT_INTERVAL_S)
        self._buffer.idle = False
        self._asleep.acquire(blocking=False)  # whoever roused it meanwhile needs nothing more

    def _rouse(self) -> None:
        with suppress(RuntimeError):  # it is up
            self._asleep.release()
