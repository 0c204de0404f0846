"""All viewers of a session are served by one walk, whoever of them is slow, gone, or asks for what can't be made."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from forge_widgets.server import pump
from forge_widgets.server.connection import Connection
from forge_widgets.server.limits import Limits
from forge_widgets.server.pool import StorePool
from forge_widgets.server.sent import Sent
from forge_widgets.server.watched import Watched
from forge_widgets.stores.sqlite import SqliteStore
from tests.server.mounts import Mount, Socket, event, rows, standalone, until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Mount]:
    with standalone(tmp_path / "store", limits=Limits(heartbeat_s=0.3)) as mount:
        yield mount


def watched_of(mount: Mount, session_id: str) -> Watched:
    return mount.context.hub._watched[session_id]


def viewers_of(mount: Mount, stack: ExitStack, count: int, query: str = "?protocol=1") -> list[Socket]:
    """Open so many viewers of session ``a`` that have their first frame."""
    sockets = [stack.enter_context(mount.socket(f"/ws/a{query}", compression=None)) for _ in range(count)]
    for socket in sockets:
        socket.hear_type("frame")
    return sockets


def test_a_walk_over_many_viewers_lets_others_have_their_turn_and_leaves_nobody_out(
    served: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "AT_ONCE", 2)
    served.append("a", rows(0, 3))
    with ExitStack() as stack:
        sockets = viewers_of(served, stack, 7)
        for number in range(1, 6):
            served.append("a", event("annotation", message=str(number)))
            assert {socket.hear_type("frame")["to"] for socket in sockets} == {3 + number}


def test_viewers_hear_how_things_stand_again_and_again_all_at_once(served: Mount) -> None:
    served.append("a", rows(0, 3))
    with ExitStack() as stack:
        sockets = viewers_of(served, stack, 3)
        heard = [[socket.hear_type("heartbeat") for _ in range(3)] for socket in sockets]
    assert all(beat["top"] == 3 for beats in heard for beat in beats)
    times = [{beats[number]["timestamp"] for beats in heard} for number in (1, 2)]
    assert [len(of_one) for of_one in times] == [1, 1]


@pytest.mark.parametrize("later", [False, True])
def test_a_frame_that_can_not_be_made_sends_its_viewers_away_and_no_others(
    served: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, later: bool
) -> None:
    served.append("a", rows(0, 3))
    encode = Watched._encode

    def fail(self: Watched, *arguments: Any, wish: str | None, **named: Any) -> Sent | None:
        if wish == "rows":
            raise ZeroDivisionError
        return encode(self, *arguments, wish=wish, **named)  # type: ignore[arg-type]

    with ExitStack() as stack:
        (other,) = viewers_of(served, stack, 1)
        (unlucky,) = viewers_of(served, stack, 1, "?protocol=1&brief=rows")
        monkeypatch.setattr(Watched, "_encode", fail)
        if later:
            monkeypatch.setattr("forge_widgets.server.watched.QUICK_ROWS", 0)
        served.append("a", rows(3, 5))
        with pytest.raises(ConnectionClosed):
            unlucky.hear_until(lambda _: False)
        assert unlucky.connection.close_code == 4011
        assert other.hear_type("frame")["to"] == 5
    assert "a viewer's frame could not be made" in caplog.text


@pytest.mark.parametrize("later", [False, True])
def test_a_viewer_that_can_not_be_sent_to_is_sent_away_and_no_other_waits_for_that(
    served: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, later: bool
) -> None:
    for name in ("a", "b"):
        served.append(name, rows(0, 3))
    push = Connection.push

    def fail(self: Connection, *arguments: Any) -> None:
        if self is unlucky:
            raise ZeroDivisionError
        push(self, *arguments)

    with ExitStack() as stack:
        sockets = viewers_of(served, stack, 4)
        elsewhere = stack.enter_context(served.socket("/ws/b?protocol=1"))
        elsewhere.hear_type("frame")
        unlucky = next(one for one in served.context.hub.connections if getattr(one, "session_id", "") == "a")
        monkeypatch.setattr(Connection, "push", fail)
        if later:
            monkeypatch.setattr("forge_widgets.server.watched.QUICK_ROWS", 0)
        for name in ("a", "b"):
            served.append(name, rows(3, 5))
        assert elsewhere.hear_type("frame")["to"] == 5
        heard = []
        for socket in sockets:
            with suppress(ConnectionClosed):
                heard.append(socket.hear_type("frame")["to"])
        assert heard == [5, 5, 5]
        assert [socket.connection.close_code for socket in sockets if socket.connection.close_code] == [4011]
    assert "a viewer's frame could not be made" in caplog.text


def test_a_session_whose_viewers_can_not_be_told_keeps_no_other_from_being_read(
    served: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wake = Watched._wake

    def fail(self: Watched) -> None:
        if self.session_id == "a":
            raise ZeroDivisionError
        wake(self)

    for name in ("a", "b"):
        served.append(name, rows(0, 3))
    with served.socket("/ws/a?protocol=1") as one, served.socket("/ws/b?protocol=1") as other:
        for socket in (one, other):
            socket.hear_type("frame")
        monkeypatch.setattr(Watched, "_wake", fail)
        for step in range(3, 6):
            for name in ("a", "b"):
                served.append(name, rows(step, step + 1))
            assert other.hear_type("frame")["to"] == step + 1
        until(lambda: "viewers of session a could not be told of a look" in caplog.text)
        monkeypatch.setattr(Watched, "_wake", wake)
        served.append("a", rows(6, 7))
        assert one.hear_type("frame")["to"] == 7


def hold(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, Callable[[], int]]:
    """Make a thread that makes a frame wait; return what lets it go on, and what counts frames that are waited for."""
    go_on, waiting, encode = threading.Event(), [0], Watched._encode

    def wait(self: Watched, *arguments: Any, **named: Any) -> Sent | None:
        waiting[0] += 1
        assert go_on.wait(10)
        return encode(self, *arguments, **named)

    monkeypatch.setattr(Watched, "_encode", wait)
    monkeypatch.setattr("forge_widgets.server.watched.QUICK_ROWS", 0)
    return go_on, lambda: waiting[0]


def test_a_frame_that_takes_long_is_made_once_and_keeps_nobody_else_waiting(
    served: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.append("a", rows(0, 3))
    served.append("b", rows(0, 3))
    with ExitStack() as stack:
        sockets = viewers_of(served, stack, 3)
        go_on, waiting = hold(monkeypatch)
        served.append("a", rows(3, 5))
        until(lambda: waiting() == 1)
        sockets[0].say(type="ping")
        sockets[0].hear_type("pong")
        go_on.set()
        assert [socket.hear_type("frame")["to"] for socket in sockets] == [5, 5, 5]
    assert waiting() == 1


def test_who_asks_to_go_on_from_elsewhere_while_its_frame_is_made_gets_that_instead(
    served: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.append("a", rows(0, 3))
    with ExitStack() as stack:
        (socket,) = viewers_of(served, stack, 1)
        gone = stack.enter_context(served.socket("/ws/a?protocol=1"))
        gone.hear_type("frame")
        go_on, waiting = hold(monkeypatch)
        served.append("a", rows(3, 5))
        until(lambda: waiting() == 1)
        gone.connection.close()
        until(lambda: served.context.hub.viewers("a") == 1)
        socket.say(type="resume", epoch="", after=0)
        socket.say(type="ping")
        socket.hear_type("pong")
        go_on.set()
        frame = socket.hear_type("frame")
        assert (frame["key"], frame["to"]) == (True, 5)


def test_a_session_that_is_deleted_while_a_viewer_begins_sends_it_away(served: Mount) -> None:
    served.append("a", rows(0, 3))
    with ExitStack() as stack:
        viewers_of(served, stack, 1)
        watched = watched_of(served, "a")

        async def begin_and_close() -> None:
            (one,) = served.context.hub.connections
            assert isinstance(one, Connection)
            served.context.hub.drop("a")
            watched.pump.serve(one)  # who is served no more is passed over in silence

        served.on_loop(begin_and_close)
        until(lambda: not served.context.hub.connections)


# --- reading -------------------------------------------------------------------------------------


class Counting(SqliteStore):
    """A store that counts looks and glances, and may show nothing at a glance."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.looks = 0
        self.glances: Counter[str] = Counter()
        self.blind = False

    def version(self, session_id: str) -> object:
        self.looks += 1
        return super().version(session_id)

    def glimpses(self, session_id: str) -> Any:
        shown = super().glimpses(session_id)
        assert shown is not None

        def glance() -> object:
            self.glances[session_id] += 1
            return 0 if self.blind else shown()

        return glance


