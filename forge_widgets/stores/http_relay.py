"""The store over HTTP as a training writes to it: through a server that is out of reach as well as through one that is there.

What the server can't take now is recorded in the outbox on this machine, durably, and delivered from there, in order,
between later appends and beats. One publisher's thread calls it; it starts no thread of its own and never waits long.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import suppress

from msgspec.structs import replace

from forge_widgets.core.curves import Curves, SeriesQuery
from forge_widgets.core.events import Batch, Event
from forge_widgets.core.liveness import Heartbeat, is_live
from forge_widgets.core.subscription import Slice
from forge_widgets.errors import ForgeError, RateLimited, Refused, StoreDamaged, StoreUnavailable
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.http import HttpStore
from forge_widgets.stores.http_delivery import Delivered, deliver
from forge_widgets.stores.http_outbox import Outbox
from forge_widgets.stores.processes import process_alive

SLICE_S = 0.5
"""Seconds that a delivery may take of an append or a beat: between them the ring is emptied."""

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
"""Seconds that a remote out of reach is left alone: doubled with each try, and drawn between the half and the whole."""

LEFTOVERS_EVERY_S = 30.0
CLOSE_S = 2.0

_log = logging.getLogger("forge_widgets")


class Relay:
    """A store over HTTP, with an outbox behind it."""

    # Seconds that its writer gathers before it appends: a request is dearer than a commit.
    flush_interval_s = 0.15

    def __init__(self, remote: HttpStore, outbox: Outbox, *, owns_remote: bool) -> None:
        self.url = remote.url
        self._remote = remote
        self._outbox = outbox
        self._owns_remote = owns_remote
        # How often in a row the remote was out of reach, why, and when (monotonic) it is tried again.
        self._failures = 0
        self._reason = ""
        self._next_try = 0.0
        # True where it is there, and does not take what it is sent.
        self._refused = False
        # Events and rows that were delivered since it was out of reach.
        self._caught_up = 0
        # Until when (monotonic) the remote asks for no more steps.
        self._limited_until = 0.0
        # The attempts that the remote gave, by session and producer; the sessions that are written here.
        self._attempts: dict[tuple[str, str], int] = {}
        self._own: set[str] = set()
        # When (monotonic) to look for what other processes left in the outbox, and what of it can't be delivered from here.
        self._leftovers_due = 0.0
        self._stuck: set[str] = set()

    @property
    def store_id(self) -> str:
        """Durable id of the remote store. Raises StoreUnavailable."""
        return self._remote.store_id

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append at the remote, or behind what waits for it here. When this returns, it is durable in one of the two.

        The receipt's attempt is the remote's, 0 until that is known. Raises RateLimited where the remote asks to be left
        alone with steps, and else what both stores raise.
        """
        self._own.add(session_id)
        try:
            self._heed_limit(batch)
            if not self._delivered(session_id, SLICE_S) or self._is_away():
                return self.keep(session_id, batch)
            receipt = self._remote.append(session_id, batch)
        except RateLimited as limited:
            self._limited_until = time.monotonic() + limited.retry_after_s
            if has_steps(batch):
                raise
            return self.keep(session_id, batch)  # an event does not wait in memory
        except StoreUnavailable as error:
            self._lost_sight(error)
            return self.keep(session_id, batch)
        self._in_sight()
        self._attempts[session_id, batch.producer.id] = receipt.attempt
        return receipt

    def keep(self, session_id: str, batch: Batch) -> Receipt:
        """Record in the outbox, whatever the remote says. Raises StoreUnavailable where this machine can't take it either."""
        receipt = self._outbox.put(session_id, batch)
        return replace(receipt, attempt=self._attempts.get((session_id, batch.producer.id), 0))

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Deliver something of what waits, and say that a producer lives, with what is not delivered yet."""
        self._own.add(session_id)
        waiting = 0
        try:
            waiting = self._outbox.waiting(session_id)
            if waiting:
                self._outbox.beat(session_id, self._as_it_is(session_id, heartbeat, waiting))
                self._delivered(session_id, SLICE_S)
                waiting = self._outbox.waiting(session_id)
        except ForgeError:  # a rate to be heeded, or an outbox that can't be read: no reason to say nothing
            _log.debug("%s: not delivered", session_id, exc_info=True)
        if not self._is_away() or self._refused:
            try:
                self._remote.send_beat(session_id, self._as_it_is(session_id, heartbeat, waiting))
            except StoreUnavailable as error:
                self._lost_sight(error)
            else:
                self._deliver_leftovers()

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read the remote's records."""
        return self._remote.read(session_id, after, max_rows)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Return the remote's newest state; where that is out of reach, what waits here of it."""
        try:
            return self._remote.snapshot(session_id)
        except StoreUnavailable as error:
            self._lost_sight(error)
            return self._outbox.snapshot(session_id)

    def series(self, session_id: str, query: SeriesQuery) -> Curves | None:
        """Return curves that the remote makes."""
        return self._remote.series(session_id, query)

    def version(self, session_id: str) -> object:
        """Return the version of the remote's log."""
        return self._remote.version(session_id)

    def trim(self, session_id: str, upto: int) -> int | None:
        """Drop the remote's records up to an offset."""
        return self._remote.trim(session_id, upto)

    def summaries(self) -> list[Summary]:
        """List the remote's sessions."""
        return self._remote.summaries()

    def delete(self, session_id: str) -> bool:
        """Delete a session at the remote."""
        return self._remote.delete(session_id)

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the heartbeats that the remote knows."""
        return self._remote.heartbeats(session_id)

    def close(self) -> None:
        """Deliver what goes quickly, say what is left, and let go of files and connections."""
        try:
            left = sum(self._left_after(session_id) for session_id in sorted(self._own))
            if left:
                _log.warning(
                    "%s%d events and steps wait in %s: the next training that reaches %s delivers them, or 'forge-widgets sync'",
                    self._whose(), left, self._outbox.shown, self.url,
                )  # fmt: skip
        except ForgeError as error:
            _log.warning("what waits in %s can't be read now: %s", self._outbox.shown, error)
        finally:
            self._outbox.close()
            if self._owns_remote:
                self._remote.close()

    # --- the remote, as far as it can be seen from here -------------------------------------------------

    def _is_away(self) -> bool:
        return self._failures > 0 and time.monotonic() < self._next_try

    def _lost_sight(self, error: StoreUnavailable) -> None:
        """Leave the remote alone for a while; say so once. Raises what is the outbox's trouble, not the remote's."""
        if error.url != self.url:
            raise error
        self._failures += 1
        self._refused = isinstance(error, Refused)
        pause = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)
        self._next_try = time.monotonic() + pause
        if error.reason != self._reason:
            self._reason = error.reason
            word = "does not take what is recorded" if self._refused else "is out of reach"
            _log.warning(
                "%s%s %s (%s): training goes on, and is recorded on this machine, in %s; it is delivered from there "
                "by itself, or by 'forge-widgets sync'",
                self._whose(), self.url, word, error.reason, self._outbox.shown,
            )  # fmt: skip

    def _whose(self) -> str:
        """Name what is recorded through here: several runs of a process each have a relay, and each says what it meets."""
        return f"{', '.join(sorted(self._own))}: " if self._own else ""

    def _in_sight(self) -> None:
        """Note that the remote takes what it is sent."""
        self._failures, self._reason, self._refused = 0, "", False

    def _heed_limit(self, batch: Batch) -> None:
        left = self._limited_until - time.monotonic()
        if left > 0 and has_steps(batch):
            raise RateLimited(self.url, left)

    # --- the outbox -----------------------------------------------------------------------------------------

    def _delivered(self, session_id: str, seconds: float) -> bool:
        """Deliver what waits of a session, if the remote is to be asked now; True once nothing waits. Raises RateLimited."""
        try:
            if not self._outbox.waiting(session_id):
                return True
            if self._is_away():
                return False
            done = deliver(self._outbox, self._remote, session_id, seconds)
        except RateLimited:
            raise
        except StoreUnavailable as error:
            self._lost_sight(error)
            return False
        except StoreDamaged as damage:  # the next append here sets it aside
            _log.warning("what waits in %s can't be read: %s", self._outbox.shown, damage)
            return False
        self._note(session_id, done)
        return done.complete

    def _note(self, session_id: str, done: Delivered) -> None:
        for producer, attempt in done.attempts.items():
            self._attempts[session_id, producer] = attempt
        self._in_sight()
        self._caught_up += done.rows
        if done.complete:
            rows, self._caught_up = self._caught_up, 0
            said = "%s%d events and steps that waited on this machine were delivered to %s"
            _log.warning(said, self._whose(), rows, self.url)

    def _left_after(self, session_id: str) -> int:
        """Deliver a session within a moment; return what is left of it."""
        with suppress(RateLimited):
            self._delivered(session_id, CLOSE_S)
        return self._outbox.waiting(session_id)

    def _deliver_leftovers(self) -> None:
        """Deliver something of what processes that are gone left behind, now and then."""
        if time.monotonic() < self._leftovers_due:
            return
        self._leftovers_due = time.monotonic() + LEFTOVERS_EVERY_S
        try:
            for session_id in self._outbox.sessions():
                if session_id in self._own | self._stuck or self._somebody_writes(session_id):
                    continue
                self._leftovers_due = 0.0  # there may be more: at the next beat
                self._deliver_leftover(session_id)
                return
        except StoreUnavailable as error:  # tried again after a while; our own go on
            self._leftovers_due = time.monotonic() + LEFTOVERS_EVERY_S
            _log.warning("what others left in %s is not delivered: %s", self._outbox.shown, error)

    def _deliver_leftover(self, session_id: str) -> None:
        """Deliver something of a session; one that will never go, as it is, must not hold up the others."""
        try:
            done = deliver(self._outbox, self._remote, session_id, SLICE_S)
            _log.info("%s: %d events and steps of %s were delivered", self.url, done.rows, session_id)
        except RateLimited as limited:
            self._limited_until = self._leftovers_due = time.monotonic() + limited.retry_after_s
        except (Refused, StoreDamaged) as error:
            self._stuck.add(session_id)
            _log.warning("what others left of %s in %s is not delivered: %s", session_id, self._outbox.shown, error)

    def _somebody_writes(self, session_id: str) -> bool:
        """Say whether a process that lives records a session here: it delivers by itself."""
        now = time.time()
        return any(is_live(heartbeat, now, process_alive) for heartbeat in self._outbox.heartbeats(session_id))

    def _as_it_is(self, session_id: str, heartbeat: Heartbeat, waiting: int) -> Heartbeat:
        """Return a heartbeat with the remote's attempt, and with what is not delivered yet."""
        attempt = self._attempts.get((session_id, heartbeat.producer), heartbeat.attempt)
        if not waiting:
            return replace(heartbeat, attempt=attempt)
        why = f" ({self._reason})" if self._reason else ""
        reason = (
            f"they wait on the training's machine and are delivered from there, or by 'forge-widgets sync' there{why}"
        )
        return replace(
            heartbeat, attempt=attempt, unsaved=heartbeat.unsaved + waiting, reason=heartbeat.reason or reason
        )


def has_steps(batch: Batch) -> bool:
    """Say whether there are steps in a batch, which may be asked to wait: a lifecycle event never is."""
    return any(not isinstance(body, Event) or body.event_type == "step_update" for body in batch.bodies)
