"""Messages as JSON, where the vectors do not tell of them: greetings, heartbeats, thinned curves."""

from __future__ import annotations

import math

from forge_widgets.core import wire
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.series import Series
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.wire import MIN_LINE_POINTS, series_message


def curves(lines: int) -> Series:
    series = Series()
    for step in range(300):
        metrics = {f"m{number}": math.sin(step * (number + 1)) for number in range(lines)}
        series.add_row({"currentStep": float(step), **metrics})
    return series


def test_all_points_are_sent_unless_fewer_are_asked_for() -> None:
    assert [len(line["steps"]) for line in series_message(curves(2))] == [300, 300]
    assert [len(line["values"]) for line in series_message(curves(2), 100)] == [50, 50]


def test_a_thinned_line_keeps_its_newest_point_and_its_extremes() -> None:
    whole, thinned = (series_message(curves(1), most)[0] for most in (None, 40))
    assert thinned["steps"][-1] == 299
    assert (min(thinned["values"]), max(thinned["values"])) == (min(whole["values"]), max(whole["values"]))


def test_of_many_lines_each_keeps_a_few_points() -> None:
    assert {len(line["steps"]) for line in series_message(curves(30), 60)} == {MIN_LINE_POINTS}


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
