"""The stream's thread against a real store, without a kernel around it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import MAX_ROWS, SPARING, UNASKED
from forge_widgets.core.wire import MIN_LINE_POINTS, Json
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store
from forge_widgets.stores.processes import this_host
from forge_widgets.widgets.comm import CommStream, Leave, Subscribe, Unsubscribe, read_wish
from forge_widgets.widgets.reader import SessionReader

DEADLINE_S = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@contextmanager
def streaming(
    store: Store, *, eager: bool = False, heartbeat_s: float = 0.2
) -> Iterator[tuple[CommStream, list[Json]]]:
    sent: list[Json] = []

    def send(message: Json) -> bool:
        sent.append(message)
        return True

    stream = CommStream(SessionReader(store, "s"), send, eager=eager, heartbeat_s=heartbeat_s)
    stream.start()
    yield stream, sent
    stream.stop()
    assert stream._thread is not None
    assert not stream._thread.is_alive()


def until(held: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(store: Store, first: int, count: int, metrics: int = 1) -> None:
    block = block_of(
        (float(step), {"currentStep": float(step), **{f"m{number}": float(step % 7) for number in range(metrics)}})
        for step in range(first, first + count)
    )
    store.append("s", Batch(producer=Producer(id="p"), sequence=first, bodies=[block]))


def frames(sent: list[Json]) -> list[Json]:
    return [message for message in sent if message["type"] == "frame"]


def test_a_producer_that_has_gone_is_reported_once(store: Store) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    rows(store, 1, 3)
    beat = Heartbeat(
        producer="p", attempt=1, pid=ended.pid, host=this_host(), beat=time.time(), durable=3, unsaved=5, reason="full"
    )
    store.beat("s", beat)
    with streaming(store) as (_, sent), streaming(store) as (_, others):
        until(lambda: any(f["state"]["lost"] for f in frames(sent)))
        until(lambda: any(f["state"]["lost"] for f in frames(others)))
        heartbeat = next(message for message in sent if message["type"] == "heartbeat")
        assert (heartbeat["unsaved"], heartbeat["reason"]) == (5, "full")
    read = store.read("s", 3)
    assert read is not None
    assert [record.body.event_type for record in read.records if isinstance(record.body, Event)] == ["connection_lost"]


def test_a_session_that_was_deleted_waits_again(store: Store) -> None:
    rows(store, 1, 3)
    with streaming(store) as (stream, sent):
        until(lambda: any(f["to"] == 3 for f in frames(sent)))
        stream.receive(Subscribe())
        assert store.delete("s")
        until(lambda: frames(sent)[-1]["to"] == 0)
        assert frames(sent)[-1]["state"]["status"] == "waiting"
        rows(store, 1, 4)
        until(lambda: frames(sent)[-1]["to"] == 4)


def test_a_subscriber_far_behind_gets_a_key_frame_that_stays_small(store: Store) -> None:
    rows(store, 1, 1, metrics=20)
    with streaming(store) as (stream, sent):
        until(lambda: frames(sent))
        stream.receive(Subscribe(frames(sent)[0]["epoch"], 1))
        rows(store, 2, MAX_ROWS + 1, metrics=20)
        until(lambda: frames(sent)[-1]["to"] == MAX_ROWS + 2)
    newest = frames(sent)[-1]
    assert newest["key"]
    assert sum(len(line["steps"]) for line in newest["series"]) <= SPARING.points
    assert all(len(line["steps"]) >= MIN_LINE_POINTS for line in newest["series"])
    assert all(line["steps"][-1] == MAX_ROWS + 2 for line in newest["series"])


@pytest.mark.parametrize(("eager", "most"), [(False, UNASKED.opening), (True, SPARING.opening)])
def test_what_nobody_asked_for_is_smaller_where_pages_have_a_server(store: Store, *, eager: bool, most: int) -> None:
    rows(store, 1, 1_000, metrics=8)
    with streaming(store, eager=eager) as (_, sent):
        until(lambda: frames(sent))
    points = sum(len(line["steps"]) for line in frames(sent)[0]["series"])
    assert most / 2 < points <= most


def test_nothing_is_read_for_front_ends_that_have_a_better_transport(store: Store) -> None:
    with streaming(store) as (stream, sent):
        until(lambda: frames(sent))
        stream.receive(Unsubscribe())
        until(lambda: sent[-1] == {"type": "unsubscribed"})
        heard = len(sent)
        rows(store, 1, 3)
        stream.receive(Subscribe())
        until(lambda: frames(sent)[-1]["to"] == 3)
        assert sent[heard]["type"] == "welcome"


def test_when_one_view_of_a_widget_leaves_it_is_said_and_what_is_new_is_pushed_again(store: Store) -> None:
    rows(store, 1, 3)
    with streaming(store) as (stream, sent):
        stream.receive(Subscribe())
        until(lambda: frames(sent) and frames(sent)[-1]["to"] == 3)
        stream.receive(Leave())
        until(lambda: {"type": "unsubscribed"} in sent)
        rows(store, 4, 1)
        until(lambda: frames(sent)[-1]["to"] == 4)
        assert frames(sent)[-1]["key"]


def test_what_a_producer_can_not_save_is_said_before_the_next_heartbeat_is_due(store: Store) -> None:
    rows(store, 1, 3)
    with streaming(store, heartbeat_s=1000) as (_, sent):
        until(lambda: frames(sent))
        store.beat("s", Heartbeat(producer="p", attempt=1, beat=time.time(), durable=3, unsaved=5, reason="full"))
        until(lambda: sent[-1]["type"] == "heartbeat")
        assert (sent[-1]["unsaved"], sent[-1]["reason"]) == (5, "full")


class Deaf:
    """A view whose kernel is busy: it hears what is pushed, loses some of it, and can ask for nothing."""

    def __init__(self, seed: int) -> None:
        self.cursor = 0
        self.lost = 0
        self.healed = 0
        self._hole = False
        self._chance = random.Random(seed)

    def hear(self, message: Json) -> bool:
        """Apply a frame by the protocol's rule, or lose it."""
        if message["type"] != "frame":
            return True
        if self._chance.random() < 0.3:
            self.lost += 1
        elif message["key"] and message["to"] > self.cursor:
            self.healed += self._hole
            self.cursor, self._hole = message["to"], False
        elif not message["key"] and message["from"] <= self.cursor + 1 <= message["to"]:
            self.cursor = message["to"]
        else:
            self._hole = self._hole or message["from"] > self.cursor + 1
        return True


