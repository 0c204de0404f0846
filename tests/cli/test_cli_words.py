"""Numbers as a person reads them in a terminal."""

from __future__ import annotations

import pytest

from forge_widgets.cli import words


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.8, "0.8 s"),
        (9.96, "10 s"),
        (41.4, "41 s"),
        (720, "12 min"),
        (3597, "1 h"),
        (4320, "1 h 12 min"),
        (180_000, "2 d 2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, written: str) -> None:
    assert words.duration(seconds) == written


def test_how_long_ago_is_now_at_first() -> None:
    assert words.ago(-1.0) == words.ago(1.9) == "now"
    assert words.ago(41.0) == "41 s ago"
