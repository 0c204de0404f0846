"""Messages as JSON, where the vectors do not tell of them: greetings, heartbeats, thinned curves."""

from __future__ import annotations

import math

import pytest

from forge_widgets.core import wire
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.series import Series
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor, Frame
from forge_widgets.core.wire import MIN_LINE_POINTS, series_message


def curves(lines: int) -> Series:
    series = Series()
    for step in range(300):
        metrics = {f"m{number}": math.sin(step * (number + 1)) for number in range(lines)}
        series.add_row({"currentStep": float(step), **metrics})
    return series


def sent(series: Series, most: int | None) -> wire.Json:
    """Build the message of a key frame with about so many points."""
    return wire.frame_message("s", Frame("e", 1, 9, True, State(), (), points=most), series)


def test_all_points_are_sent_unless_fewer_are_asked_for() -> None:
    whole, thinned = sent(curves(2), None), sent(curves(2), 100)
    assert [len(line["steps"]) for line in whole["series"]] == [300, 300]
    assert [len(line["values"]) for line in thinned["series"]] == [50, 50]
    assert whole["series"] == series_message(curves(2))
    assert (whole["coarse"], thinned["coarse"], sent(curves(2), 600)["coarse"]) == (False, True, False)


def test_a_thinned_line_keeps_its_newest_point_and_its_extremes_to_six_digits() -> None:
    whole, thinned = (sent(curves(1), most)["series"][0] for most in (None, 40))
    assert thinned["steps"][-1] == 299
    for extreme in (min, max):
        assert extreme(thinned["values"]) == pytest.approx(extreme(whole["values"]), rel=1e-5)
    assert all(value == float(f"{value:.6g}") for value in thinned["values"])


def test_what_is_not_finite_is_thinned_like_all_else() -> None:
    series = Series()
    for step in range(50):
        series.add_row({"currentStep": float(step), "loss": math.inf if step == 20 else float(step)})
    series.add_row({"currentStep": 50.0, "loss": math.nan})
    (line,) = sent(series, 10)["series"]
    assert line["values"][-1] == "NaN"
    assert "Infinity" in line["values"]


def test_of_many_lines_each_keeps_a_few_points() -> None:
    assert {len(line["steps"]) for line in sent(curves(30), 60)["series"]} == {MIN_LINE_POINTS}


def test_of_an_offer_the_newest_known_version_is_taken() -> None:
    offers = ("1", "2,1", " 1 ,x", "2", "", "1.0")
    assert [wire.agreed_protocol(offered) for offered in offers] == [1, 1, 1, None, None, None]


def test_a_view_is_greeted_and_told_where_the_log_stands_as_the_protocol_says() -> None:
    assert wire.welcome_message("s", "store-1", 10.0, 5.0) == {
        "type": "welcome",
        "protocol": wire.PROTOCOL,
        "sessionId": "s",
        "storeId": "store-1",
        "heartbeatSeconds": 10.0,
        "timestamp": 5.0,
    }
    assert wire.heartbeat_message(Cursor("e", 7), Arrears(3, "the disk is full"), 5.0) == {
        "type": "heartbeat",
        "epoch": "e",
        "top": 7,
        "unsaved": 3,
        "reason": "the disk is full",
        "timestamp": 5.0,
    }
