"""The page is made of the committed figures, and says all that they do."""

from __future__ import annotations

import json

from tests.bench import tables
from tests.bench.measure import Goal, growth, row
from tests.bench.measured import Json, Spread
from tests.bench.measures import ALL
from tests.bench.report import IMAGES, PAGE, RESULTS, filled


def spread(*values: float) -> Json:
    return Spread.of(list(values), "µs").json()


def test_the_page_holds_what_the_committed_results_say() -> None:
    page = PAGE.read_text("utf-8")
    assert filled(page, json.loads(RESULTS.read_text("utf-8"))) == page


def test_every_plot_of_the_page_is_there() -> None:
    found = json.loads(RESULTS.read_text("utf-8"))["measures"]
    for name, measure in found.items():
        for index, _ in enumerate(measure.get("growth", ())):
            assert (IMAGES / tables.image_name(name, index)).exists()


def test_reasons_are_of_measures_that_there_are() -> None:
    assert set(tables.reasons()) <= {measure.name for measure in ALL}


def test_a_row_names_everybody_and_says_which_goals_are_met() -> None:
    figures = {
        "deque": {"role": "floor", **spread(1.0)},
        "tracker": {"role": "peer", **spread(40.0)},
        "other": {"role": "peer", "failed": "not installed: no such version"},
        "forge_widgets": {"role": "ours", **spread(1.5, 2.0, 2.5)},
    }
    goals = [Goal("≤", 1.3, "floor"), Goal("≥", 10.0, "peers"), Goal("≤", 3.0, part="p99")]
    made = row("one step", figures, goals, unit="µs")
    found = {"measures": {"emit": {"rows": [made]}}}
    last = tables.summary(found).splitlines()[-1]
    assert "| deque 1 µs | tracker 40 µs, other failed | 2 µs |" in last
    assert "≤ 1.3 × floor (now 2), ≥ 10 × the best peer (now 20), p99 ≤ 3 µs (now 2.5)" in last
    assert last.endswith("| **no**, yes, yes, [why](#one-step) |")
    assert "not installed: no such version" in tables.measures(found)


def test_a_measure_that_failed_stands_in_the_table() -> None:
    found = {"measures": {"emit": {"failed": "OSError: no disk"}}}
    assert "not measured" in tables.summary(found)
    assert "OSError: no disk" in tables.measures(found)


def test_growth_is_said_as_an_exponent() -> None:
    lines = {"forge_widgets": [(1_000.0, 1.0), (1_000_000.0, 1.0)]}
    grown = growth("One step", lines, over="steps", unit="µs", most=0.0)
    found = tables.measures({"measures": {"emit": {"rows": [], "growth": [grown]}}})
    assert "| forge_widgets | 1,000 to 1,000,000 | 1 to 1 µs | 0.00 | no |" in found


def test_figures_have_three_digits() -> None:
    assert [tables.number(value) for value in (0.0, 0.00012345, 1.2345, 123.45, 1234.5, 944_123.0)] == [
        "0",
        "0.000123",
        "1.23",
        "123",
        "1,230",
        "944,000",
    ]
