"""How fast one client may record: a bucket of rows and one of requests for each, and what is refused when they are empty.

Handlers that record ask here before they do. Lifecycle events are never refused; and a large batch never is for ever: it
is let in while there is anything in the bucket, and what it takes beyond that is paid back before the next.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from tornado.web import RequestHandler

from forge_widgets.errors import RateLimited
from forge_widgets.server.limits import Limits

MAX_CLIENTS = 10_000
"""Clients that are remembered; of more, the one that was quiet longest is forgotten."""

MAX_DEBT_S = 30.0
"""Seconds of its rate that a client can owe at most, however much it sent at once."""


Unit = Literal["rows", "requests"]


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
        # By client, the one that asked last at the end.
        self._clients: OrderedDict[str, list[tuple[Unit, Bucket]]] = OrderedDict()

    def let_in(self, client: str, rows: int, *, steps: bool) -> None:
        """Count rows and events that a client is about to record in one request.

        Raises RateLimited where there are ``steps`` among them, and counts nothing then.
        """
        now, buckets = self._clock(), self._of(client)
        wait_s = max((bucket.wait_s(now) for _, bucket in buckets), default=0.0)
        if steps and wait_s > 0:
            raise RateLimited("this server", wait_s)
        for unit, bucket in buckets:
            bucket.take(rows if unit == "rows" else 1)

    def _of(self, client: str) -> list[tuple[Unit, Bucket]]:
        limits = self._limits
        if client not in self._clients:
            rates: list[tuple[Unit, float | None]] = [
                ("rows", limits.publish_rows_per_s),
                ("requests", limits.publish_requests_per_s),
            ]
            self._clients[client] = [
                (unit, Bucket(per_s, limits.publish_burst_s, self._clock()))
                for unit, per_s in rates
                if per_s is not None
            ]
        self._clients.move_to_end(client)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return self._clients[client]


def client_of(handler: RequestHandler) -> str:
    """Name who asks: the identity that a person signed in with, else the address. A token is shared, so it names nobody."""
    user = handler.current_user
    if user is not None and not getattr(handler, "token_authenticated", False):
        return f"user:{getattr(user, 'username', user)}"
    return f"address:{handler.request.remote_ip}"
