"""What may be on its way to a viewer, and how much it takes at once, follow from what it acknowledged and when."""

from __future__ import annotations

import pytest

from forge_widgets.core.link import FIRST_WINDOW, GREETING_S, LEAST_WINDOW, MARK_S, MOST_PAUSE_S, MOST_WINDOW, Link
from forge_widgets.core.subscription import COARSE, FINE


class Wire:
    """A way of so many bytes a second and so long, in seconds there and back; time passes only here."""

    def __init__(self, bytes_per_s: float, distance_s: float) -> None:
        self.link = Link()
        self.now = 0.0
        self.bytes_per_s = bytes_per_s
        self._distance_s = distance_s
        self._sent = self._arrived = 0
        # When the line has taken what was sent.
        self._free_at = 0.0
        # Marks: when their answer comes, their name, and what was sent up to them.
        self._answers: list[tuple[float, bytes, int]] = []

    @property
    def flying(self) -> int:
        """Bytes sent, and not known to have arrived."""
        return self._sent - self._arrived

    def send(self, size: int) -> None:
        self._sent += size
        self._free_at = max(self.now, self._free_at) + size / self.bytes_per_s
        name = self.link.sent(size, self.now)
        if name is not None:
            self._answers.append((self._free_at + self._distance_s, name, self._sent))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self._answers and self._answers[0][0] <= self.now:
            at, name, self._arrived = self._answers.pop(0)
            assert self.link.acknowledged(name, at)

    def run(self, frames: int, size: int) -> int:
        """Send frames, twenty a second where there is room; return how much was on its way at most."""
        most = 0
        for _ in range(frames):
            while self.link.full:
                self.wait(0.01)
            self.send(size)
            most = max(most, self.flying)
            self.wait(0.05)
        return most


def test_a_link_that_nobody_knows_is_taken_for_a_good_one_but_not_filled() -> None:
    link = Link()
    assert (link.detail, link.full, link.greeted) == (FINE, False, True)
    link.sent(FIRST_WINDOW, 0.0)
    assert (link.full, link.greeted) == (True, False)


@pytest.mark.parametrize("distance_s", [0.01, 0.2, 1.0])
def test_a_slow_link_is_found_out_and_holds_no_more_than_it_carries_in_a_moment(distance_s: float) -> None:
    wire = Wire(20_000, distance_s)
    wire.send(300)
    wire.wait(2 * distance_s)
    wire.run(20, 6_000)
    assert wire.link.detail == COARSE
    assert wire.run(30, 6_000) <= max(LEAST_WINDOW, 1.5 * 20_000 * (distance_s + 0.4)) + 6_000


@pytest.mark.parametrize("distance_s", [0.001, 0.2, 1.0])
def test_a_long_way_alone_makes_no_slow_link(distance_s: float) -> None:
    wire = Wire(10_000_000, distance_s)
    wire.send(300)
    wire.wait(2 * distance_s)
    wire.run(60, 5_000)
    assert wire.link.detail == FINE
    began = wire.now
    wire.run(60, 5_000)
    assert wire.now - began == pytest.approx(60 * 0.05, abs=0.2)


def test_frames_go_out_as_evenly_as_the_link_takes_them() -> None:
    wire = Wire(20_000, 0.05)
    wire.send(300)
    wire.wait(0.1)
    assert wire.link.pause_s == 0
    wire.run(30, 6_000)
    assert wire.link.pause_s == pytest.approx(6_000 / 20_000, rel=0.2)
    wire.link.sent(90_000, wire.now)
    assert wire.link.pause_s == MOST_PAUSE_S
    good = Wire(10_000_000, 0.05)
    good.run(30, 6_000)
    assert good.link.pause_s < 0.01


def test_a_link_that_gets_better_is_believed_after_a_while() -> None:
    wire = Wire(20_000, 0.05)
    wire.send(300)
    wire.wait(0.1)
    wire.run(10, 6_000)
    assert wire.link.detail == COARSE
    wire.bytes_per_s = 10_000_000
    wire.wait(2)
    wire.run(2, 6_000)
    assert wire.link.detail == COARSE
    wire.run(30, 6_000)
    assert wire.link.detail == FINE


