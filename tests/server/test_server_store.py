"""The routes of the store over HTTP, in both mounts, as a client without our library sees them; and what is refused there."""

from __future__ import annotations

import functools
import gzip
import json
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from forge_widgets.core.events import Body
from forge_widgets.errors import RateLimited
from forge_widgets.server.failures import BodyTooLarge, MalformedBody, WrongContentType
from forge_widgets.server.inflate import inflate
from forge_widgets.server.limits import Limits
from forge_widgets.server.rates import MAX_CLIENTS, MAX_DEBT_S, PublishRates
from forge_widgets.stores.memory import MemoryStore
from tests.server.mounts import TOKEN, Mount, event, rows, standalone

Json = dict[str, Any]

START: Json = {"event": {"eventType": "training_started", "timestamp": 1.0}}


def steps(first: int, stop: int) -> Json:
    numbers = list(range(first, stop))
    return {
        "rows": {
            "timestamps": [1.0 + n for n in numbers],
            "columns": {"currentStep": numbers, "loss": [0.5] * len(numbers)},
        }
    }


def batch(sequence: int, *bodies: Json, producer: str = "p") -> Json:
    return {"producer": {"id": producer}, "sequence": sequence, "bodies": list(bodies)}


def post(mount: Mount, session_id: str, document: object) -> requests.Response:
    return mount.post(f"/api/sessions/{session_id}/records", document)


def test_a_batch_is_answered_with_a_receipt_and_read_again(mount: Mount, session_id: str) -> None:
    answer = post(mount, session_id, batch(1, START, steps(0, 3)))
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert {key: receipt[key] for key in ("top", "sequence", "attempt", "repeated")} == {
        "top": 4, "sequence": 4, "attempt": 1, "repeated": 0,
    }  # fmt: skip
    assert post(mount, session_id, batch(1, START, steps(0, 3))).json()["repeated"] == 4
    read = mount.get(f"/api/sessions/{session_id}/records?after=1").json()
    assert (read["epoch"], read["floor"], read["top"]) == (receipt["epoch"], 1, 4)
    assert [record["rows"]["columns"]["currentStep"] for record in read["records"]] == [[0, 1, 2]]
    assert "base" not in read


def test_a_hole_is_answered_409_with_what_is_expected_and_changes_nothing(mount: Mount, session_id: str) -> None:
    post(mount, session_id, batch(1, START, steps(0, 3)))
    answer = post(mount, session_id, batch(7, steps(5, 9)))
    assert answer.status_code == 409
    assert answer.json()["expected"] == 5
    assert "expected 5" in answer.json()["error"]
    assert mount.get(f"/api/sessions/{session_id}/snapshot").json()["offset"] == 4


def test_whoever_watches_sees_what_comes_in_over_http(mount: Mount, session_id: str) -> None:
    with mount.socket(f"/ws/{session_id}?protocol=1") as viewer:
        viewer.hear_type("frame")
        post(mount, session_id, batch(1, START, steps(0, 3)))
        heard = viewer.hear_until(lambda message: message.get("to") == 4)
        assert heard