@pytest.mark.parametrize("eager", [False, True])
def test_what_gets_lost_on_the_way_to_a_view_that_can_not_ask_heals_by_the_next_key_frame(
    store: Store, *, eager: bool
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    view = Deaf(seed)
    stream = CommStream(SessionReader(store, "s"), view.hear, eager=eager, heartbeat_s=0.2)
    # Another view of the same widget asked before the kernel was busy.
    stream.receive(Subscribe())
    stream.start()
    written = 0

    def healed() -> bool:
        nonlocal written
        written += 1
        rows(store, written, 1)
        return view.healed >= 2

    until(healed)
    until(lambda: view.cursor == written)
    stream.stop()
    assert view.lost > 0


def test_a_stream_without_anybody_to_send_for_ends(store: Store) -> None:
    stream = CommStream(SessionReader(store, "s"), lambda message: False, eager=True)
    stream.start()
    until(lambda: stream._thread is not None and not stream._thread.is_alive())


def test_a_turn_that_fails_is_said_and_does_not_end_the_view(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Json] = []

    def send(message: Json) -> bool:
        sent.append(message)
        if len(sent) == 1:
            raise RuntimeError("the comm broke")
        return True

    stream = CommStream(SessionReader(store, "s"), send, eager=False, heartbeat_s=0.1)
    stream.start()
    until(lambda: frames(sent))
    stream.stop()
    assert "the comm broke" in caplog.text


def test_only_wishes_are_read_from_a_front_ends_messages() -> None:
    assert read_wish({"type": "subscribe", "epoch": "e", "after": 3, "more": 1}) == Subscribe("e", 3)
    assert read_wish({"type": "unsubscribe"}) == Unsubscribe()
    assert read_wish({"type": "leave"}) == Leave()
    others: list[object] = [{"type": "ping"}, {}, [], None, "subscribe", {"type": "subscribe", "after": "3"}]
    assert [read_wish(other) for other in others] == [None] * len(others)