def counted_calls(pool: StorePool) -> list[object]:
    """Return a list that grows with each call of the pool."""
    calls: list[object] = []
    run = pool.run

    async def counting(call: Callable[[], Any]) -> Any:
        calls.append(call)
        return await run(call)

    pool.run = counting  # type: ignore[method-assign]
    return calls


def pass_time(mount: Mount, seconds: float) -> None:
    """Let the server's loop run so long: there is no other way to see that nothing happens."""
    mount.on_loop(lambda: asyncio.sleep(seconds))


def test_a_quiet_session_is_glimpsed_and_not_looked_into(tmp_path: Path) -> None:
    store = Counting(tmp_path / "store")
    with standalone(store, limits=Limits(beat_s=60.0)) as mount:
        mount.append("a", rows(0, 3))
        with mount.socket("/ws/a?protocol=1") as socket:
            socket.hear_type("frame")
            pass_time(mount, 2.2)
            looks = store.looks
            pass_time(mount, 0.5)
            assert store.looks == looks
            mount.append("a", rows(3, 4))
            assert socket.hear_type("frame")["to"] == 4


def test_what_no_glimpse_shows_is_found_now_and_then(tmp_path: Path) -> None:
    store = Counting(tmp_path / "store")
    store.blind = True
    with standalone(store, limits=Limits(beat_s=0.2)) as mount:
        mount.append("a", rows(0, 3))
        with mount.socket("/ws/a?protocol=1") as socket:
            socket.hear_type("frame")
            mount.append("a", rows(3, 4))
            assert socket.hear_type("frame")["to"] == 4


