"""What a server counts of itself, for a scraper: requests, what is sent and recorded, what is refused, where the store fails.

``app`` makes one for each server, with a registry of its own; handlers, sockets and the pool count, ``metrics_page`` shows.
Labels have few values, all named here or in the table of routes: never a session, a client or anything else that is sent.
Used on the event loop only.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from forge_widgets._version import __version__
from forge_widgets.core.wire import PROTOCOL

Transport = Literal["websocket", "http", "socketio"]

NAMESPACE = "forge_widgets"

OTHER = "other"
"""The label of routes and methods that are none of ours."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Up to 20 s: a poll waits for so long.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0)
_REASONS = {400: "invalid", 403: "access", 413: "limit", 415: "invalid", 422: "invalid", 429: "rate", 507: "limit"}


class Traffic(Collector):
    """Messages and bytes that were sent to viewers: plain numbers, because each message counts here."""

    def __init__(self) -> None:
        self._messages: dict[Transport, int] = {"websocket": 0, "http": 0, "socketio": 0}
        self._bytes: dict[Transport, int] = dict.fromkeys(self._messages, 0)

    def count(self, transport: Transport, size: int) -> None:
        """Count a message of so many bytes."""
        self._messages[transport] += 1
        self._bytes[transport] += size

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Tell a registry."""
        for name, said, counts in (
            ("sent_messages", "Messages that viewers were sent: frames, heartbeats, answers.", self._messages),
            ("sent_bytes", "Bytes of those messages, compressed where they were.", self._bytes),
        ):
            family = CounterMetricFamily(f"{NAMESPACE}_{name}", said, labels=["transport"])
            for transport, count in counts.items():
                family.add_metric([transport], count)
            yield family


class _Plain(Collector):
    """A registry without the times at which each series began: half as much to send again and again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Meter:
    """The counters and gauges of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry(auto_describe=True)
        self.traffic = Traffic()
        registry.register(self.traffic)
        ProcessCollector(registry=registry)
        build = Info("build", "What runs here.", namespace=NAMESPACE, registry=registry)
        build.info({"version": __version__, "protocol": str(PROTOCOL), "python": platform.python_version()})
        self._requests = self._counter(
            "http_requests", "Requests that were answered, a WebSocket's handshake too.", "route", "method", "status"
        )
        self._durations = Histogram(
            "http_request_seconds",
            "Seconds until a request was answered; polls wait for news meanwhile.",
            ["route"],
            namespace=NAMESPACE,
            registry=registry,
            buckets=_SECONDS,
        )
        self._refused = self._counter(
            "refused", "Requests and connections that were refused: access, rate, limit or invalid.", "reason"
        )
        self._recorded = self._counter("recorded", "Steps and events that clients have recorded over HTTP.")
        self._repeated = self._counter("repeated", "Steps and events that clients sent again and the log already had.")
        self._store_errors = self._counter(
            "store_errors", "Calls of the store that failed, by the error's name.", "error"
        )
        # Set before each scrape.
        self.connections = Gauge(
            "connections",
            "Connections that are open: WebSockets, and clients of Socket.IO, also those that poll.",
            ["transport"],
            namespace=NAMESPACE,
            registry=registry,
        )
        self.viewers = self._gauge("viewers", "Viewers of all sessions; polls that wait are some.")
        self.watched_sessions = self._gauge("watched_sessions", "Sessions that have viewers here.")
        self.store_readable = self._gauge(
            "store_readable", "1 where the list of sessions could be read for this scrape."
        )
        self.sessions = Gauge(
            "sessions", "Sessions in the store, by status.", ["status"], namespace=NAMESPACE, registry=registry
        )
        for reason in sorted(set(_REASONS.values())):
            self._refused.labels(reason)

    def answered(self, route: str, method: str | None, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, method if method in _METHODS else OTHER, str(status)).inc()
        self._durations.labels(route).observe(max(0.0, seconds))
        if status in _REASONS:
            self._refused.labels(_REASONS[status]).inc()

    def refused_connection(self) -> None:
        """Count a connection for which there was no room."""
        self._refused.labels("limit").inc()

    def recorded(self, count: int, repeated: int) -> None:
        """Count steps and events that were sent in to be recorded, and how many of them were there already."""
        self._recorded.inc(count - repeated)
        self._repeated.inc(repeated)

    def store_failed(self, error: Exception) -> None:
        """Count a call of the store that failed with an error of ours."""
        self._store_errors.labels(type(error).__name__).inc()

    def render(self) -> bytes:
        """Write all of it in Prometheus' text format."""
        return generate_latest(_Plain(self._registry))

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(name, said, labels, namespace=NAMESPACE, registry=self._registry)

    def _gauge(self, name: str, said: str) -> Gauge:
        return Gauge(name, said, namespace=NAMESPACE, registry=self._registry)