def test_records_are_read_in_parts_and_compressed_for_who_takes_that(mount: Mount, session_id: str) -> None:
    for first in range(0, 400, 100):
        post(mount, session_id, batch(first + 1, steps(first, first + 100)))
    read = mount.get(f"/api/sessions/{session_id}/records?max_rows=150")
    assert read.headers["Content-Encoding"] == "gzip"
    assert [record["offset"] for record in read.json()["records"]] == [1, 101]
    plain = mount.get(f"/api/sessions/{session_id}/records", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert len(plain.json()["records"]) == 4
    for wrong in ("after=-1", "after=1.5", "max_rows=x"):
        assert mount.get(f"/api/sessions/{session_id}/records?{wrong}").status_code == 422


def test_the_rest_of_the_store_answers_too(mount: Mount, session_id: str) -> None:
    store = mount.get("/api/store").json()
    assert (store["storeId"], store["protocol"]) == (mount.context.store.store_id, 1)
    post(mount, session_id, batch(1, START, steps(0, 3)))
    version = mount.get(f"/api/sessions/{session_id}/version").json()
    assert mount.get(f"/api/sessions/{session_id}/version").json() == version
    beat = {"producer": "p", "beat": 5.0, "unsaved": 3, "reason": "full"}
    assert mount.ask("PUT", f"/api/sessions/{session_id}/heartbeats", json=beat).json()["status"] == "heard"
    (heard,) = mount.get(f"/api/sessions/{session_id}/heartbeats").json()["heartbeats"]
    assert {key: heard[key] for key in beat} == beat
    assert mount.post(f"/api/sessions/{session_id}/trim", {"upto": 2}).json() == {"floor": 3}
    assert mount.get(f"/api/sessions/{session_id}/version").json() != version
    assert mount.get(f"/api/sessions/{session_id}/records").json()["base"]["attempt"] == 1
    listed = mount.get("/api/store/summaries").json()["summaries"]
    (summary,) = [one for one in listed if one["sessionId"] == session_id]
    assert summary["state"]["rows"] == 3


@pytest.mark.parametrize("rest", ["records", "snapshot", "version"])
def test_an_unknown_session_is_404_and_named(mount: Mount, session_id: str, rest: str) -> None:
    answer = mount.get(f"/api/sessions/{session_id}/{rest}")
    assert (answer.status_code, answer.json()) == (404, {"error": "Session not found", "sessionId": session_id})
    assert mount.post(f"/api/sessions/{session_id}/trim", {"upto": 1}).status_code == 404
    assert mount.get(f"/api/sessions/{session_id}/heartbeats").json() == {"heartbeats": []}


@pytest.mark.parametrize("rest", ["records", "snapshot", "version", "heartbeats", "trim"])
def test_nobody_gets_in_without_the_token(mount: Mount, session_id: str, rest: str) -> None:
    for verb, body in (("GET", None), ("POST", batch(1, START)), ("PUT", {"producer": "p"})):
        answer = requests.request(verb, f"{mount.url}/api/sessions/{session_id}/{rest}", json=body, timeout=10)
        assert answer.status_code in (403, 405), (verb, answer.status_code)
    assert requests.get(f"{mount.url}/api/store/summaries", timeout=10).status_code == 403
    assert mount.context.store.snapshot(session_id) is None


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"producer": {"id": "p"}, "sequence": 1},
        batch(-1, START),
        batch(1, {}),
        batch(1, {"event": {"eventType": "nothing", "timestamp": 1}}),
        batch(1, {"rows": {"timestamps": [2, 1], "columns": {}}}),
        batch(1, {"rows": {"timestamps": [1], "columns": {f"m{n}": [1] for n in range(1_001)}}}),
        batch(1, {"event": {"eventType": "alert", "timestamp": 1, "message": "x" * 100_001}}),
    ],
)
def test_a_batch_that_can_not_be_used_is_422_and_changes_nothing(
    mount: Mount, session_id: str, document: object
) -> None:
    answer = post(mount, session_id, document)
    assert answer.status_code == 422, answer.text
    assert "expected" in answer.json()["error"]
    assert mount.context.store.snapshot(session_id) is None
    assert mount.ask("PUT", f"/api/sessions/{session_id}/heartbeats", json={}).status_code == 422


@pytest.mark.parametrize("text", ["", "{", '{"producer": NaN}', "[" * 100_000, '{"sequence": 1e400}'])
def test_what_is_no_json_is_refused_and_the_server_lives(mount: Mount, session_id: str, text: str) -> None:
    assert mount.ask("POST", f"/api/sessions/{session_id}/records", data=text).status_code in (400, 422, 415)
    assert mount.get("/api/store").status_code == 200


