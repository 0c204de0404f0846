"""From the outbox to the remote: in order, with the original producers and sequence numbers, so that nothing comes twice.

A relay calls it between appends and beats, ``forge-widgets sync`` until nothing is left. Two that deliver the same at
once repeat each other's batches, which the remote passes over. What was delivered is dropped here only afterwards.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.core.events import Batch, length
from forge_widgets.errors import SequenceGap, StoreUnavailable
from forge_widgets.stores.base import Receipt
from forge_widgets.stores.http import HttpStore
from forge_widgets.stores.http_outbox import Outbox

_MAX_HOLES = 8

_log = logging.getLogger("forge_widgets")


class Delivered(Struct, frozen=True):
    """What a delivery did."""

    # Events and rows that the remote has now.
    rows: int = 0
    # The attempt that the remote gave to each producer.
    attempts: Mapping[str, int] = {}
    # False where time ran out before all was delivered.
    complete: bool = True


def deliver(outbox: Outbox, remote: HttpStore, session_id: str, seconds: float) -> Delivered:
    """Deliver what waits of a session, for about so many seconds. Raises StoreUnavailable, RateLimited, StoreDamaged.

    Where it raises, what was delivered until then is dropped from the outbox, and the rest waits.
    """
    ends = time.monotonic() + seconds
    rows, attempts = 0, dict[str, int]()
    while (waiting := outbox.read(session_id)) is not None and waiting.records:
        for batch, last in outbox.batches(session_id, waiting):
            attempts[batch.producer.id] = _send(remote, session_id, batch).attempt
            rows += sum(map(length, batch.bodies))
            if last == waiting.top:
                # Before the outbox forgets them: afterwards nobody knows who had written.
                _say_goodbye(outbox, remote, session_id, attempts)
            outbox.drop(session_id, waiting, last, attempts)
            if time.monotonic() >= ends:
                return Delivered(rows, attempts, complete=not outbox.waiting(session_id))
    return Delivered(rows, attempts)


def _send(remote: HttpStore, session_id: str, batch: Batch, holes: int = _MAX_HOLES) -> Receipt:
    """Append at the remote. What is missing before a batch is nowhere any more, and must not hold it up.

    (A damaged file here, or a log there that went back.) The rest goes on under a name of its own, in the same attempt,
    and under the same one each time.
    """
    try:
        return remote.append(session_id, batch)
    except SequenceGap as gap:
        producer = batch.producer
        _log.error(
            "%s: events and steps %d to %d of producer %s are neither here nor at %s; what follows them is delivered",
            session_id, gap.expected, gap.got - 1, producer.id, remote.url,
        )  # fmt: skip
        if not holes:
            raise StoreUnavailable(remote.url, f"its log has too many holes of producer {producer.id}") from gap
        heir = replace(producer, id=f"{producer.id[:150]}~{gap.expected}", group=producer.group or producer.id)
        return _send(remote, session_id, replace(batch, producer=heir), holes - 1)


def _say_goodbye(outbox: Outbox, remote: HttpStore, session_id: str, attempts: Mapping[str, int]) -> None:
    """Let the remote know that nothing of a session's producers is missing there any more.

    Of one that it has heard itself since, it knows: with an earlier outage's heartbeat it would take it for lost.
    """
    said = outbox.heartbeats(session_id)
    heard = {heartbeat.producer: heartbeat.beat for heartbeat in remote.heartbeats(session_id)} if said else {}
    for heartbeat in said:
        if heartbeat.beat >= heard.get(heartbeat.producer, 0.0):
            attempt = attempts.get(heartbeat.producer, heartbeat.attempt)
            remote.beat(session_id, replace(heartbeat, attempt=attempt, unsaved=0, reason=""))
