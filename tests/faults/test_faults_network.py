"""What a bad network does to a live view: connections reset, cut, harmed, slowed, refused and swallowed."""

from __future__ import annotations

import random
import time
from itertools import takewhile

import pytest

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import Frame
from forge_widgets.core.wire import frame_message
from forge_widgets.stores import open_store
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.proxy import Cut
from tests.faults.view import Json
from tests.faults.viewer import Patience, Viewer

LONGEST_STREAM = 2_000
LONGEST_PING = 2 + 125
SLOW_S = 8.0


def record_little(house: House) -> Json:
    """Record a start and a block of two rows; return the key frame of who has seen the start only."""
    store = open_store(house.folder)
    rows = block_of([(1.8e9 + step, {"currentStep": float(step), "loss": 1.0 / step}) for step in (1, 2)])
    start = Event(event_type="training_started", timestamp=1.8e9, message="Training started – Größe 3")
    store.append("s", Batch(producer=Producer(id="p"), sequence=1, bodies=[start, rows]))
    read = store.read("s", 0)
    store.close()
    assert read is not None
    return frame_message("s", Frame(read.epoch, 1, 1, True, fold(State(), read.records[0]), ()), Series())


def heal(viewer: Viewer) -> None:
    """Let a viewer come back over a connection that nothing is wrong with; where it has little patience, not at the first try."""
    assert viewer.offset in (1, 3)
    failures = list(takewhile(bool, (viewer.poll_once() for _ in range(5))))
    assert viewer.offset == 3, failures