def test_a_compressed_body_is_taken_by_every_route(mount: Mount, session_id: str) -> None:
    coded = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    sent = gzip.compress(json.dumps(batch(1, START, steps(0, 500))).encode())
    assert mount.ask("POST", f"/api/sessions/{session_id}/records", data=sent, headers=coded).json()["top"] == 501
    update = gzip.compress(b'{"metrics": {"loss": 0.25}}')
    assert mount.ask("POST", f"/api/progress/{session_id}/update", data=update, headers=coded).status_code == 200
    assert mount.get(f"/api/progress/{session_id}").json()["metrics"]["loss"] == 0.25


def test_a_bomb_is_413_and_takes_no_memory(mount: Mount, session_id: str) -> None:
    coded = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    bomb = _bomb()
    assert len(bomb) < mount.context.limits.max_body_bytes
    before = _memory_kb()
    for _ in range(5):
        answer = mount.ask("POST", f"/api/sessions/{session_id}/records", data=bomb, headers=coded)
        assert answer.status_code == 413, answer.text
    assert _memory_kb() - before < 100_000


@functools.cache
def _bomb() -> bytes:
    """Pack 200 MB of zeros."""
    packer = zlib.compressobj(6, wbits=31)
    zeros = bytes(1_000_000)
    return b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()


def _memory_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def test_inflating_stops_at_the_limit_and_takes_one_whole_member() -> None:
    packed = gzip.compress(b"x" * 1_000)
    assert inflate(b"x", "", 10) == inflate(b"x", "identity", 10) == b"x"
    assert inflate(packed, "GZIP", 1_000) == b"x" * 1_000
    with pytest.raises(BodyTooLarge):
        inflate(packed, "gzip", 999)
    for cut in (packed[:-1], packed[:5], b"", packed + b"more", b"no gzip at all"):
        with pytest.raises(MalformedBody):
            inflate(cut, "gzip", 1_000)
    with pytest.raises(WrongContentType, match="'br' can't be used"):
        inflate(packed, "br", 1_000)


# --- rates --------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def rates(clock: Clock, **limits: float | None) -> PublishRates:
    defaults: dict[str, Any] = {"publish_rows_per_s": 10.0, "publish_requests_per_s": None, "publish_burst_s": 2.0}
    return PublishRates(Limits(**{**defaults, **limits}), clock)


def test_a_large_batch_is_let_in_and_paid_back_before_the_next() -> None:
    clock = Clock()
    bucket = rates(clock)
    bucket.let_in("a", 70, steps=True)  # 20 were there
    with pytest.raises(RateLimited) as raised:
        bucket.let_in("a", 1, steps=True)
    assert raised.value.retry_after_s == pytest.approx(5.1)
    bucket.let_in("b", 1, steps=True)
    clock.now += raised.value.retry_after_s
    bucket.let_in("a", 1, steps=True)


def test_events_are_let_in_whatever_is_owed_and_a_debt_has_an_end() -> None:
    clock = Clock()
    bucket = rates(clock)
    for _ in range(100):
        bucket.let_in("a", 1_000, steps=False)
    with pytest.raises(RateLimited) as raised:
        bucket.let_in("a", 1, steps=True)
    assert raised.value.retry_after_s <= MAX_DEBT_S + 1


def test_what_is_refused_is_not_counted() -> None:
    clock = Clock()
    bucket = rates(clock, publish_rows_per_s=None, publish_requests_per_s=1.0, publish_burst_s=1.0)
    bucket.let_in("a", 10_000, steps=True)
    for _ in range(50):
        with pytest.raises(RateLimited):
            bucket.let_in("a", 1, steps=True)
    clock.now += 1.1
    bucket.let_in("a", 1, steps=True)


def test_a_rate_of_none_lets_everything_in_and_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = rates(Clock(), publish_rows_per_s=None)
    for number in range(MAX_CLIENTS + 10):
        bucket.let_in(str(number), 10**9, steps=True)
    assert len(bucket._clients) == MAX_CLIENTS


