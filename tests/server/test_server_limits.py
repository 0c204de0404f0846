"""Every limit against a real server: what is just under passes, what is just over is refused as documented, and changes nothing."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from traitlets.config import Config
from websockets.exceptions import ConnectionClosed

from forge_widgets.core.steps import block_of
from forge_widgets.errors import InvalidInput, StoreUnavailable
from forge_widgets.server.extension import ForgeWidgetsExtension
from forge_widgets.server.limits import Limits
from forge_widgets.server.settings import limits_of, settings
from forge_widgets.stores import Summary
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.sqlite import SqliteStore
from tests.server.mounts import Json, Mount, event, in_jupyter, standalone, until

SMALL = Limits(
    heartbeat_s=0.5,
    max_body_bytes=2_000,
    max_inflated_bytes=3_000,
    max_message_bytes=200,
    max_depth=4,
    max_metrics=3,
    max_text_chars=50,
    max_phase_chars=10,
    max_key_chars=12,
    max_rooms=2,
    max_wait_s=0.5,
)

_PRODUCER = {"id": "p1"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with standalone(tmp_path_factory.mktemp("limits") / "store", limits=SMALL) as mount:
        yield mount


def update(body: Json) -> Callable[[Mount, str], requests.Response]:
    return lambda mount, session_id: mount.post(f"/api/progress/{session_id}/update", body)


def padded(size: int) -> Json:
    """Make a body of so many bytes as requests encodes it."""
    return {"unknown": "x" * (size - len(json.dumps({"unknown": ""})))}


def compressed(size: int) -> Callable[[Mount, str], requests.Response]:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(padded(size)).encode())
    return lambda mount, session_id: mount.ask("POST", f"/api/progress/{session_id}/update", data=body, headers=headers)


def records(*bodies: Json) -> Callable[[Mount, str], requests.Response]:
    batch = {"producer": _PRODUCER, "sequence": 1, "bodies": list(bodies)}
    return lambda mount, session_id: mount.post(f"/api/sessions/{session_id}/records", batch)


def event_of(**fields: Any) -> Json:
    return {"event": {"eventType": "alert", "timestamp": 1.0, **fields}}


def metrics(count: int) -> dict[str, float]:
    return {f"m{number}": 1.0 for number in range(count)}


def rows_of(count: int) -> Json:
    return {"rows": {"timestamps": [1.0], "columns": {name: [1.0] for name in metrics(count)}, "thinned": 0}}


Send = Callable[[Mount, str], requests.Response]

OVER: dict[str, tuple[Send, Send, int]] = {
    "max_body_bytes": (update(padded(2_000)), update(padded(2_001)), 413),
    "max_inflated_bytes": (compressed(3_000), compressed(3_001), 413),
    "max_depth": (update({"a": [[[1]]]}), update({"a": [[[[1]]]]}), 400),
    "max_metrics": (update({"metrics": metrics(3)}), update({"metrics": metrics(4)}), 422),
    "max_metrics of an event": (records(event_of(metrics=metrics(3))), records(event_of(metrics=metrics(4))), 422),
    "max_metrics of rows": (records(rows_of(3)), records(rows_of(4)), 422),
    "max_text_chars": (update({"message": "x" * 50}), update({"message": "x" * 51}), 422),
    "max_text_chars of an event": (records(event_of(message="x" * 50)), records(event_of(message="x" * 51)), 422),
    "max_text_chars of an error": (
        lambda mount, session_id: mount.post(f"/api/progress/{session_id}/error", {"error": "x" * 50}),
        lambda mount, session_id: mount.post(f"/api/progress/{session_id}/error", {"error": "x" * 51}),
        422,
    ),
    "max_phase_chars": (
        update({"eventType": "phase_completed", "phase": "p" * 10}),
        update({"eventType": "phase_completed", "phase": "p" * 11}),
        422,
    ),
    "max_key_chars": (update({"idempotencyKey": "k" * 12}), update({"idempotencyKey": "k" * 13}), 422),
}


@pytest.mark.parametrize("limit", OVER)
def test_just_under_a_limit_passes_and_just_over_it_changes_nothing(
    small: Mount, new_id: Callable[[], str], limit: str
) -> None:
    under, over, status = OVER[limit]
    first, second = new_id(), new_id()
    assert under(small, first).status_code == 200
    assert small.get(f"/api/progress/{first}").status_code == 200
    refused = over(small, second)
    assert refused.status_code == status, refused.text
    assert "expected at most" in refused.json()["error"]
    assert small.get(f"/api/progress/{second}").status_code == 404


def test_a_message_over_the_limit_closes_the_connection(small: Mount) -> None:
    message = json.dumps({"type": "ping", "more": ""})
    with small.socket("/ws") as socket:
        socket.connection.send(message[:-2] + "x" * (200 - len(message)) + message[-2:])
        assert socket.hear()["type"] == "pong"
        socket.connection.send(message[:-2] + "x" * (201 - len(message)) + message[-2:])
        with pytest.raises(ConnectionClosed):
            socket.hear()
        assert socket.connection.close_code == 1009


def test_a_message_nested_too_deep_is_answered_with_an_error(small: Mount) -> None:
    with small.socket("/ws") as socket:
        socket.say(type="ping", more=[[[1]]])
        assert socket.hear()["type"] == "pong"
        socket.say(type="ping", more=[[[[1]]]])
        assert "at most 4 levels of nesting" in socket.hear()["error"]


def test_one_room_too_many_is_refused_and_the_others_go_on(small: Mount, new_id: Callable[[], str]) -> None:
    rooms = [new_id() for _ in range(3)]
    with small.socket("/ws") as socket:
        for room in rooms[:2]:
            socket.say(type="join_room", sessionId=room)
            assert socket.hear()["type"] == "session_joined"
        socket.say(type="join_room", sessionId=rooms[2])
        assert "expected at most 2 rooms" in socket.hear()["error"]
        small.append(rooms[2], event("alert"))
        small.append(rooms[0], event("training_started"))
        assert socket.hear_type("progress_update")["sessionId"] == rooms[0]
        socket.say(type="leave_room", sessionId=rooms[0])
        socket.hear_type("room_left")
        socket.say(type="join_room", sessionId=rooms[2])
        assert socket.hear_type("session_joined")["sessionId"] == rooms[2]


def test_a_poll_waits_no_longer_than_the_limit(small: Mount, session_id: str) -> None:
    events = f"/api/sessions/{session_id}/events?protocol=1&wait="
    assert small.get(events + "0.5").status_code == 200
    refused = small.get(events + "0.6")
    assert (refused.status_code, " in wait: expected a number from 0 to 0.5" in refused.json()["error"]) == (422, True)


def test_one_connection_too_many_is_told_to_come_back_later(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_connections=2)) as mount:
        with mount.socket("/ws/a") as first, mount.socket("/ws/b?protocol=1") as second:
            with mount.socket("/ws/c") as third, pytest.raises(ConnectionClosed):
                third.hear()
            assert third.connection.close_code == 4429
            assert 4000 <= third.connection.close_code < 4500
            for socket in (first, second):
                socket.say(type="ping")
                socket.hear_type("pong")
            until(lambda: mount.get("/api/health").json()["sessions"] == ["a", "b"])
        until(lambda: not mount.context.hub.connections)
        with mount.socket("/ws/c") as again:
            assert again.hear()["type"] == "session_joined"


def test_one_session_too_many_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=Limits(max_sessions=2)) as mount:
        mount.update("a", metrics={"loss": 1.0})
        assert records(event_of())(mount, "b").status_code == 200
        for send in (
            update({"metrics": {"loss": 1.0}}),
            records(event_of()),
            update({"eventType": "training_started"}),
        ):
            refused = send(mount, "c")
            assert refused.status_code == 507, refused.text
            assert "there are 2 sessions or more" in refused.json()["error"]
        assert mount.post("/api/progress/c/error", {"error": "x"}).status_code == 507
        assert mount.get("/api/progress/c").status_code == 404
        mount.update("a", metrics={"loss": 0.5})
        assert records(event_of())(mount, "b").status_code == 200
        # A training that writes to the store itself is not asked, and the server records to what it began.
        mount.append("d", event("training_started"))
        mount.update("d", metrics={"loss": 0.5})
        for name in ("a", "b"):
            assert mount.ask("DELETE", f"/api/sessions/{name}").status_code == 200
        mount.update("c", metrics={"loss": 1.0})
        assert update({})(mount, "a").status_code == 507


def test_sessions_that_begin_at_once_are_counted_one_after_the_other(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with standalone(tmp_path / "store", limits=Limits(max_sessions=5)) as mount, ThreadPoolExecutor(12) as threads:
        sent = [threads.submit(update({"metrics": {"loss": 1.0}}), mount, f"s{number}") for number in range(12)]
        statuses = sorted(one.result().status_code for one in sent)
        assert statuses == [200] * 5 + [507] * 7
        assert mount.get("/api/sessions").json()["total"] == 5


@pytest.mark.parametrize("limits", [Limits(max_sessions=None, max_connections=None)])
def test_none_is_no_limit(tmp_path: Path, limits: Limits) -> None:
    with standalone(tmp_path / "store", limits=limits) as mount, mount.socket("/ws/a") as socket:
        mount.update("a", metrics={"loss": 1.0})
        socket.hear_type("progress_update")


def test_steps_that_come_too_fast_are_told_to_wait_and_events_are_not(tmp_path: Path) -> None:
    for limits in (
        Limits(publish_rows_per_s=0.1, publish_burst_s=20.0, publish_requests_per_s=None),
        Limits(publish_requests_per_s=0.1, publish_burst_s=20.0, publish_rows_per_s=None),
    ):
        with standalone(MemoryStore(), limits=limits) as mount:
            step = update({"metrics": {"loss": 1.0}})
            assert [step(mount, "a").status_code for _ in range(4)] == [200, 200, 200, 429]
            refused = step(mount, "a")
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
            assert update({"eventType": "phase_completed", "phase": "x"})(mount, "a").status_code == 200
            read = mount.context.store.read("a", 0)
            assert read is not None
            assert read.top == 4


# --- the quota on the disk -----------------------------------------------------------------------


def fill(mount: Mount, name: str, *, ends: bool, at: float, blocks: int = 40) -> None:
    """Record a training of a few hundred kilobytes; ``at`` is when it ended, in seconds before now."""
    end = time.time() - at
    for number in range(blocks):
        steps = range(number * 1_000, (number + 1) * 1_000)
        mount.append(
            name, block_of((end - 1e5 + step, {"currentStep": float(step), "loss": 1.0 / (1 + step)}) for step in steps)
        )
    mount.append(name, event("training_error", end, error="x") if ends else event("alert", end))


def floor(mount: Mount, name: str) -> int | None:
    read = mount.context.store.read(name, 0, 1)
    return None if read is None else read.floor


def test_a_server_over_its_quota_trims_the_oldest_finished_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with standalone(tmp_path / "store") as mount:
        for age, name in enumerate(("young", "new", "old", "running")):
            fill(mount, name, ends=name != "running", at=0.0 if name == "young" else 10_000.0 * age)
    store = SqliteStore(tmp_path / "store")  # once the server has gone, all is in the files
    total = sum(store.bytes_on_disk(summary.session_id) for summary in store.summaries())
    store.close()
    limits = Limits(disk_quota_bytes=total - 100_000, upkeep_s=0.2)
    with caplog.at_level(logging.WARNING), standalone(tmp_path / "store", limits=limits) as mount:
        until(lambda: (floor(mount, "old") or 0) > 1)
        assert mount.get("/api/progress/old").json()["status"] == "error"
        assert [floor(mount, name) for name in ("young", "new", "running")] == [1, 1, 1]
    assert "session old was trimmed, its last state is kept" in caplog.text


def test_what_is_watched_is_left_alone_and_a_store_that_stays_over_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(disk_quota_bytes=1, upkeep_s=0.1)
    with caplog.at_level(logging.WARNING), standalone(tmp_path / "store", limits=limits) as mount:
        with mount.socket("/ws/watched?protocol=1") as viewer:
            viewer.hear_type("frame")
            fill(mount, "watched", ends=True, at=10_000.0, blocks=3)
            viewer.hear_until(lambda message: message.get("to") == 3_001)
            until(lambda: "are watched or are young" in caplog.text)
            assert floor(mount, "watched") == 1
        until(lambda: floor(mount, "watched") is None)
    assert "session watched was deleted" in caplog.text


def test_without_a_quota_nothing_is_ever_dropped(tmp_path: Path) -> None:
    with standalone(tmp_path / "store") as mount:
        assert Limits().disk_quota_bytes is None
        assert mount.context.upkeep is None


def test_a_store_that_is_on_no_disk_says_that_it_has_no_quota(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), standalone(MemoryStore(), limits=Limits(disk_quota_bytes=1)) as mount:
        assert mount.context.upkeep is None
    assert "keeps nothing on a disk of this machine" in caplog.text


class Failing(SqliteStore):
    """A store that can't list its sessions twice, for two reasons."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.failures: list[Exception] = [StoreUnavailable(self.url, "it is locked"), ValueError("nobody foresaw this")]

    def summaries(self) -> list[Summary]:
        if self.failures:
            raise self.failures.pop(0)
        return super().summaries()