def test_a_reset_in_mid_stream_is_resumed_within_a_second(house: House, chance: random.Random, effort: Effort) -> None:
    house.serve()
    training, proxy = house.train(), house.proxy()
    viewer = house.watch(through=proxy)
    took = []
    for _ in range(effort(3, 30)):
        training.goes_on(chance.randrange(5, 60))
        proxy.reset()
        at = time.monotonic()
        viewer.until(lambda at=at: viewer.applied_at > at, "next frame", 10)  # type: ignore[misc]
        took.append(viewer.applied_at - at)
    assert training.stop() == 0
    house.judge(training)
    assert viewer.unbroken
    assert len(viewer.failures) == len(took)
    print(f"resumed after {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert sorted(took)[int(0.9 * (len(took) - 1))] < 1.0, took


@pytest.mark.parametrize(("cut", "stride"), [("reset", 1), ("half-close", 5), ("close", 5)])
def test_a_stream_that_is_cut_at_any_byte_is_never_half_applied(
    house: House, chance: random.Random, effort: Effort, cut: Cut, stride: int
) -> None:
    stride *= effort(4, 1)
    seen = record_little(house)
    house.serve()
    proxy, viewers = house.proxy(), []
    proxy.down.cut = cut
    for position in range(chance.randrange(stride), LONGEST_STREAM, stride):
        viewer = house.view(through=proxy, patience=Patience(welcome_s=2.0))
        viewers.append(viewer)
        viewer.take(seen)
        proxy.down.cut_after = position
        why = viewer.connect_once()
        whole = viewer.offset == 3
        proxy.down.cut_after = None
        heal(viewer)
        assert len(viewer.chapters) == 1, f"cut after {position}: {why}"
        if whole:
            break
    print(f"{len(viewers)} cuts")
    assert len(viewers) * stride > 300
    house.judge(viewers=viewers)


def test_a_harmed_byte_is_never_applied(house: House, chance: random.Random, effort: Effort) -> None:
    """Every byte of a stream in turn has its highest bit turned over: what a frame says is refused whole."""
    seen = record_little(house)
    house.serve()
    proxy, viewers = house.proxy(), []
    # A byte that makes a frame seem longer is noticed by the silence that follows.
    patience = Patience(welcome_s=0.3, missed_heartbeats=1.5)
    stride, whole = effort(8, 1), 0
    for position in range(chance.randrange(stride), LONGEST_STREAM, stride):
        viewer = house.view(through=proxy, patience=patience)
        viewers.append(viewer)
        viewer.take(seen)
        proxy.down.corrupt_at, proxy.down.cut_after = position, position + 600
        viewer.connect_once()
        proxy.down.corrupt_at = proxy.down.cut_after = None
        # It lay in a ping, which may say anything, or behind the frame: the judge sees whether what was applied is right.
        whole = whole + stride if viewer.offset == 3 else 0
        if whole > LONGEST_PING:
            break
        heal(viewer)
    print(f"{len(viewers)} harmed bytes")
    assert len(viewers) * stride > 300
    house.judge(viewers=viewers)


@pytest.mark.parametrize(("steps_per_s", "metrics"), [(100, ""), (1_000, "accuracy entropy norm")])
def test_a_slow_link_gets_frames_that_hold_more_and_is_at_most_three_seconds_old(
    house: House, steps_per_s: float, metrics: str
) -> None:
    server = house.serve()
    training, proxy = house.train(steps_per_s=steps_per_s, FORGE_FAULTS_METRICS=metrics), house.proxy()
    proxy.down.bytes_per_s = 20_000
    for way in (proxy.up, proxy.down):
        way.delay_s, way.jitter_s = 0.5, 0.4  # both ways: 1 s ± 0.8 s of round trip
    viewer = house.watch(through=proxy, patience=Patience(welcome_s=10.0))
    before, ages, memory = viewer.offset, [], []
    ends = time.monotonic() + SLOW_S
    while time.monotonic() < ends:
        # The newest row that the page shows, against the clock of the same machine.
        ages.append(time.time() - viewer.state.updated_at)
        memory.append(server.memory_kb)
        time.sleep(0.1)
    assert viewer.offset > before + 2 * steps_per_s
    assert max(ages) < 3.0, ages
    assert memory[-1] - memory[0] < 20_000, memory
    assert training.stop() == 0
    log = house.judge(training)
    assert viewer.failures == []
    # Whatever was coalesced, each event was told of.
    told = [record for chapter in viewer.chapters for record in chapter.records] + viewer.events
    events = {record.offset for record in told if isinstance(record.body, Event)}
    first = viewer.chapters[0].start
    assert events == {record.offset for record in log.records if isinstance(record.body, Event)} - set(range(first + 1))


@pytest.mark.parametrize("upgrade", [403, 502, 200, None], ids=["403", "502", "200", "silent"])
def test_where_no_websocket_comes_through_it_polls_at_the_same_cursor_and_comes_back(
    house: House, upgrade: int | None
) -> None:
    house.serve()
    training, proxy = house.train(), house.proxy()
    viewer = house.watch(through=proxy, transport="auto", patience=Patience(welcome_s=2.0))
    training.goes_on()
    proxy.upgrade, proxy.down.swallow_after_upgrade = upgrade, upgrade is None
    at = time.monotonic()
    proxy.reset()
    viewer.until(lambda: viewer.delivering == "http", "poll", 10)
    assert time.monotonic() - at < 10
    top = viewer.offset
    viewer.until(lambda: viewer.offset > top + 20, "steps by polling")
    proxy.upgrade, proxy.down.swallow_after_upgrade = None, False
    viewer.until(lambda: viewer.delivering == "websocket", "WebSocket again")
    training.goes_on()
    assert training.stop() == 0
    house.judge(training)
    assert len(viewer.chapters) == 1
    assert proxy.live <= 1


@pytest.mark.parametrize("ways", [("up", "down"), ("down",)])
def test_a_link_that_swallows_everything_is_given_up_on_both_ends(house: House, ways: tuple[str, ...]) -> None:
    server = house.serve()
    training, proxy = house.train(), house.proxy()
    viewer = house.watch(through=proxy)
    files = server.open_sockets
    for way in ways:
        getattr(proxy, way).blackhole = True
    at = time.monotonic()
    viewer.until(lambda: viewer.failures == ["silent"], "notice of silence", 10)
    # Three and a half heartbeats of 0.5 s.
    assert time.monotonic() - at < 3.5
    for way in ways:
        getattr(proxy, way).blackhole = False
    viewer.until(lambda: viewer.applied_at > at + 2, "next frame")
    server.until_at_most(files)
    assert training.stop() == 0
    house.judge(training)
    assert len(viewer.chapters) == 1