def test_steps_beyond_the_rate_are_429_and_events_are_not(tmp_path: Path) -> None:
    limits = Limits(publish_rows_per_s=1.0, publish_requests_per_s=None, publish_burst_s=1.0)
    with standalone(tmp_path / "store", limits=limits) as mount:
        assert post(mount, "s", batch(1, START, steps(0, 10))).status_code == 200
        refused = post(mount, "s", batch(12, steps(10, 11)))
        assert refused.status_code == 429
        assert float(refused.headers["Retry-After"]) >= refused.json()["retryAfter"] > 1
        assert refused.headers["Retry-After"].isdigit()
        assert post(mount, "s", batch(12, {"event": {"eventType": "alert", "timestamp": 2.0}})).status_code == 200
        update = "/api/progress/s/update"
        assert mount.post(update, {"metrics": {"loss": 1}}).status_code == 429
        assert mount.post(update, {"eventType": "step_update", "message": "words"}).status_code == 429
        for kind in ("training_started", "model_completed", "phase_completed", "training_error"):
            assert mount.post(update, {"eventType": kind}).status_code == 200
        assert mount.post("/api/progress/s/error", {"error": "boom"}).status_code == 200
        assert mount.ask("PUT", "/api/sessions/s/heartbeats", json={"producer": "p"}).status_code == 200
        read = mount.get("/api/sessions/s/snapshot")
        assert read.json()["state"]["rows"] == 10
        assert mount.context.store.read("s", 0).top == 17  # type: ignore[union-attr]


def test_what_another_producer_records_beside_it_is_in_the_same_log(
    mount: Mount, session_id: str, new_id: Callable[[], str]
) -> None:
    bodies: list[Body] = [event("training_started"), rows(0, 5)]
    mount.append(session_id, *bodies, producer="local", sequence=1)
    assert post(mount, session_id, batch(1, steps(0, 2), producer="far")).json()["top"] == 8


class Asked(MemoryStore):
    """A store that notes which threads ask who it is."""

    def __init__(self) -> None:
        super().__init__()
        self.by: set[str] = set()

    @property
    def store_id(self) -> str:
        self.by.add(threading.current_thread().name)
        return super().store_id


def test_the_stores_id_is_never_asked_for_on_the_event_loop() -> None:
    for ask in ("/api/health", "/api/sessions", "/api/store", "/api/sessions/s/events", "/ws/s?protocol=1"):
        store = Asked()
        with standalone(store) as mount:
            mount.append("s", event("training_started"))
            if ask.startswith("/ws"):
                with mount.socket(ask) as viewer:
                    told = viewer.hear_type("welcome")
            else:
                told = mount.get(ask).json()
            assert told["storeId"] == store._store_id
            assert all(name.startswith("forge-store") for name in store.by), ask


def test_a_second_server_shows_and_records_what_lies_in_the_first_ones_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_WIDGETS_TOKEN", TOKEN)
    with standalone(tmp_path / "store") as first, standalone(first.url) as second:
        first.append("s", event("training_started"), rows(0, 5), producer="p", sequence=1)
        assert second.get("/api/health").json()["storeId"] == first.context.store.store_id
        assert second.get("/api/progress/s").json()["metrics"]["currentStep"] == 4
        assert [one["sessionId"] for one in second.get("/api/sessions").json()["sessions"]] == ["s"]
        with second.socket("/ws/s?protocol=1") as viewer:
            viewer.hear_type("frame")
            first.append("s", rows(5, 10), producer="p", sequence=7)
            viewer.hear_until(lambda message: message.get("to") == 11)
            second.update("s", metrics={"loss": 0.125})
            viewer.hear_until(lambda message: message.get("to") == 12)
        assert post(second, "s", batch(20, steps(20, 21), producer="p")).json()["expected"] == 12
        assert first.get("/api/progress/s").json()["metrics"]["loss"] == 0.125
