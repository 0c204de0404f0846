"""A session is read only while somebody watches it, once for all viewers, whatever becomes of store and producers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.packing import pack
from forge_widgets.core.subscription import Slice
from forge_widgets.errors import StoreUnavailable
from forge_widgets.server import sent
from forge_widgets.server.connection import Connection
from forge_widgets.server.ends import SocketEnd
from forge_widgets.server.limits import Limits
from forge_widgets.server.sent import Sent
from forge_widgets.stores import Snapshot
from forge_widgets.stores.memory import MemoryStore
from forge_widgets.stores.processes import this_host
from tests.server.mounts import Mount, event, rows, standalone, until

FAST = Limits(heartbeat_s=0.3, beat_s=0.05, liveness_s=0.1, gone_s=0.3, trouble_poll_s=0.05)


class WatchfulStore(MemoryStore):
    """A store that counts how it is read, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        # Where each read started.
        self.reads: list[int] = []
        self.failure: Exception | None = None

    def version(self, session_id: str) -> object:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return super().version(session_id)

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        self.reads.append(after)
        return super().read(session_id, after, max_rows)

    def snapshot(self, session_id: str) -> Snapshot | None:
        if self.failure is not None:
            raise self.failure
        return super().snapshot(session_id)


@pytest.fixture
def store() -> WatchfulStore:
    return WatchfulStore()


@pytest.fixture
def watchful(store: WatchfulStore) -> Iterator[Mount]:
    with standalone(store, limits=FAST) as mount:
        yield mount


def pass_time(mount: Mount, seconds: float) -> None:
    """Let the server's loop run so long: there is no other way to see that nothing happens."""
    mount.on_loop(lambda: asyncio.sleep(seconds))


def test_a_session_is_read_only_while_somebody_watches(watchful: Mount, store: WatchfulStore) -> None:
    watchful.append("a", rows(0, 5))
    pass_time(watchful, 0.3)
    assert (store.looks, store.reads) == (0, [])
    with watchful.socket("/ws/a") as socket:
        socket.hear()
        until(lambda: store.looks > 5)
    until(lambda: watchful.context.hub.viewers("a") == 0)
    pass_time(watchful, 0.1)  # what a thread had begun
    looks = store.looks
    pass_time(watchful, 0.4)
    assert store.looks == looks


def test_many_viewers_share_one_reading(watchful: Mount, store: WatchfulStore) -> None:
    with watchful.socket("/ws/a?protocol=1") as first, watchful.socket("/ws/a?protocol=1") as second:
        sockets = [first, second]
        for socket in sockets:
            socket.hear_type("frame")
        watchful.append("a", rows(0, 5))
        assert [socket.hear_type("frame")["to"] for socket in sockets] == [5, 5]
    assert store.reads == [0]


def test_viewers_at_the_same_cursor_share_one_encoded_frame(watchful: Mount) -> None:
    watchful.append("a", rows(0, 5))

    async def ask() -> tuple[Sent | None, Sent | None, Sent | None]:
        wake = asyncio.Event()
        with watchful.context.hub.watching("a", wake) as watched:
            await watched.fresh()
            first, second = await asyncio.gather(watched.frame_after(None), watched.frame_after(None))
            watchful.append("a", rows(5, 6))
            watched.nudge()
            while watched.cursor.offset < 6:
                wake.clear()
                await wake.wait()
            return first, second, await watched.frame_after(None)

    first, second, later = watchful.on_loop(ask)
    assert first is not None
    assert first is second
    assert later is not None
    assert later.cursor.offset == 6


def test_a_frame_is_packed_once_for_all_viewers_at_one_cursor_whichever_way_they_came(
    watchful: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[bytes] = []

    def count(text: bytes) -> bytes:
        packed.append(text)
        return pack(text)

    monkeypatch.setattr(sent, "pack", count)
    watchful.append("a", rows(0, 500))
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(watchful.socket("/ws/a?protocol=1&encoding=deflate", compression=None))
            for _ in range(8)
        ]
        frames = {next(m for m in iter(socket.connection.recv, None) if isinstance(m, bytes)) for socket in sockets}
        assert len(frames) == 1
        for _ in range(4):
            watchful.get("/api/sessions/a/events", headers={"Accept-Encoding": "gzip"})
        assert len(packed) == 1
        watchful.append("a", rows(500, 700))
        for socket in sockets:
            next(m for m in iter(socket.connection.recv, None) if isinstance(m, bytes))
        assert len(packed) == 2


def test_who_comes_back_soon_makes_nobody_read_again_what_was_read(watchful: Mount, store: WatchfulStore) -> None:
    watchful.append("a", rows(0, 5))
    for _ in range(3):
        assert watchful.get("/api/sessions/a/events").json()["frame"]["to"] == 5
    watchful.append("a", rows(5, 7))
    assert watchful.get("/api/sessions/a/events").json()["frame"]["to"] == 7
    assert store.reads == [0, 5]


