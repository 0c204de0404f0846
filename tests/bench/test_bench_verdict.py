"""What is made of figures: goals, slopes, what got worse. The figures themselves are no test's business."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.bench.compare import standings, worse
from tests.bench.measure import Goal, growth, row
from tests.bench.measured import Json, Spread
from tests.bench.verdict import best_peer, exponent, figure_of, met, outgrows, reached


def figures(floor: float | None, peer: float | None, ours: float | None) -> Json:
    of = {"floor": floor, "peer": peer, "ours": ours}
    return {
        role: {"role": role, **({"failed": "gone"} if value is None else Spread.of([value], "µs").json())}
        for role, value in of.items()
    }


def judged(goal: Goal, found: Json, *, more: bool = False) -> tuple[float | None, bool | None]:
    made = row("a step", found, [goal], unit="µs", more=more)
    return reached(made, made["goals"][0]), met(made, made["goals"][0])


def results(found: Json, goals: Sequence[Goal] = (), *, more: bool = False) -> Json:
    return {"measures": {"emit": {"rows": [row("a step", found, goals, unit="µs", more=more)]}}}


@pytest.mark.parametrize(
    ("goal", "more", "expected"),
    [
        (Goal("≤", 1.3, "floor"), False, (1.2, True)),
        (Goal("≤", 1.1, "floor"), False, (1.2, False)),
        (Goal("≥", 30.0, "peers"), False, (50.0, True)),
        (Goal("≥", 1.0, "peers"), True, (0.02, False)),
        (Goal("≤", 2.5, part="p99"), False, (2.4, True)),
    ],
)
def test_a_goal_is_judged_by_the_figure_or_by_its_ratio(goal: Goal, more: bool, expected: tuple[float, bool]) -> None:
    value, verdict = judged(goal, figures(2.0, 120.0, 2.4), more=more)
    assert value == pytest.approx(expected[0])
    assert verdict is expected[1]


@pytest.mark.parametrize(
    ("goal", "found"),
    [
        (Goal("≤", 1.3, "floor"), figures(None, 120.0, 2.4)),
        (Goal("≥", 30.0, "peers"), figures(2.0, None, 2.4)),
        (Goal("≤", 5.0), figures(2.0, 120.0, None)),
    ],
)
def test_a_goal_can_not_be_judged_where_somebody_failed(goal: Goal, found: Json) -> None:
    assert judged(goal, found) == (None, None)


def test_who_stands_beside_is_no_peer() -> None:
    found = figures(2.0, 120.0, 2.4)
    found["tqdm"] = {"role": "aside", **Spread.of([0.1], "µs").json()}
    assert best_peer(row("a step", found, unit="µs")) == found["peer"]
    assert figure_of(row("a step", found, unit="µs"), "floor") == found["floor"]


def test_the_slope_between_decades_is_the_exponent() -> None:
    assert exponent([(10.0, 3.0), (100.0, 30.0), (1000.0, 300.0)]) == pytest.approx(1.0)
    assert exponent([(10.0, 4.0), (1000.0, 4.0)]) == pytest.approx(0.0)


def test_what_rises_faster_than_its_work_is_told() -> None:
    lines = {"linear": [(10.0, 1.0), (1000.0, 100.0)], "square": [(10.0, 1.0), (100.0, 100.0)]}
    grown = growth("all of it", lines, over="steps", unit="s", most=1.0)
    assert [outgrows(grown, name) for name in lines] == [False, True]


def test_what_got_worse_by_more_than_a_quarter_is_said_once() -> None:
    before = results(figures(2.0, 120.0, 2.0))
    assert list(worse(before, results(figures(2.0, 120.0, 3.0)))) == [
        "emit: a step: 1 → 1.5 × floor (1.50 times worse)"
    ]
    assert list(worse(before, results(figures(2.0, 120.0, 2.4)))) == []


def test_a_slower_machine_is_not_worse() -> None:
    assert list(worse(results(figures(2.0, 120.0, 2.0)), results(figures(20.0, 1200.0, 20.0)))) == []


def test_where_more_is_better_less_is_worse() -> None:
    before, after = results(figures(2.0, 120.0, 4.0), more=True), results(figures(2.0, 120.0, 2.0), more=True)
    assert len(list(worse(before, after))) == 1
    assert list(worse(after, before)) == []


def test_without_a_floor_the_best_peer_is_what_counts_and_without_one_the_figure() -> None:
    assert list(worse(results(figures(None, 10.0, 1.0)), results(figures(None, 20.0, 2.0)))) == []
    (line,) = worse(results(figures(None, None, 1.0)), results(figures(None, None, 2.0)))
    assert "1 → 2 µs" in line


def test_far_below_its_goal_a_figure_may_move() -> None:
    goals = [Goal("≤", 1.0)]
    before = results(figures(None, None, 0.01), goals)
    assert list(worse(before, results(figures(None, None, 0.2), goals))) == []
    assert len(list(worse(before, results(figures(None, None, 0.5), goals)))) == 1


def test_where_ours_stands_is_said_of_every_row() -> None:
    found = results(figures(2.0, 120.0, 3.0))
    found["measures"]["rows"] = {"failed": "OSError: no disk"}
    found["measures"]["import"] = {"rows": [row("import", figures(2.0, None, None), unit="ms")]}
    assert list(standings(found)) == [
        "emit: a step: 1.5 × floor",
        "rows: OSError: no disk",
        "import: import: not measured",
    ]


def test_what_has_no_logarithm_is_not_drawn() -> None:
    grown = growth(
        "all",
        {"one": [(1.0, 0.0), (2.0, 1.0)], "two": [(1.0, -1.0), (2.0, 1.0), (3.0, 2.0)]},
        over="steps",
        unit="s",
        most=1.0,
    )
    assert grown["lines"] == {"two": [[2.0, 1.0], [3.0, 2.0]]}


@pytest.mark.parametrize("before", [{"measures": {}}, {}, results(figures(2.0, 1.0, None))])
def test_what_only_one_side_has_is_passed_over(before: Json) -> None:
    assert list(worse(before, results(figures(2.0, 120.0, 9.0)))) == []