def test_a_store_that_can_not_be_listed_now_is_kept_within_its_quota_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with standalone(tmp_path / "store") as mount:
        fill(mount, "old", ends=True, at=10_000.0, blocks=3)
    store, limits = Failing(tmp_path / "store"), Limits(disk_quota_bytes=1, upkeep_s=0.1)
    with caplog.at_level(logging.WARNING), standalone(store, limits=limits) as mount:
        until(lambda: floor(mount, "old") is None)
    assert "it is locked" in caplog.text
    assert "nobody foresaw this" in caplog.text


# --- how they are set ----------------------------------------------------------------------------


def test_limits_are_read_from_texts() -> None:
    found = limits_of(["max_rooms=50", " max_sessions = none ", "frames_per_s=2.5", "disk_quota_bytes=5000000"])
    assert (found.max_rooms, found.max_sessions, found.frames_per_s) == (50, None, 2.5)
    assert found.disk_quota_bytes == 5_000_000
    assert limits_of([]) == Limits()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_roms=5", "'max_roms=5' is no limit in --limit: expected max_rooms=VALUE, perhaps"),
        ("max_rooms", "'max_rooms' has no value in --limit: expected max_rooms=VALUE"),
        ("store_threads=5", "is no limit"),
        ("max_rooms=many", "'many' can't be used in max_rooms: expected a whole number from 1"),
        ("max_rooms=1.5", "'1.5' can't be used in max_rooms"),
        ("max_rooms=0", "'0' can't be used in max_rooms"),
        ("max_rooms=none", "'none' can't be used in max_rooms"),
        ("max_sessions=0", "expected a whole number from 1, or none"),
        ("frames_per_s=nan", "expected a number from 0.1 to 100"),
        ("publish_rows_per_s=inf", "expected a number from 0.1, or none"),
        ("frames_per_s=101", "expected a number from 0.1 to 100"),
    ],
)
def test_what_is_no_limit_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        limits_of([text])
    assert said in str(caught.value)


def test_jupyter_takes_each_as_a_trait(tmp_path: Path) -> None:
    with in_jupyter(tmp_path / "store", tmp_path, max_rooms=1, disk_quota_bytes=50_000_000, max_sessions=None) as mount:
        limits = mount.context.limits
        assert (limits.max_rooms, limits.disk_quota_bytes, limits.max_sessions) == (1, 50_000_000, None)
        assert mount.context.upkeep is not None
    for setting in settings():
        config = Config({"ForgeWidgetsExtension": {setting.name: setting.words.least}})
        assert getattr(ForgeWidgetsExtension(config=config), setting.name) == setting.words.least


def test_the_document_lists_every_limit() -> None:
    text = (Path(__file__).parents[2] / "docs" / "LIMITS.md").read_text()
    lines = [
        f"| `{setting.name}` | {setting.default_words if setting.default is None else f'{setting.default:,.15g}'} "
        f"| {setting.words.said} |"
        for setting in settings()
    ]
    assert "\n".join(lines) in text, "docs/LIMITS.md should hold these lines:\n" + "\n".join(lines)
