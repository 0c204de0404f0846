"""What faults do to the browser's own client: the real session stream, in a process of node, through the proxy.

What it says that it has applied is folded again by Python as it comes (tests/faults/browser.py), and judged in the end.
"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.browser import Browser, Counts
from tests.faults.conftest import Effort
from tests.faults.house import House
from tests.faults.proxy import Cut, Proxy

pytestmark = pytest.mark.timeout(900)  # the long pass is long


def quiet(page: Browser) -> Counts:
    """Return what a page has open once nothing comes and goes any more."""
    seen: list[Counts] = []

    def is_quiet() -> bool:
        seen.append(page.counts)
        return len(seen) > 1 and seen[-1] == seen[-2]

    page.until(is_quiet, "quiet page")
    return seen[-1]


def no_more(counts: Counts, before: Counts) -> bool:
    """Say whether no more of anything stands open than before."""
    return (
        counts.timers <= before.timers
        and counts.sockets <= before.sockets
        and counts.requests <= before.requests
        and counts.listeners <= before.listeners
    )


def took(page: Browser, transport: str, since: float, limit_s: float) -> float:
    """Wait until a transport delivers; return the seconds since a moment that it took."""
    page.until_by(transport, limit_s)
    return page.changed_at - since


def test_a_reset_in_mid_stream_is_resumed_within_a_second(house: House, chance: random.Random, effort: Effort) -> None:
    """By the settings that people have: whatever the back-off is, it is not to be seen."""
    house.serve()
    training, proxy = house.train(), house.proxy()
    page = house.view_browser(through=proxy, scaled=False)
    seconds = []
    for _ in range(effort(4, 30)):
        training.goes_on(chance.randrange(5, 60))
        proxy.reset()
        at = time.monotonic()
        page.until(lambda at=at: page.applied_at > at, "next frame", 10)  # type: ignore[misc]
        seconds.append(page.applied_at - at)
    assert training.stop() == 0
    house.judge(training)
    assert page.always_recovered
    print(f"resumed after {', '.join(f'{one:.2f}' for one in seconds)} s")
    assert max(seconds) < 1.0, seconds


def test_a_link_that_swallows_everything_is_given_up_on_both_ends(house: House, effort: Effort) -> None:
    """Three and a half heartbeats in the page, a ping and its answer in the server; the long pass by the real periods."""
    real = bool(effort(0, 1))
    server = house.serve(FORGE_FAULTS_PERIODS="real" if real else "scaled")
    training = house.train()
    links = []
    for swallowing in (("up", "down"), ("up",), ("down",)):
        proxy = house.proxy()
        links.append((swallowing, proxy, house.view_browser(through=proxy, scaled=not real)))
    sockets = server.open_sockets
    training.goes_on()
    for swallowing, proxy, _ in links:
        for way in swallowing:
            getattr(proxy, way).blackhole = True
        proxy.refuse()  # else what swallows what is said would still let connect
    at = time.monotonic()
    noticed = {}
    for swallowing, _, page in links:
        # What goes up alone is missed by the server only, which closes: that comes down.
        page.until(lambda page=page: page.delivering != "websocket", "notice of silence", 45)  # type: ignore[misc]
        noticed[swallowing] = page.changed_at - at
    server.until_at_most(sockets - len(links), 45)
    freed = time.monotonic() - at
    told = ", ".join(f"{seconds:.1f} s ({' and '.join(ways)})" for ways, seconds in noticed.items())
    print(f"noticed after {told}; freed after {freed:.1f} s")
    for swallowing, proxy, page in links:
        for way in swallowing:
            getattr(proxy, way).blackhole = False
        proxy.accept()
        page.until_by("websocket", 30)
        page.until_more()
        assert page.always_recovered
    assert training.stop() == 0
    house.judge(training)
    assert max(noticed.values()) < (36 if real else 10)
    assert freed < (40 if real else 12)


def test_streams_that_are_cut_again_and_again_are_never_half_applied(
    house: House, chance: random.Random, effort: Effort
) -> None:
    house.serve()
    training = house.train()
    cuts: tuple[Cut, ...] = ("reset", "half-close", "close")
    links = [(house.proxy(), cut) for cut in cuts]
    pages = [house.view_browser(through=proxy) for proxy, _ in links]
    rounds = effort(15, 300)
    for _ in range(rounds):
        before = [proxy.accepted for proxy, _ in links]
        for proxy, cut in links:
            proxy.down.cut, proxy.down.cut_after = cut, chance.randrange(1, 3_000)
        for page, (proxy, _), accepted in zip(pages, links, before, strict=True):
            page.until(lambda proxy=proxy, accepted=accepted: proxy.accepted > accepted, "another connection")  # type: ignore[misc]
    for page, (proxy, _) in zip(pages, links, strict=True):
        proxy.down.cut_after = None
        page.until_by("websocket")
        page.until_more()
    assert training.stop() == 0
    house.judge(training)
    print(f"{len(links) * rounds} cuts, {sum(proxy.accepted for proxy, _ in links)} connections")


def test_a_slow_link_gets_frames_that_hold_more_and_is_at_most_three_seconds_old(house: House, effort: Effort) -> None:
    server = house.serve()
    training, proxy = house.train(steps_per_s=100), house.proxy()
    proxy.down.bytes_per_s = 20_000
    for way in (proxy.up, proxy.down):
        way.delay_s, way.jitter_s = 0.5, 0.4  # both ways: 1 s ± 0.8 s of round trip
    page = house.view_browser(through=proxy, welcomeTimeoutMs=10_000)
    before, ages, memory = page.offset, [], []
    ends = time.monotonic() + effort(3.0, 60.0)
    while time.monotonic() < ends:
        # The newest row that the page shows, against the clock of the same machine.
        ages.append(time.time() - page.state.updated_at)
        memory.append((server.memory_kb, page.process.memory_kb))
        time.sleep(0.1)
    assert page.offset > before + 150
    print(f"oldest {max(ages):.2f} s, {page.offset - before} offsets")
    assert max(ages) < 3.0, ages
    assert memory[-1][0] - memory[0][0] < 20_000, memory
    assert training.stop() == 0
    house.judge(training)
    assert page.always_recovered
    assert page.history == ["websocket"]


def test_where_no_websocket_comes_through_it_polls_at_the_same_cursor_and_comes_back(
    house: House, effort: Effort
) -> None:
    """By the settings that people have, in the long pass; a tenth of them in the short one. None: nothing follows the 101."""
    real = bool(effort(0, 1))
    house.serve(FORGE_FAULTS_PERIODS="real" if real else "scaled")
    training = house.train()
    links = []
    for upgrade in (403, 502, 200, None):
        proxy = house.proxy()
        links.append((upgrade, proxy, house.view_browser(through=proxy, scaled=not real)))
    training.goes_on()
    at = time.monotonic()
    for upgrade, proxy, _ in links:
        proxy.upgrade, proxy.down.swallow_after_upgrade = upgrade, upgrade is None
        proxy.reset()
    fell = [took(page, "http", at, 10) for _, _, page in links]
    for _, _, page in links:
        page.until_more()
        assert page.reason, "it does not say why it polls"
    at = time.monotonic()
    for _, proxy, _ in links:
        proxy.upgrade, proxy.down.swallow_after_upgrade = None, False
    rose = [took(page, "websocket", at, 40) for _, _, page in links]
    print(f"polling after {_seconds(fell)}, WebSocket again after {_seconds(rose)}")
    for _, _, page in links:
        page.until_more()
        counts = page.counts
        page.until_more(50)
        # One transport is left: nothing is asked any more.
        assert (counts.sockets, page.counts.asked) == (1, counts.asked)
        assert page.always_recovered
    assert training.stop() == 0
    house.judge(training)


def _seconds(moments: list[float]) -> str:
    return ", ".join(f"{seconds:.2f}" for seconds in moments) + " s"


def flap(page: Browser, proxy: Proxy, fault: str) -> None:
    """Do one thing to the network, wait until the page has seen it, and undo it."""
    if fault == "reset":
        proxy.reset()
    elif fault == "refused":
        proxy.upgrade = 403
        proxy.reset()
        page.until_by("http")
        proxy.upgrade = None
    elif fault == "mute":
        proxy.down.swallow_after_upgrade = True
        page.until_by("http")
        proxy.down.swallow_after_upgrade = False
    elif fault == "silent":
        proxy.down.blackhole = True
        page.until_by("comm")
        proxy.down.blackhole = False
    elif fault == "away":
        proxy.refuse()
        proxy.reset()
        page.until_by("comm")
        proxy.accept()


NOTHING = Counts(timers=0, sockets=0, requests=0, listeners=0, opened=0, asked=0)
FAULTS = ("reset", "refused", "mute", "silent", "away")


def test_transports_that_flap_lose_and_repeat_nothing_and_leave_nothing_open(
    house: House, chance: random.Random, effort: Effort
) -> None:
    server = house.serve()
    first = house.train()
    assert first.stop() == 0
    proxy = house.proxy()
    page = house.view_browser(through=proxy, comm=True, brief="outline")
    page.until_by("websocket")
    before, sockets = quiet(page), (page.process.open_sockets, server.open_sockets)
    training = house.train()
    flaps = effort(6, 200)
    for turn in range(flaps):
        # Each at least once, in any order.
        flap(page, proxy, FAULTS[turn] if turn < len(FAULTS) else chance.choice(FAULTS))
        if chance.random() < 0.3:
            page.wake(chance.choice(["online", "pageshow", "visibilitychange"]))
        page.until_by("websocket", 30)
        page.until_more(chance.randrange(1, 30))
    assert training.stop() == 0
    page.until(lambda: no_more(page.counts, before), f"end of what came with the faults ({before} before)")
    page.process.until_at_most(sockets[0])  # connections that are kept for the next poll last a while
    server.until_at_most(sockets[1])
    print(f"{flaps} flaps, {len(page.history)} changes of transport, {page.counts}")
    page.stop_following()
    assert no_more(quiet(page), NOTHING)
    page.follow_again()
    house.judge(first, training)


def test_where_the_server_is_out_of_reach_the_kernel_goes_on_and_gives_back(house: House, effort: Effort) -> None:
    server = house.serve()
    training, proxy = house.train(), house.proxy()
    page = house.view_browser(through=proxy, comm=True)
    page.until_by("websocket")
    fell, rose = [], []
    for _ in range(effort(2, 20)):
        proxy.refuse()
        at = time.monotonic()
        proxy.reset()
        fell.append(took(page, "comm", at, 10))
        page.until_more(50)
        assert page.reason
        proxy.accept()
        rose.append(took(page, "websocket", time.monotonic(), 20))
        page.until_more(20)
    print(f"comm after {max(fell):.2f} s at most, WebSocket again after {max(rose):.2f} s at most")
    kernel = page.kernel
    assert kernel is not None
    said = kernel.said
    page.until_more(100)
    # It was told that another transport has taken over.
    assert kernel.said <= said + 2
    assert server.running
    assert training.stop() == 0
    house.judge(training)
    assert page.always_recovered


def test_a_page_whose_server_is_killed_goes_on_at_its_cursor(
    house: House, chance: random.Random, effort: Effort
) -> None:
    server = house.serve()
    training = house.train()
    pages = [house.view_browser(), house.view_browser(comm=True)]
    kills = effort(2, 50)
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.6))
        server.kill()
        training.goes_on()
        server = house.serve()
        at = time.monotonic()
        for page in pages:
            page.until_by("websocket")
            page.until(lambda page=page, at=at: page.applied_at > at, "frame of the new server")  # type: ignore[misc]
    assert training.stop() == 0
    house.judge(training)
    print(f"{kills} kills")
    assert all(page.always_recovered for page in pages)


def test_a_page_that_was_stopped_takes_up_where_it_was_without_a_storm(house: House, effort: Effort) -> None:
    """Its deadline has passed when it wakes up, but what the server said before it gave the page up is there to be read."""
    house.serve()
    training = house.train()
    page, other = house.view_browser(comm=True), house.view_browser()
    page.until_by("websocket")
    before = page.counts
    # Three and a half heartbeats are 1.75 s; the server gives up whoever has left a ping unanswered for 2 s.
    stopped_s, given_up = effort(1.9, 60.0), 0
    for _ in range(2):
        page.signal(signal.SIGSTOP)
        began = time.monotonic()
        # The other one is none the worse.
        other.until_more(10, 2)
        time.sleep(max(0.0, began + stopped_s - time.monotonic()))
        page.signal(signal.SIGCONT)
        at = time.monotonic()
        given_up += at - began >= 2.0
        page.until(lambda: page.position == other.position, "arrival where the other is", 10)
        print(f"stopped for {at - began:.1f} s, there again {time.monotonic() - at:.2f} s after")
        page.until_by("websocket")
        page.until_more()
    counts = page.counts
    # By the same link where the server has not given it up.
    assert counts.opened - before.opened <= 2 * given_up
    assert counts.asked - before.asked <= 2 * given_up
    assert training.stop() == 0
    house.judge(training)


def test_a_server_of_another_store_is_not_used_though_it_knows_such_a_session(
    house: House, tmp_path: Path, seed: int
) -> None:
    """Kernel and server on different stores: the view goes to comm and says why."""
    other = House(tmp_path / "other", seed)
    try:
        other.serve()
        stranger = other.train(steps_per_s=20)
        training = house.train()
        page = house.view_browser(url=other.url, comm=True, seldomMs=500)
        page.until_by("comm")
        page.until_more(50)
        assert page.reason == "this server keeps another store"
        # Asked again now and then, never believed.
        page.until(lambda: page.counts.opened > 1, "another look")
        assert {chapter.epoch for chapter in page.chapters} == {page.chapters[0].epoch}
        alone = house.view_browser(url=other.url, expects_frames=False)
        alone.until(lambda: alone.offline, "word that it can't be seen")
        assert alone.reason == "this server keeps another store"
        assert not alone.chapters
        assert (stranger.stop(), training.stop()) == (0, 0)
        house.judge(training, viewers=[page])
    finally:
        other.close()
