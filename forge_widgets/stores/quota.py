"""What has to go when sessions take more of the disk than they may: which are trimmed, which deleted, in which order.

``plan`` is pure; ``keep`` carries it out, for a server that was given a quota and for the command line. Nobody else drops
what was recorded, and without a quota nobody does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.core.attempts import ENDED
from forge_widgets.core.events import Status
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor
from forge_widgets.errors import ForgeError
from forge_widgets.stores.base import Store, Summary
from forge_widgets.stores.missed import summaries_now

MIN_AGE_S = 600.0
"""A session that was recorded to in the last ten minutes is left alone, whatever its status says."""

TRIMMED_BYTES = 65_536
"""What a trimmed session takes, or less: its last state, its producers and its idempotency keys."""

_EVERYTHING = 2**53

_log = logging.getLogger(__name__)


@runtime_checkable
class DiskStore(Store, Protocol):
    """A store that keeps its sessions on a disk of this machine."""

    def bytes_on_disk(self, session_id: str) -> int:
        """Return what a session takes on the disk, in bytes; 0 for an unknown one."""

    def trim(self, session_id: str, upto: int, *, epoch: str = "") -> int | None:
        """Drop the records up to an offset, as Store.trim; with ``epoch`` only of that incarnation of the log."""

    def delete(self, session_id: str, *, only_at: Cursor | None = None) -> bool:
        """Delete a session, as Store.delete; with ``only_at`` only where its log ends there."""


class Held(Struct, frozen=True, kw_only=True):
    """A session as a quota sees it."""

    session_id: str
    bytes: int
    status: Status
    # Seconds since the epoch of its newest record.
    updated_at: float
    # True where its training went without a word.
    lost: bool = False
    # True where somebody is known to look at it now.
    watched: bool = False
    # True where nothing but its last state is left of it.
    trimmed: bool = False


class Step(Struct, frozen=True):
    """One session's turn."""

    session_id: str
    # trim: records go; the last state stays, with status, newest metrics, models, phases, error and place in lists.
    # delete: all of it goes.
    action: Literal["trim", "delete"]


class Dropped(Struct, frozen=True):
    """A step that was taken."""

    step: Step
    # What the disk got back, and what all sessions take now.
    freed_bytes: int
    left_bytes: int

    def __str__(self) -> str:
        """Say what was done in words."""
        done = "trimmed, its last state is kept" if self.step.action == "trim" else "deleted"
        freed = freed_words(self.freed_bytes)
        return f"session {self.step.session_id} was {done}: {freed}, all sessions take {words_of_bytes(self.left_bytes)} now"


def plan(
    held: Iterable[Held], quota_bytes: int, now: float, *, min_age_s: float = MIN_AGE_S, delete: bool = True
) -> list[Step]:
    """Say what to do, in order, until all sessions together take no more than ``quota_bytes``; as little as that needs.

    The finished sessions are trimmed first, the one recorded to longest ago before all others; once that is not enough
    they are deleted in the same order, unless ``delete`` is false. A session that runs, is paused, is watched or was recorded
    to in the last ``min_age_s`` seconds is never touched: then what is left may be over the quota.
    """
    sessions = sorted(held, key=lambda one: (one.updated_at, one.session_id))
    total = sum(one.bytes for one in sessions)
    free = [one for one in sessions if _is_over(one, now, min_age_s)]
    steps: list[Step] = []
    for one in free:
        if total > quota_bytes and not one.trimmed and one.bytes > TRIMMED_BYTES:
            steps.append(Step(one.session_id, "trim"))
            total -= one.bytes - TRIMMED_BYTES
    for one in free if delete else ():
        if total > quota_bytes:
            steps.append(Step(one.session_id, "delete"))
            total -= min(one.bytes, TRIMMED_BYTES) if not one.trimmed else one.bytes
    return steps


class Turn(Struct, frozen=True):
    """A step that is due, and its session as it was when that was found."""

    step: Step
    summary: Summary
    bytes: int


class Due(Struct, frozen=True):
    """What a store's sessions take, and what a quota asks for."""

    total_bytes: int
    turns: list[Turn]


