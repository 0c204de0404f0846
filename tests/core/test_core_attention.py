"""What was seen to be written to is looked into soon, until it can be read, and not for ever."""

from __future__ import annotations

from itertools import pairwise

from forge_widgets.core.attention import FORGOTTEN_S, SETTLED, Attention


def looks(attention: Attention, begin_ms: int, end_ms: int, *, found_at_ms: float = 1e9) -> list[int]:
    """Glimpse every 5 ms, and look where that is due; return when, in milliseconds."""
    at = []
    for now_ms in range(begin_ms, end_ms, 5):
        if attention.is_due(now_ms / 1e3):
            at.append(now_ms)
            attention.looked(now_ms / 1e3, found=now_ms >= found_at_ms)
    return at


def test_what_nobody_wrote_to_is_not_looked_into() -> None:
    attention = Attention()
    attention.saw(None, 0.0)
    assert looks(attention, 0, 1_000) == []


def test_a_look_comes_at_once_and_no_later_than_a_quarter_of_what_the_disk_took() -> None:
    attention = Attention()
    attention.saw("written", 1.0)
    at = looks(attention, 1_000, 1_500)
    assert at[:5] == [1_000, 1_005, 1_010, 1_015, 1_020]
    for earlier, later in pairwise(at):
        assert later - earlier <= (later - 1_000) / 4 + 5


def test_once_something_was_found_looks_get_rare_quickly() -> None:
    attention = Attention()
    attention.saw("written", 1.0)
    at = looks(attention, 1_000, 3_000, found_at_ms=1_010)
    after = [one for one in at if one > 1_010]
    assert len(after) <= 9
    assert SETTLED == 1.0
    assert looks(attention, 1_000 + int(FORGOTTEN_S * 1e3) + 5, 9_000) == []


def test_what_is_written_to_again_is_looked_into_again() -> None:
    attention = Attention()
    attention.saw("written", 1.0)
    looks(attention, 1_000, 4_000, found_at_ms=1_000)
    attention.saw("written", 4.0)
    assert not attention.is_due(4.0)
    attention.saw("written again", 4.0)
    assert attention.is_due(4.0)
