"""What a server counts of itself, in both mounts: true numbers, few labels, behind the token, also without a store."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from forge_widgets.core.events import Batch, Producer
from forge_widgets.errors import StoreUnavailable
from forge_widgets.server.app import ROUTES, STANDALONE_ROUTES
from forge_widgets.server.limits import Limits
from forge_widgets.stores.memory import MemoryStore
from tests.server.mounts import Mount, rows, standalone, until

DOCS = Path(__file__).parents[2] / "docs" / "METRICS.md"


class Scrape:
    """What one scrape said."""

    def __init__(self, mount: Mount) -> None:
        answer = mount.get("/metrics")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = answer.text
        self.samples = {
            (sample.name.removeprefix("forge_widgets_"), tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def of(self, metric: str, **labels: str) -> float:
        """Return a value, 0.0 where nothing was counted."""
        return self.samples.get((metric, tuple(sorted(labels.items()))), 0.0)


def test_requests_are_counted_by_route_and_never_by_session(mount: Mount, session_id: str) -> None:
    labels = {"route": "/api/progress/{session_id}/update", "method": "POST"}
    before = Scrape(mount)
    mount.update(session_id, metrics={"loss": 1.0})
    assert mount.post(f"/api/progress/{session_id}/update", {"metrics": {"loss": "much"}}).status_code == 422
    assert mount.get("/api/progress/nobody").status_code == 404
    after = Scrape(mount)
    for status in ("200", "422"):
        assert after.of("http_requests_total", **labels, status=status) == 1 + before.of(
            "http_requests_total", **labels, status=status
        )
    count = "http_request_seconds_count"
    assert after.of(count, route=labels["route"]) == 2 + before.of(count, route=labels["route"])
    assert after.of("refused_total", reason="invalid") == 1 + before.of("refused_total", reason="invalid")
    assert after.of("recorded_total") == 1 + before.of("recorded_total")
    assert session_id not in after.text
    known = {route.path for route in ROUTES + STANDALONE_ROUTES} | {"other"}
    assert {dict(labels)["route"] for _, labels in after.samples if "route" in dict(labels)} <= known


def test_what_is_repeated_is_not_counted_as_recorded(mount: Mount, session_id: str) -> None:
    before = Scrape(mount)
    for _ in range(3):
        mount.update(session_id, metrics={"loss": 1.0}, idempotencyKey="once")
    after = Scrape(mount)
    assert after.of("recorded_total") - before.of("recorded_total") == 1
    assert after.of("repeated_total") - before.of("repeated_total") == 2


def test_viewers_and_what_they_are_sent_are_counted(mount: Mount, new_id: Callable[[], str]) -> None:
    one, other = new_id(), new_id()
    mount.append(one, rows(0, 50))
    before = Scrape(mount)
    with mount.socket(f"/ws/{one}?protocol=1") as socket, mount.socket(f"/ws/{other}") as naive:
        socket.hear_type("frame")
        naive.hear_type("session_joined")
        during = Scrape(mount)
        for metric in ("viewers", "watched_sessions"):
            assert during.of(metric) - before.of(metric) == 2, metric
        assert during.of("connections", transport="websocket") - before.of("connections", transport="websocket") == 2
        assert during.of("sent_messages_total", transport="websocket") >= 3 + before.of(
            "sent_messages_total", transport="websocket"
        )
        assert during.of("sent_bytes_total", transport="websocket") > 500 + before.of(
            "sent_bytes_total", transport="websocket"
        )
    polled = len(mount.get(f"/api/sessions/{one}/events").content)
    connected = before.of("connections", transport="websocket")
    until(lambda: Scrape(mount).of("connections", transport="websocket") == connected)
    after = Scrape(mount)
    assert after.of("sent_messages_total", transport="http") == 1 + before.of("sent_messages_total", transport="http")
    # Deflated on the way, where it is worth it.
    assert (
        0 < after.of("sent_bytes_total", transport="http") - before.of("sent_bytes_total", transport="http") <= polled
    )


def test_sessions_are_counted_by_status(mount: Mount, new_id: Callable[[], str]) -> None:
    mount.update(new_id())  # so that the list is a new one, whatever was appended behind the server's back
    before = Scrape(mount)
    for status in ("running", "running", "completed", "error"):
        mount.update(new_id(), status=status)
    after = Scrape(mount)
    assert {
        status: after.of("sessions", status=status) - before.of("sessions", status=status)
        for status in ("running", "completed", "error", "paused")
    } == {"running": 2, "completed": 1, "error": 1, "paused": 0}


def test_what_is_refused_is_counted_by_reason(tmp_path: Path) -> None:
    limits = Limits(max_sessions=1, publish_requests_per_s=0.1, publish_burst_s=10.0, max_connections=1)
    with standalone(tmp_path / "store", limits=limits) as mount:
        mount.update("first")
        assert mount.post("/api/progress/second/update", {"status": "running"}).status_code in (429, 507)
        statuses = [mount.post("/api/progress/first/update", {"metrics": {}}).status_code for _ in range(4)]
        assert statuses[-1] == 429
        assert mount.get("/api/health", headers={"Authorization": "token wrong"}).status_code == 403
        with mount.socket("/ws/first") as socket, mount.socket("/ws/first") as crowded:
            socket.hear()
            until(lambda: crowded.connection.close_code == 4429)
        scrape = Scrape(mount)
        assert scrape.of("refused_total", reason="access") == 1
        assert scrape.of("refused_total", reason="rate") >= 1
        assert scrape.of("refused_total", reason="limit") >= 1


class BrokenStore(MemoryStore):
    """A store that can't be read for a while."""

    broken = False

    def _may_fail(self) -> None:
        if self.broken:
            raise StoreUnavailable(self.url, "its disk is gone")

    def summaries(self):  # type: ignore[no-untyped-def]
        self._may_fail()
        return super().summaries()


def test_a_store_that_fails_is_seen_and_the_scrape_goes_on() -> None:
    store = BrokenStore()
    store.append("a", Batch(producer=Producer(id="p"), sequence=0, bodies=[rows(0, 3)]))
    with standalone(store, limits=Limits(list_s=0.0)) as mount:
        assert Scrape(mount).of("store_readable") == 1
        assert Scrape(mount).of("sessions", status="running") == 1
        store.broken = True
        scrape = Scrape(mount)
        assert scrape.of("store_readable") == 0
        assert not [labels for name, labels in scrape.samples if name == "sessions"]
        assert Scrape(mount).of("store_errors_total", error="StoreUnavailable") >= 1
        store.broken = False
        assert Scrape(mount).of("store_readable") == 1


def test_it_says_what_runs_and_nothing_is_registered_for_the_whole_process(mount: Mount) -> None:
    scrape = Scrape(mount)
    (build,) = (dict(labels) for name, labels in scrape.samples if name == "build_info")
    assert set(build) == {"version", "protocol", "python"}
    assert scrape.of("process_resident_memory_bytes") > 1_000_000
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("forge_widgets")]


def test_every_metric_is_listed_in_the_docs_and_no_other_is(mount: Mount) -> None:
    told = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(Scrape(mount).text)
        if family.name.startswith("forge_widgets")
    }
    assert set(re.findall(r"^\| `(forge_widgets_\w+)", DOCS.read_text(), re.MULTILINE)) == told


def test_a_method_that_nobody_knows_makes_no_label_of_its_own(standalone_mount: Mount) -> None:
    assert standalone_mount.ask("BREW", "/api/health").status_code == 405
    assert 'method="BREW"' not in Scrape(standalone_mount).text
    assert 'method="other"' in Scrape(standalone_mount).text
