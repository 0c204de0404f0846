"""The sessions of a store as a list of values: what is running, what ran, and how far each has come.

Reads summaries and heartbeats and writes nothing. Notebooks and the command line call it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from forge_widgets.analysis.history import moment
from forge_widgets.analysis.reading import StoreLike, opened
from forge_widgets.core.document import metrics_of
from forge_widgets.core.eta import Estimate, time_left
from forge_widgets.core.events import STATUSES, Status
from forge_widgets.core.pulse import Standing, standing
from forge_widgets.errors import InvalidInput
from forge_widgets.stores.base import Summary
from forge_widgets.stores.missed import summaries_now


class SessionInfo(Struct, frozen=True, kw_only=True):
    """A session as it stood when the list was made."""

    session_id: str
    status: Status
    # True where the training went without a word: the status is the last that it said.
    lost: bool
    # How it stood, in one word: the status, or "lost", or "slow" or "stalled" by the pace of its own steps.
    standing: Standing
    # The attempt that all of this is of: the latest, and so the number of attempts.
    attempt: int
    # In UTC: the first record of the first attempt, and the newest record.
    created_at: datetime
    updated_at: datetime
    # The contract's nine metrics and the user's own, the newest of each.
    metrics: Mapping[str, float]
    # Those that somebody recorded; the others of the nine are the contract's defaults.
    recorded: frozenset[str]
    # Step rows of the attempt.
    rows: int
    # What the training failed with, "" where it did not.
    error: str
    # What is left of a running training at its pace; None where that can't be said.
    left: Estimate | None

    def __str__(self) -> str:
        """Return a line: id, status, how far, and the loss."""
        known = [f"{word} {self.place(name, total)}" for word, name, total in _PLACES if name in self.recorded]
        known += [f"loss {self.metrics['loss']:.4g}"] if "loss" in self.recorded else []
        return ", ".join([f"{self.session_id}: {self.status}{', training gone' if self.lost else ''}", *known])

    def place(self, name: str, total: str) -> str:
        """Return how far a count has come, ``450/1000``; without the total where nobody said it."""
        return f"{self.metrics[name]:g}" + (f"/{self.metrics[total]:g}" if total in self.recorded else "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


_PLACES = (("model", "currentModel", "totalModels"), ("step", "currentStep", "totalSteps"))


def sessions(*, status: Status | None = None, limit: int | None = None, store: StoreLike = None) -> list[SessionInfo]:
    """List the sessions of a store, the newest update first.

    ``status`` keeps those of one status, ``limit`` at most so many (None: all). ``store`` is an open store, a folder or a URL,
    None the user's own. Raises InvalidInput for an unknown status or a limit below 1.
    """
    if status is not None and status not in STATUSES:
        raise InvalidInput(f"{status!r} is no status", where="status", expected=f"one of {', '.join(sorted(STATUSES))}")
    if limit is not None and limit < 1:
        raise InvalidInput(f"{limit!r} is no limit", where="limit", expected="1 or more, or None for all")
    with opened(store) as source:
        now = time.time()
        found = summaries_now(source, now)
        return [_info(summary, now) for summary in found if status is None or summary.state.status == status][:limit]


def _info(summary: Summary, now: float) -> SessionInfo:
    state = summary.state
    return SessionInfo(
        session_id=summary.session_id,
        status=state.status,
        lost=state.lost,
        standing=standing(state, now),
        attempt=state.attempt,
        created_at=moment(summary.created_at),
        updated_at=moment(summary.updated_at),
        metrics=metrics_of(state),
        recorded=frozenset(state.metrics),
        rows=state.rows,
        error=state.error,
        left=None if state.lost else time_left(state),
    )
