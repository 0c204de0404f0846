"""How a server goes: those who watch come back to the next one at their cursors, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from forge_widgets.server.inflight import InFlight
from forge_widgets.stores import open_store
from tests.faults.checker import read_all
from tests.faults.viewer import Viewer
from tests.server.mounts import standalone, until
from tests.server.serving import Serving, serving

TOKEN = "a-token-of-the-shutdown"
BODY = b'{"metrics": {"loss": 0.25}, "message": "in flight"}'


class Upload:
    """A POST of which only half the body is there until it is finished."""

    def __init__(self, server: Serving, session_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), 10)
        head = (
            f"POST /api/progress/{session_id}/update HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + BODY[:10])
        # Who came later was let in: so was this one.
        server.ask("GET", "/health", TOKEN)

    def finish(self) -> bytes:
        """Send the rest and return all that is answered."""
        self._socket.sendall(BODY[10:])
        return b"".join(iter(lambda: self._socket.recv(65_536), b""))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Poster:
    """Records one update after the other, and keeps which were acknowledged; while nobody is there it tries again."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[int] = []
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Poster:
        self._thread.start()
        return self

    def close(self) -> None:
        self._ended.set()
        self._thread.join(20)

    def _run(self) -> None:
        session, step = requests.Session(), 0
        session.headers["Authorization"] = f"token {TOKEN}"
        while not self._ended.is_set():
            step += 1
            update = {"metrics": {"currentStep": step}, "idempotencyKey": str(step)}
            while not self._ended.is_set():
                try:
                    if session.post(f"{self._url}/api/progress/s/update", json=update, timeout=10).ok:
                        self.acknowledged.append(step)
                        break
                except requests.RequestException:
                    pass
                self._ended.wait(0.02)


@contextmanager
def started(store: Path, port: int = 0) -> Iterator[Serving]:
    with serving(store, "--token", TOKEN, "--log-level", "info", port=port) as server:
        yield server


@pytest.mark.timeout(60)
def test_all_come_back_to_the_next_process_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with ExitStack() as ends:
        first = ends.enter_context(started(store))
        poster = Poster(first.url).start()
        ends.callback(poster.close)
        viewers = [
            Viewer(first.url, "s", TOKEN, transport=way, seed=seed).start()  # type: ignore[arg-type]
            for seed, way in enumerate(("websocket", "websocket", "http", "auto"))
        ]
        for viewer in viewers:
            ends.callback(viewer.close)
            viewer.until(lambda v=viewer: v.offset > 5, "steps")  # type: ignore[misc]
        upload = ends.enter_context(closing(Upload(first, "in-flight")))
        first.stop()
        first.until_refused()
        answered = upload.finish()
        assert answered.startswith(b"HTTP/1.1 200"), answered
        assert first.wait() == 0
        before = len(poster.acknowledged)
        assert [viewer.sent_away for viewer in viewers] == [None] * 4
        ends.enter_context(started(store, first.port))
        until(lambda: len(poster.acknowledged) > before + 5, 20)
        poster.close()
        top = poster.acknowledged[-1]
        for viewer in viewers:
            viewer.until(lambda v=viewer: v.state.metrics["currentStep"].value >= top, f"step {top}")  # type: ignore[misc]
            assert viewer.unbroken, viewer
        assert "closed 1012" in viewers[0].failures
        opened = open_store(store)
        recorded = [record.body.metrics["currentStep"] for record in read_all(opened, "s").records]  # type: ignore[union-attr]
        assert recorded[: len(poster.acknowledged)] == poster.acknowledged
        held = opened.snapshot("in-flight")
        assert held is not None
        assert held.state.message == "in flight"
        opened.close()
    assert [line.partition(": ")[2] for line in first.logged if "stop" in line] == ["stopping: SIGTERM", "stopped"]