def test_who_is_slow_to_greet_is_slow_until_it_shows_otherwise() -> None:
    link = Link()
    link.sent(200, 0.0)
    link.presume_slow()
    assert link.detail == COARSE
    link.sent(LEAST_WINDOW + 6_000, 0.3)
    assert link.full
    wire = Wire(10_000_000, 0.6)
    wire.send(200)
    wire.link.presume_slow()
    wire.run(150, 6_000)
    assert wire.link.detail == FINE
    wire.link.presume_slow()
    assert wire.link.detail == FINE


def test_a_machine_that_stands_still_for_a_moment_makes_no_slow_link() -> None:
    wire = Wire(10_000_000, 0.002)
    wire.send(300)
    wire.wait(0.1)
    for _ in range(3):
        wire.run(20, 4_000)
        late = wire.link.sent(4_000, wire.now)
        assert wire.link.acknowledged(late or b"", wire.now + 1.0)
        wire.wait(1.0)
        assert wire.link.detail == FINE
    # Again and again without an answer in time in between, it is the link.
    for _ in range(2):
        late = wire.link.sent(4_000, wire.now)
        assert wire.link.acknowledged(late or b"", wire.now + 1.0)
        wire.wait(1.0)
    assert wire.link.detail == COARSE


@pytest.mark.parametrize("greeting_s", [0.002, 0.4])
@pytest.mark.parametrize("first_s", [0.05, 0.6])
def test_a_machine_that_is_busy_while_a_page_opens_makes_no_slow_link(greeting_s: float, first_s: float) -> None:
    link = Link()
    greeting = link.sent(300, 0.0)
    if greeting_s > GREETING_S:
        link.presume_slow()
    assert link.acknowledged(greeting or b"", greeting_s)
    first = link.sent(3_000, 1.0)
    assert link.acknowledged(first or b"", 1.0 + first_s)
    second = link.sent(3_000, 2.0)
    assert link.acknowledged(second or b"", 2.03)
    assert link.detail == FINE


def test_little_frames_are_marked_seldom_and_say_nothing_of_the_link() -> None:
    link = Link()
    names = [link.sent(100, 0.05 * number) for number in range(41)]
    assert [number for number, name in enumerate(names) if name is not None] == [0, 20, 40]
    assert MARK_S == 1.0
    assert link.acknowledged(names[40] or b"", 30.0)
    assert (link.detail, link.greeted) == (FINE, True)
    assert not link.acknowledged(names[20] or b"", 30.0)
    assert not link.acknowledged(b"never sent", 30.0)


def test_a_little_now_and_then_is_taken_for_arrived_without_an_answer() -> None:
    link = Link()
    assert link.acknowledged(link.sent(150, 0.0) or b"", 0.01)
    assert [link.sent(300, 1.0 + second) for second in range(100)] == [None] * 100
    assert (link.greeted, link.full) == (True, False)
    # What comes close upon each other is marked as ever.
    assert link.sent(1_800, 100.2) is not None


def test_whether_a_link_is_presumed_slow_is_known() -> None:
    link = Link()
    assert not link.presumed
    link.presume_slow()
    assert link.presumed


def test_no_more_than_so_much_is_on_its_way_however_good_the_link() -> None:
    link = Link()
    for number in range(50):
        name = link.sent(6_000, number)
        assert link.acknowledged(name or b"", number)
    sent = 0
    while not link.full:
        link.sent(6_000, 60.0)
        sent += 6_000
    assert MOST_WINDOW <= sent < MOST_WINDOW + 6_000


def test_the_newest_mark_stands_for_all_before_it() -> None:
    link = Link()
    assert link.newest_mark == b""
    link.sent(100, 0.0)
    name = link.sent(FIRST_WINDOW, 0.0)
    assert (link.newest_mark, link.full) == (name, True)
    assert link.acknowledged(link.newest_mark, 0.1)
    assert (link.newest_mark, link.full, link.greeted) == (b"", False, True)
