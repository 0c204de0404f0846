"""What a viewer is due: the first frame at once, then no more often than so, events sooner than rows, finer curves later."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import pytest

from forge_widgets.core.brief import Brief, Shapes, brief_of
from forge_widgets.core.events import Record
from forge_widgets.core.refinement import REFINE_S
from forge_widgets.core.state import State
from forge_widgets.core.steps import block_of
from forge_widgets.core.subscription import FINE, Cursor, Frame
from forge_widgets.core.view import Rhythm, View, key_of

SPACING_S = 0.05


@cache
def outline() -> Brief:
    """Make a frame in brief that leaves rows out."""
    block = block_of((1.0 + step / 500, {"currentStep": float(step), "loss": math.sin(step)}) for step in range(9))
    record = Record(offset=2, attempt=1, producer="p", sequence=2, body=block)
    made = brief_of(Frame("e", 2, 10, False, State(), [record]), Shapes(), "outline")
    assert made is not None
    assert made.outlined
    return made


def at(offset: int) -> Cursor:
    return Cursor("e", offset)


def send(view: View, now: float, rhythm: Rhythm, offset: int, *, pause_s: float = 0.0, outlined: bool = False) -> None:
    view.had(at(offset), outline() if outlined else None, now, rhythm, pause_s)


def test_the_first_frame_comes_at_once_and_the_next_a_spacing_later() -> None:
    view, rhythm = View(None, 10.0), Rhythm(SPACING_S)
    assert view.asks(10.0, at(5), 0, FINE) == (None, FINE, False, None, None)
    send(view, 10.0, rhythm, 5)
    assert view.asks(10.01, at(6), 0, FINE) is None
    assert view.waits_until(10.01, at(6), 0) == pytest.approx(10.05625)
    assert view.asks(10.057, at(6), 0, FINE) == (at(5), FINE, False, None, None)


def test_who_has_all_waits_for_nothing() -> None:
    view, rhythm = View("rows", 10.0), Rhythm(SPACING_S)
    send(view, 10.0, rhythm, 5)
    assert view.asks(11.0, at(5), 0, FINE) is None
    assert view.waits_until(11.0, at(5), 0) == math.inf
    assert view.asks(11.0, at(6), 0, FINE) == (at(5), FINE, False, "rows", None)


def test_viewers_who_came_at_different_times_come_to_share_their_moments() -> None:
    rhythm = Rhythm(SPACING_S)
    views = [View(None, 0.0) for _ in range(3)]
    for number, view in enumerate(views):
        send(view, 1.0 + 0.017 * number, rhythm, number)
    assert len({round(view.not_before, 6) for view in views}) == 2
    for view in views:
        send(view, view.not_before, rhythm, 9)
    (one,) = {round(view.not_before, 6) for view in views[:2]}
    assert one == pytest.approx(1.10625)


def test_frames_come_no_more_often_than_once_a_spacing_and_half_a_spacing_apart_at_least() -> None:
    view, rhythm, frames = View(None, 0.0), Rhythm(SPACING_S), []
    now = 5.0
    for number in range(2_000):
        now += 0.0031 if number % 7 else 0.019  # a loop that is late now and then
        if view.asks(now, at(number + 1), 0, FINE) is not None:
            send(view, now, rhythm, number + 1)
            frames.append(now)
    assert len(frames) <= (frames[-1] - frames[0]) / SPACING_S + 1
    assert min(later - earlier for earlier, later in pairwise(frames)) >= SPACING_S / 2
    assert len(frames) >= 0.9 * (frames[-1] - frames[0]) / SPACING_S


def test_a_frame_after_a_quiet_while_begins_the_moments_anew() -> None:
    view, rhythm = View(None, 0.0), Rhythm(SPACING_S)
    send(view, 1.0, rhythm, 1)
    send(view, 7.013, rhythm, 2)
    assert view.not_before == pytest.approx(7.06925)


def test_a_link_that_asks_for_a_longer_pause_has_it() -> None:
    view, rhythm = View(None, 0.0), Rhythm(SPACING_S)
    send(view, 1.0, rhythm, 1, pause_s=0.5)
    assert view.not_before == pytest.approx(1.50625)


def test_after_an_outline_rows_wait_for_the_next_but_one_and_an_event_does_not() -> None:
    view, rhythm = View("outline", 0.0), Rhythm(SPACING_S)
    send(view, 1.0, rhythm, 10, outlined=True)
    assert view.asks(1.06, at(20), 9, FINE) is None
    assert view.waits_until(1.06, at(20), 9) == pytest.approx(1.10625)
    assert view.asks(1.06, at(20), 15, FINE) == (at(10), FINE, False, "outline", outline().ending)
    assert view.waits_until(1.06, at(20), 15) == pytest.approx(1.05625)
    assert view.asks(1.11, at(20), 9, FINE) is not None


def test_curves_that_came_in_few_points_are_asked_for_again_whether_or_not_there_is_news() -> None:
    view, rhythm = View(None, 0.0), Rhythm(SPACING_S)
    send(view, 1.0, rhythm, 5)
    view.had_curves(1.0, coarse=True, refines=False)
    assert view.waits_until(1.2, at(5), 0) == pytest.approx(1.2 + REFINE_S)
    assert view.asks(1.2, at(5), 0, FINE) is None
    assert view.asks(1.0 + REFINE_S, at(5), 0, FINE) == (at(5), FINE, True, None, None)
    view.had_curves(2.0, coarse=False, refines=True)
    assert view.waits_until(3.0, at(5), 0) == math.inf


def test_who_says_that_its_curves_are_coarse_is_asked_for_finer_ones() -> None:
    view = View(None, 0.0)
    view.start(at(5), 1.0, coarse=True)
    assert view.asks(1.0 + REFINE_S, at(5), 0, FINE) == (at(5), FINE, True, None, None)
    view.start(at(3), 2.0, coarse=False)
    assert view.asks(2.0, at(5), 0, FINE) == (at(3), FINE, False, None, None)


def test_a_frame_in_brief_can_go_on_from_the_one_before_it_and_from_no_other() -> None:
    view, rhythm, ending = View("outline", 0.0), Rhythm(SPACING_S), outline().ending
    assert ending is not None
    send(view, 1.0, rhythm, 10, outlined=True)
    asked = view.asks(1.2, at(20), 15, FINE)
    assert asked is not None
    assert asked[4] is ending
    assert key_of(asked) == (*asked[:4], ending.token)
    send(view, 1.2, rhythm, 20)  # as JSON
    asked = view.asks(1.4, at(30), 15, FINE)
    assert asked is not None
    assert key_of(asked) == asked == (at(20), FINE, False, "outline", None)
    send(view, 1.4, rhythm, 30, outlined=True)
    view.start(at(25), 1.5, coarse=False)
    assert view.ending is None
