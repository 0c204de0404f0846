"""What the benchmarks make of their samples. The figures themselves are no test's business."""

from __future__ import annotations

import pytest

from tests.bench.latency import delays_ms
from tests.bench.measured import Spread, machine


def test_a_spread_is_the_nearest_ranks() -> None:
    spread = Spread.of([float(value) for value in range(100, 0, -1)], "ms")
    assert (spread.median, spread.p95, spread.p99, spread.least, spread.most, spread.samples) == (
        50,
        95,
        99,
        1,
        100,
        100,
    )
    assert Spread.of([3.0], "ms").median == 3.0


def test_a_step_is_shown_when_it_or_a_later_one_is() -> None:
    emitted = {1: 10.0, 2: 11.0, 3: 12.0, 4: 13.0, 5: 14.0}
    shown = [(1, 10.1), (3, 12.5), (4, 13.2)]
    # Step 1 came before we looked, 5 was never shown.
    assert delays_ms(emitted, shown, after=10.5) == pytest.approx([1500.0, 500.0, 200.0])


def test_the_machine_is_described() -> None:
    assert machine()["cores"] >= 1
