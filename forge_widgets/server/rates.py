"""How fast one client may record: a bucket of rows and one of requests for each, and what is refused when they are empty.

Handlers that record ask here before they do. Lifecycle events are never refused; and a large batch never is for ever: it
is let in while there is anything in the bucket, and what it takes beyond that is paid back before the next.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from tornado.web import RequestHandler

from forge_widgets.errors import RateLimited
from forge_widgets.server.limits import Limits

MAX_CLIENTS = 10_000
"""Clients that are remembered; of more, the one that was quiet longest is forgotten."""

MAX_DEBT_S = 30.0
"""Seconds of its rate that a client can owe at most, however much it sent at once."""


class Bucket:
    """A token bucket that may go into debt."""

    def __init__(self, per_s: float, burst_s: float, now: float) -> None:
        self._per_s = per_s
        self._full = per_s * burst_s
        self._left = self._full
        self._at = now

    def wait_s(self, now: float) -> float:
        """Return the seconds until something is in the bucket, 0.0 where something is."""
        self._left = min(self._full, self._left + (now - self._at) * self._per_s)
        self._at = now
        return 0.0 if self._left > 0 else (1.0 - self._left) / self._per_s

    def take(self, amount: float) -> None:
        """Take out of the bucket, more than there is if need be."""
        self._left = max(self._left - amount, -self._per_s * MAX_DEBT_S)


class PublishRates:
    """The buckets of a server's clients. Used on the event loop only."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        # By client, the one that asked last at the end: for rows, and for requests.
        self._buckets: OrderedDict[str, tuple[Bucket | None, Bucket | None]] = OrderedDict()

    def let_in(self, client: str, count: int, *, steps: bool) -> None:
        """Count rows and events that a client is about to record in one request.

        Raises RateLimited where there are ``steps`` among them, and counts nothing then.
        """
        rows, requests = self._of(client)
        now = self._clock()
        waits = [bucket.wait_s(now) for bucket in (rows, requests) if bucket is not None]
        if steps and waits and max(waits) > 0:
            raise RateLimited("this server", max(waits))
        if rows is not None:
            rows.take(count)
        if requests is not None:
            requests.take(1)

    def _of(self, client: str) -> tuple[Bucket | None, Bucket | None]:
        limits, now = self._limits, self._clock()
        if client not in self._buckets:
            self._buckets[client] = tuple(  # type: ignore[assignment]
                None if per_s is None else Bucket(per_s, limits.publish_burst_s, now)
                for per_s in (limits.publish_rows_per_s, limits.publish_requests_per_s)
            )
        self._buckets.move_to_end(client)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return self._buckets[client]


def client_of(handler: RequestHandler) -> str:
    """Name who asks: the identity that a person signed in with, else the address. A token is shared, so it names nobody."""
    user = handler.current_user
    if user is not None and not getattr(handler, "token_authenticated", False):
        return f"user:{getattr(user, 'username', user)}"
    return f"address:{handler.request.remote_ip}"