def test_what_was_read_is_forgotten_after_a_while(store: WatchfulStore) -> None:
    with standalone(store, limits=Limits(linger_s=0.05)) as mount:
        mount.append("a", rows(0, 5))
        mount.get("/api/sessions/a/events")
        until(lambda: not mount.context.hub._watched)
        mount.get("/api/sessions/a/events")
    assert store.reads == [0, 0]


def test_a_long_log_is_read_in_parts(store: WatchfulStore) -> None:
    with standalone(store, limits=Limits(rows_a_read=10)) as mount:
        for start in range(0, 100, 10):
            mount.append("a", rows(start, start + 10))
        assert mount.get("/api/sessions/a/events").json()["frame"]["to"] == 100
    assert store.reads == list(range(0, 100, 10))


# --- producers -----------------------------------------------------------------------------------


def gone_process() -> int:
    """Return the number of a process that has just ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    return ended.pid


def beat_of(gone: int, **fields: object) -> Heartbeat:
    values: dict[str, object] = {"producer": "p1", "attempt": 1, "pid": gone, "host": this_host(), "beat": time.time()}
    return Heartbeat(**{**values, **fields})  # type: ignore[arg-type]


def lost_events(mount: Mount, session_id: str) -> int:
    read = mount.context.store.read(session_id, 0)
    assert read is not None
    return sum(getattr(record.body, "event_type", "") == "connection_lost" for record in read.records)


def test_a_training_that_goes_without_a_word_is_said_once_whoever_notices(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with standalone(folder, limits=FAST) as one, standalone(folder, limits=FAST) as two:
        one.append("a", event("training_started"), rows(0, 3))
        one.context.store.beat("a", beat_of(gone_process(), durable=4))
        with one.socket("/ws/a") as first, two.socket("/ws/a") as second, two.socket("/ws/a?protocol=1") as own:
            for socket in (first, second):
                lost = socket.hear_type("connection_lost")
                assert lost.items() >= {"sessionId": "a", "status": "running"}.items()
            own.hear_until(lambda message: message["type"] == "frame" and message["to"] == 5)
            pass_time(one, 0.5)
        assert lost_events(one, "a") == 1
        with one.socket("/ws/a") as late:
            assert [late.hear()["type"], late.hear()["type"]] == ["session_joined", "connection_lost"]
        one.append("a", rows(3, 4))
        with one.socket("/ws/a?protocol=1") as own:
            own.hear_until(lambda message: message["type"] == "frame" and message["state"]["lost"] is False)


@pytest.mark.parametrize("fields", [{"pid": os.getpid()}, {"pid": 0}, {"attempt": 7}])
def test_a_training_that_lives_or_whose_process_is_unknown_here_is_not_missed(
    watchful: Mount, fields: dict[str, object]
) -> None:
    watchful.append("a", event("training_started"))
    watchful.context.store.beat("a", beat_of(gone_process(), **fields))
    with watchful.socket("/ws/a") as socket:
        socket.hear()
        pass_time(watchful, 0.5)
    assert lost_events(watchful, "a") == 0


def test_a_list_shows_a_training_as_lost_although_nobody_watches_it(tmp_path: Path) -> None:
    with standalone(tmp_path / "store", limits=FAST) as mount:
        for name, pid in (("gone", gone_process()), ("here", os.getpid())):
            mount.append(name, event("training_started"))
            mount.context.store.beat(name, beat_of(pid))
        listed = {entry["sessionId"]: entry for entry in mount.get("/api/sessions").json()["sessions"]}
        assert {name: entry["lost"] for name, entry in listed.items()} == {"gone": True, "here": False}
        assert lost_events(mount, "gone") == 0


# --- sessions that go and come -------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?protocol=1"])
def test_a_session_deleted_by_somebody_else_closes_its_viewers(watchful: Mount, query: str) -> None:
    watchful.append("a", rows(0, 3))
    with watchful.socket(f"/ws/a{query}") as socket:
        socket.hear_type("frame" if query else "session_joined")
        watchful.context.store.delete("a")
        with pytest.raises(ConnectionClosed):
            socket.hear_until(lambda message: False)
        assert socket.connection.close_code == 1000


def test_a_log_that_begins_anew_is_shown_whole_and_says_that_something_is_missing(watchful: Mount) -> None:
    watchful.append("a", rows(0, 30))
    with watchful.socket("/ws/a?protocol=1") as socket, watchful.socket("/ws/a") as naive:
        socket.hear_type("frame")
        naive.hear_type("session_joined")
        watchful.context.store.delete("a")
        watchful.append("a", rows(0, 3))
        frame = socket.hear_type("frame")
        assert frame.items() >= {"key": True, "recovered": False, "to": 3}.items()
        assert frame["state"]["rows"] == 3
        assert naive.hear_type("progress_update")["metrics"]["currentStep"] == 2


# --- a store that fails --------------------------------------------------------------------------


def test_a_store_that_cannot_be_read_is_said_and_recovered_from(watchful: Mount, store: WatchfulStore) -> None:
    watchful.append("a", rows(0, 3))
    with watchful.socket("/ws/a?protocol=1") as connected:
        connected.hear_type("frame")
        store.failure = StoreUnavailable(store.url, "it is locked")
        connected.hear_until(lambda message: "it is locked" in message.get("reason", ""))
        with watchful.socket("/ws/b") as fresh:
            assert "it is locked" in fresh.hear_type("error")["error"]
            with pytest.raises(ConnectionClosed):
                fresh.hear()
            assert fresh.connection.close_code == 4103
        for path in ("/api/progress/a", "/api/sessions/b/events"):
            answer = watchful.get(path)
            assert (answer.status_code, "it is locked" in answer.json()["error"]) == (503, True)
        store.failure = None
        watchful.append("a", rows(3, 5))
        assert connected.hear_type("frame").items() >= {"from": 4, "to": 5}.items()
        connected.hear_until(lambda message: message.get("reason") == "")


def test_what_nobody_foresaw_says_nothing_of_itself(
    watchful: Mount, store: WatchfulStore, caplog: pytest.LogCaptureFixture
) -> None:
    watchful.append("a", rows(0, 3))
    store.failure = RuntimeError("a secret path")
    answer = watchful.get("/api/progress/a")
    assert (answer.status_code, answer.json()["error"]) == (500, "the server failed; its log says why")
    assert "a secret path" in caplog.text
    with watchful.socket("/ws/a") as socket:
        socket.hear_type("error")
        with pytest.raises(ConnectionClosed):
            socket.hear()
    store.failure = None
    with watchful.socket("/ws/a") as socket:
        assert socket.hear()["status"] == "running"


# --- viewers -------------------------------------------------------------------------------------


def test_a_viewer_that_never_reads_costs_at_most_a_frame(watchful: Mount) -> None:
    long = "x" * 500_000
    with watchful.socket("/ws/a?protocol=1", max_queue=1) as slow, watchful.socket("/ws/a?protocol=1") as quick:
        until(lambda: watchful.context.hub.viewers("a") == 2)
        top = 0
        for number in range(1, 31):
            watchful.append("a", event("annotation", message=long))
            while top < number:
                top = quick.hear_type("frame")["to"]
        buffered = [
            len(one._end._unsent or b"")
            for one in watchful.context.hub.connections
            if isinstance(one, Connection) and isinstance(one._end, SocketEnd)
        ]
        # 15 MB were sent to the quick one; what waits for the slow one is one frame.
        assert max(buffered) < 3_000_000
        slow.hear_until(lambda message: message.get("to") == 30)


def test_a_server_that_goes_asks_its_viewers_to_come_back(store: WatchfulStore) -> None:
    with standalone(store, limits=FAST) as mount:
        sockets = [mount.socket(path) for path in ("/ws", "/ws/a", "/ws/a?protocol=1")]
        opened = [socket.__enter__() for socket in sockets]
        until(lambda: len(mount.context.hub.connections) == 3)
        until(lambda: mount.context.hub.viewers("a") == 2)
    for socket in opened:
        with pytest.raises(ConnectionClosed):
            socket.hear_until(lambda message: False)
        assert socket.connection.close_code == 1012
    for manager in sockets:
        manager.__exit__(None, None, None)


def test_a_poll_that_nobody_waits_for_any_more_is_left_off(watchful: Mount) -> None:
    watchful.append("a", rows(0, 3))
    epoch = watchful.get("/api/sessions/a/events").json()["frame"]["epoch"]
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(
            f"{watchful.url}/api/sessions/a/events?wait=20&epoch={epoch}&after=3",
            headers=watchful.authorization,
            timeout=0.5,
        )
    until(lambda: watchful.context.hub.viewers("a") == 0)


def test_frames_for_many_cursors_are_not_kept_without_bound(store: WatchfulStore) -> None:
    with standalone(store, limits=Limits(cached_frames=2)) as mount:
        mount.append("a", rows(0, 10))
        epoch = mount.get("/api/sessions/a/events").json()["frame"]["epoch"]
        for after in range(10):
            frame = mount.get(f"/api/sessions/a/events?epoch={epoch}&after={after}").json()["frame"]
            assert frame["from"] == after + 1
        assert len(mount.context.hub._watched["a"]._frames) <= 2