def test_sessions_that_change_together_are_read_together(tmp_path: Path) -> None:
    store = Counting(tmp_path / "store")
    with (
        standalone(store, limits=Limits(glimpse_s=0.2, quiet_glimpse_s=0.2, beat_s=60.0)) as mount,
        ExitStack() as stack,
    ):
        names = [f"s{number}" for number in range(6)]
        for name in names:
            mount.append(name, rows(0, 3))
        sockets = [stack.enter_context(mount.socket(f"/ws/{name}?protocol=1")) for name in names]
        for socket in sockets:
            socket.hear_type("frame")
        pass_time(mount, 0.4)
        store.looks = 0
        calls = counted_calls(mount.context.pool)
        for step in range(3, 6):
            for name in names:
                mount.append(name, rows(step, step + 1))
            assert [socket.hear_type("frame")["to"] for socket in sockets] == [step + 1] * 6
        assert store.looks >= 18 > len(calls)


def test_a_quiet_session_is_glimpsed_no_more_often_because_another_is_not(tmp_path: Path) -> None:
    store = Counting(tmp_path / "store")
    limits = Limits(glimpse_s=0.005, quiet_glimpse_s=0.5, quiet_after_s=1.0, beat_s=60.0)
    with standalone(store, limits=limits) as mount:
        for name in ("busy", "quiet"):
            mount.append(name, rows(0, 3))
        with mount.socket("/ws/busy?protocol=1") as busy, mount.socket("/ws/quiet?protocol=1") as quiet:
            for socket in (busy, quiet):
                socket.hear_type("frame")
            pass_time(mount, 1.2)
            for step in range(3, 33):
                mount.append("busy", rows(step, step + 1))
                busy.hear_type("frame")
                if step == 3:  # from now on it is looked at often
                    store.glances.clear()
            assert store.glances["quiet"] < store.glances["busy"] / 3
            mount.append("quiet", rows(3, 4))
            assert quiet.hear_type("frame")["to"] == 4


def test_a_session_that_can_not_be_read_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    class Failing(Counting):
        def version(self, session_id: str) -> object:
            if session_id == "bad":
                raise ZeroDivisionError
            return super().version(session_id)

    with standalone(Failing(tmp_path / "store"), limits=Limits(trouble_poll_s=0.05)) as mount:
        mount.append("good", rows(0, 3))
        with mount.socket("/ws/good?protocol=1") as good, mount.socket("/ws/bad?protocol=1") as bad:
            good.hear_type("frame")
            assert "error" in json.dumps(bad.hear_type("error"))
            mount.append("good", rows(3, 4))
            assert good.hear_type("frame")["to"] == 4
