"""A publisher's heartbeat: what it says of itself beside the log, and when it is time to say it again.

Called on the publisher's thread. A beat that can't be written is missed by its readers: that says enough.
"""

from __future__ import annotations

import logging
import time

from forge_widgets.core.events import Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.stores.base import Store
from forge_widgets.stores.processes import process_start

logger = logging.getLogger("forge_widgets")

BEAT_INTERVAL_S = 2.0


class Pulse:
    """Beats for one session."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        # The monotonic moment of the newest beat.
        self._beaten_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next beat."""
        return time.monotonic() - self._beaten_at >= BEAT_INTERVAL_S

    def beat(
        self,
        store: Store,
        producer: Producer,
        *,
        attempt: int,
        durable: int,
        unsaved: int,
        reason: str,
        closed: bool = False,
    ) -> None:
        """Say that a producer lives, how far it is durable, and what is not and why."""
        self._beaten_at = time.monotonic()
        heartbeat = Heartbeat(
            producer=producer.id,
            attempt=attempt,
            pid=producer.pid,
            host=producer.host,
            started=process_start(producer.pid),
            beat=time.time(),
            durable=durable,
            unsaved=unsaved,
            reason=reason,
            closed=closed,
        )
        try:
            store.beat(self._session_id, heartbeat)
        except Exception:  # whatever a store does with it must not end the publisher's thread
            logger.debug("%s: no heartbeat", self._session_id, exc_info=True)
