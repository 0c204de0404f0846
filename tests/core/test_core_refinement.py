"""Curves that came in few points get more of them as soon as the link bears it, and not again and again."""

from __future__ import annotations

import math

from forge_widgets.core.refinement import REFINE_S, REFINE_SLOW_S, Refinement
from forge_widgets.core.subscription import COARSE, FINE, SPARING


def test_who_has_all_points_is_sent_no_more() -> None:
    refinement = Refinement(0.0, coarse=False)
    assert (refinement.due(1e6, FINE), refinement.pause_s) == (None, math.inf)
    refinement.sent(1e6, coarse=False, refines=False)
    assert refinement.due(2e6, COARSE) is None


def test_a_good_link_gets_all_points_soon_after_its_last_coarse_frame() -> None:
    refinement = Refinement(0.0, coarse=False)
    refinement.sent(5.0, coarse=True, refines=False)
    refinement.sent(5.5, coarse=True, refines=False)
    assert refinement.pause_s == REFINE_S
    assert refinement.due(5.4 + REFINE_S, FINE) is None
    assert refinement.due(5.5 + REFINE_S, FINE) == FINE
    refinement.sent(7.0, coarse=False, refines=True)
    assert refinement.due(1e6, FINE) is None


def test_a_slow_link_gets_more_points_late_and_once() -> None:
    refinement = Refinement(0.0, coarse=True)
    assert refinement.due(REFINE_SLOW_S - 1, COARSE) is None
    assert refinement.due(REFINE_SLOW_S, COARSE) == SPARING
    refinement.sent(31.0, coarse=True, refines=True)
    assert refinement.due(1e6, COARSE) is None
    refinement.sent(40.0, coarse=True, refines=False)
    assert refinement.due(40.0 + REFINE_SLOW_S, COARSE) == SPARING


def test_a_link_that_shows_itself_a_good_one_need_not_wait_as_a_slow_one_does() -> None:
    refinement = Refinement(0.0, coarse=True)
    assert refinement.due(REFINE_S, COARSE) is None
    assert refinement.due(REFINE_S, FINE) == FINE
    refinement.sent(31.0, coarse=True, refines=True)
    assert refinement.due(31.0 + REFINE_S, FINE) == FINE