def test_who_polls_is_answered_at_once_and_who_watches_is_told_to_come_back(tmp_path: Path) -> None:
    with started(tmp_path / "store") as server:
        server.ask("POST", "/api/progress/s/update", TOKEN, json={"metrics": {"loss": 1.0}})
        begun = server.ask("GET", "/api/sessions/s/events", TOKEN).json()["frame"]
        path = f"/api/sessions/s/events?wait=20&epoch={begun['epoch']}&after={begun['to']}"
        answers: list[requests.Response] = []
        poll = threading.Thread(target=lambda: answers.append(server.ask("GET", path, TOKEN)))
        address = server.url.replace("http", "ws", 1)
        headers = {"Authorization": f"token {TOKEN}"}
        with (
            connect(f"{address}/ws/s", additional_headers=headers) as naive,
            connect(f"{address}/ws", additional_headers=headers) as roomless,
            connect(f"{address}/ws/s?protocol=1", additional_headers=headers) as ours,
        ):
            poll.start()
            until(lambda: "forge_widgets_viewers 3.0" in server.ask("GET", "/metrics", TOKEN).text)
            server.stop()
            for viewer in (naive, roomless, ours):
                with suppress(ConnectionClosed):
                    while viewer.recv(timeout=10):
                        pass
                assert viewer.close_code == 1012
            poll.join(15)
        assert server.wait() == 0
        (answer,) = answers
        assert (answer.status_code, answer.json()["frame"], answer.json().get("deleted")) == (200, None, None)


def test_who_was_let_in_just_before_is_told_at_once(tmp_path: Path) -> None:
    """Between being let in and watching there are waits: the viewers may have been sent away meanwhile."""
    with standalone(tmp_path / "store") as mount:
        mount.update("s", metrics={"loss": 1.0})
        mount.on_loop(mount.context.hub.close)
        assert mount.get("/api/sessions/s/events?wait=20").status_code == 503
        with mount.socket("/ws/s") as naive, mount.socket("/ws/s?protocol=1") as ours:
            for viewer in (naive, ours):
                with suppress(ConnectionClosed):
                    while viewer.hear():
                        pass
                assert viewer.connection.close_code == 1012


def test_what_comes_on_an_open_connection_meanwhile_is_told_when_to_come_back(tmp_path: Path) -> None:
    with (
        started(tmp_path / "store") as server,
        requests.Session() as kept,
        closing(Upload(server, "slow")) as upload,
    ):
        kept.headers["Authorization"] = f"token {TOKEN}"
        update = f"{server.url}/api/progress/late/update"
        assert kept.get(f"{server.url}/health", timeout=10).ok
        server.stop()
        server.until_refused()
        late = kept.post(update, json={"metrics": {}}, timeout=10)
        assert (late.status_code, late.headers["Retry-After"], late.headers["Connection"]) == (503, "1", "close")
        assert "just ending" in late.json()["error"]
        assert upload.finish().startswith(b"HTTP/1.1 200")
        assert server.wait() == 0
    store = open_store(tmp_path / "store")
    assert store.snapshot("late") is None
    store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path / "store") as server, closing(Upload(server, "never-finished")):
        server.ask("POST", "/api/progress/s/update", TOKEN, json={"metrics": {"loss": 1.0}})
        server.stop()
        server.until_refused()
        assert server.process.poll() is None
        server.stop(number)
        assert server.wait() == -number
    store = open_store(tmp_path / "store")
    assert store.snapshot("s") is not None
    store.close()


def test_a_request_that_never_ends_is_not_waited_for_for_ever() -> None:
    async def go() -> None:
        in_flight = InFlight()
        in_flight.enter("never ends")
        in_flight.enter("ends")
        asyncio.get_running_loop().call_later(0.01, in_flight.leave, "ends")
        await asyncio.wait_for(in_flight.ended(0.05), 10)
        assert in_flight.closing
        await asyncio.wait_for(in_flight.ended(60.0), 10)

    asyncio.run(go())


def test_it_may_open_as_many_files_as_the_machine_lets_it(tmp_path: Path) -> None:
    """Seen by what the process says of itself: a process that starts with few may have more."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "from forge_widgets.server.standalone import raise_file_limit; raise_file_limit(); raise_file_limit();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    said = subprocess.check_output([sys.executable, "-c", script], text=True, timeout=30)
    assert int(said) == hard
