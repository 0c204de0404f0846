"""Which attempt of a session a producer writes to.

Stores ask this once for each producer, and for each training_started of a bare HTTP client, inside the append.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from forge_widgets.core.events import Body, Event, Producer
from forge_widgets.core.state import State

ENDED = frozenset({"completed", "error"})


def opens_attempt(body: Body) -> bool:
    """Say whether a body is a training_started."""
    return isinstance(body, Event) and body.event_type == "training_started"


def choose_attempt(producer: Producer, first: Body, state: State, groups: Mapping[str, int]) -> int:
    """Choose the attempt of a producer's first body (of every training_started, for a bare one).

    Args:
        producer: who writes.
        first: what it writes first.
        state: the fold of the latest attempt; attempt 0 where nothing is recorded.
        groups: the attempt of each producer group known so far.

    A new producer that starts a training opens the next attempt; one that only reports joins the latest unless that has
    ended; a group stays together; ``resume`` goes on with the latest.
    """
    latest = state.attempt
    if latest == 0:
        return 1
    if producer.bare:
        return latest + 1 if opens_attempt(first) and state.status in ENDED else latest
    known = groups.get(producer.group or producer.id)
    if known is not None:
        return known
    if producer.resume:
        return latest
    return latest + 1 if opens_attempt(first) or state.status in ENDED or state.lost else latest


def split_at_starts(bodies: Sequence[Body]) -> list[Sequence[Body]]:
    """Split bodies before each training_started, so that each part lies in one attempt."""
    starts = [index for index, body in enumerate(bodies) if index and opens_attempt(body)]
    bounds = [0, *starts, len(bodies)]
    return [bodies[start:stop] for start, stop in pairwise(bounds)]