def due(
    store: DiskStore,
    quota_bytes: int,
    now: float,
    *,
    is_watched: Callable[[str], bool] = lambda _: False,
    min_age_s: float = MIN_AGE_S,
    delete: bool = True,
) -> Due:
    """Measure a store's sessions and say what is to be done (see ``plan``); nothing is. Raises StoreUnavailable."""
    summaries = {summary.session_id: summary for summary in summaries_now(store, now)}
    held = [_held(summary, store.bytes_on_disk(name), watched=is_watched(name)) for name, summary in summaries.items()]
    total = sum(one.bytes for one in held)
    if total <= quota_bytes:
        return Due(total, [])
    known = {
        one.session_id: replace(one, trimmed=_is_over(one, now, min_age_s) and _is_trimmed(store, one)) for one in held
    }
    steps = plan(known.values(), quota_bytes, now, min_age_s=min_age_s, delete=delete)
    return Due(total, [Turn(step, summaries[step.session_id], known[step.session_id].bytes) for step in steps])


def keep(
    store: DiskStore,
    quota_bytes: int,
    now: float,
    *,
    is_watched: Callable[[str], bool] = lambda _: False,
    min_age_s: float = MIN_AGE_S,
    delete: bool = True,
) -> Iterator[Dropped]:
    """Trim and delete sessions until they take no more than ``quota_bytes``; yield and log each that it does.

    Measures after each step and stops as soon as there is room. A session that was recorded to or watched since it was
    listed is passed over, and so is one that can't be reached. Raises StoreUnavailable where the sessions can't be listed.
    """
    asked = due(store, quota_bytes, now, is_watched=is_watched, min_age_s=min_age_s, delete=delete)
    left = asked.total_bytes
    for turn in asked.turns:
        if left <= quota_bytes:
            return
        session_id = turn.step.session_id
        try:
            before = store.bytes_on_disk(session_id)
            if is_watched(session_id) or not _take(store, turn):
                continue
            freed = before - store.bytes_on_disk(session_id)
        except ForgeError as error:
            _log.warning("session %s is left as it is: %s", session_id, error)
            continue
        left -= freed
        dropped = Dropped(turn.step, freed, left)
        _log.warning("the quota is %s: %s", words_of_bytes(quota_bytes), dropped)
        yield dropped


def is_finished(state: State) -> bool:
    """Say whether nothing is expected of a session any more: it was completed, failed, or its training has gone."""
    return state.status in ENDED or state.lost


def freed_words(count: int) -> str:
    """Write what a step gave back. Less than nothing is a file that somebody has open: its log shrinks once they let go."""
    return (
        f"{words_of_bytes(count)} freed"
        if count > 0
        else "its space is given back once no server or kernel has it open"
    )


def words_of_bytes(count: int) -> str:
    """Write a number of bytes as a person reads it: ``812 bytes``, ``4.2 MB``."""
    amount, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if abs(amount) < 1_000:
            break
        amount, unit = amount / 1_000, larger
    return f"{amount:.0f} {unit}" if unit == "bytes" or abs(amount) >= 100 else f"{amount:.1f} {unit}"


def _is_over(one: Held, now: float, min_age_s: float) -> bool:
    """Say whether a session is over and nobody looks at it."""
    return (one.status in ENDED or one.lost) and not one.watched and now - one.updated_at >= min_age_s


def _held(summary: Summary, size: int, *, watched: bool) -> Held:
    state = summary.state
    return Held(
        session_id=summary.session_id,
        bytes=size,
        status=state.status,
        updated_at=summary.updated_at,
        lost=state.lost,
        watched=watched,
    )


def _is_trimmed(store: Store, one: Held) -> bool:
    if one.bytes <= TRIMMED_BYTES:  # too small to be asked: a trim would bring nothing
        return False
    try:
        read = store.read(one.session_id, _EVERYTHING, 1)
    except ForgeError:
        return False
    return read is not None and read.floor > read.top


def _take(store: DiskStore, turn: Turn) -> bool:
    """Take a step, unless the session has gone on since it was listed; what is recorded just now stays."""
    session_id = turn.step.session_id
    snapshot = store.snapshot(session_id)
    if snapshot is None or snapshot.state.updated_at != turn.summary.state.updated_at:
        return False
    if turn.step.action == "delete":
        return store.delete(session_id, only_at=snapshot.cursor)
    return store.trim(session_id, snapshot.cursor.offset, epoch=snapshot.cursor.epoch) is not None
