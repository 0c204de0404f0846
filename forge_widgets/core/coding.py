"""How the numbers of a column are told in a frame in brief: as their differences to what was to be expected, in so many bits each.

Pure. A coding is planned for the frames of a shape from what the newest of them would have taken, and told beforehand; a
column that does not fit says its own. Called by core/brief.py; docs/PROTOCOL.md says what the numbers mean.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import or_, sub

from msgspec import Struct

from forge_widgets.core.bits import GOLOMB_LIMIT, whole_numbers

PERPLEXITY, WHOLE, SAME, ONWARD = range(4)
"""What is expected of a value: what its row's loss says; the one before, and told by the difference of whole numbers; the one
before; as far from the one before as that was from its own. Where two take as much, the first of them is taken."""

OWN_BITS = 16
"""What a column's own coding takes: 2 bits of what is expected, 6 of the shift, 7 of the width, 1 of whether rows lack it."""

RECENT_FRAMES = 32
"""A plan is made of so many frames."""

RENEWED_AFTER_BITS = 3_000
"""A plan that has wasted so many bits is renewed, the next one after twice as many, then 3 times: telling a plan takes 2,000."""

ALL_ZERO = 64
"""The zeros at the end of differences that are nothing else."""

_WHOLE_SHIFT = 8
"""Keys that differ in lower bits than this are of no whole numbers that are worth a look."""

_TOLD_IN_FULL = GOLOMB_LIMIT + 64
_TWO_63, _ALL_BITS = 2**63, 2**64 - 1


class Coding(Struct, frozen=True):
    """How the values of a column are told."""

    expected: int = SAME
    # Zeros at the end of each difference, which are left out.
    shift: int = 0
    # 0: all are as expected. Else one more than the lowest bits of what is left, its sign folded in, that are told as they are.
    width: int = 0


class Differences(Struct, frozen=True):
    """A column's differences to one expectation, and what they take."""

    values: Sequence[int]
    # The mean of what they are without their sign, twice: that is, of the folded ones.
    mean: float
    # Zeros at the end of each; ALL_ZERO where all are 0.
    shift: int

    def cost(self, coding: Coding, count: int) -> float:
        """Return about how many bits so many such values take by a coding; infinite where it can't tell them."""
        if not self.mean:
            return count * coding.width
        if not coding.width or self.shift < coding.shift:
            return math.inf
        rest = math.ldexp(self.mean, 1 - coding.width - coding.shift)
        return count * (coding.width + rest if rest < GOLOMB_LIMIT else _TOLD_IN_FULL)

    def coding(self, expected: int, shift: int) -> Coding:
        """Return the coding that takes the fewest bits."""
        return Coding(expected, shift, max(1, int(math.ldexp(self.mean, -shift)).bit_length()) if self.mean else 0)


Options = Mapping[int, Differences]
"""A column's differences by what was expected."""


def differences_of(keys: Sequence[int], last: int, before: int, likely: Sequence[int] | None) -> Options:
    """Return a column's differences to each expectation; ``last`` and ``before`` are the keys of the two rows before it.

    ``likely`` are the keys that the rows' losses let expect, None where they do not.
    """
    steps = list(map(sub, keys, chain((last,), keys)))
    same = _differences(steps)
    still = last == before and not same.mean
    onward = same if still else _differences(list(map(sub, steps, chain((last - before,), steps))))
    options = {SAME: same, ONWARD: onward}
    if likely is not None:
        options[PERPLEXITY] = _differences(list(map(sub, keys, likely)))
    if same.shift >= _WHOLE_SHIFT:
        whole = whole_numbers((last, *keys))
        if whole is not None:
            options[WHOLE] = _differences(list(map(sub, whole[1:], whole)))
    return options


def _differences(values: list[int]) -> Differences:
    if min(values) < -_TWO_63 or max(values) >= _TWO_63:
        values = [((value + _TWO_63) & _ALL_BITS) - _TWO_63 for value in values]
    together = reduce(or_, values)
    shift = (together & -together).bit_length() - 1 if together else ALL_ZERO
    return Differences(values, 2 * sum(map(abs, values)) / len(values), shift)


def best_of(options: Options) -> Coding:
    """Return the coding that takes the fewest bits."""
    codings = [each.coding(expected, each.shift % ALL_ZERO) for expected, each in options.items()]
    return min(codings, key=lambda coding: (coding.width, coding.expected))


class Taken(Struct, frozen=True):
    """What one column of one frame takes: how many values, and of each expectation how great the differences are."""

    values: int
    options: Options
    best: Coding

    def cost(self, coding: Coding) -> float:
        """Return about how many bits it takes by a coding; infinite where that can't tell it."""
        differences = self.options.get(coding.expected)
        return math.inf if differences is None else differences.cost(coding, self.values)

    @property
    def least(self) -> float:
        """Return about how many bits it takes by its best coding, without what tells that."""
        return self.cost(self.best)


class Planner:
    """Plans how the frames of one shape are told: each column by the coding that would have cost least in the newest frames."""

    def __init__(self) -> None:
        self.plan: tuple[Coding, ...] = ()
        self._recent: deque[Sequence[Taken]] = deque(maxlen=RECENT_FRAMES)
        self._renewals = 0
        # Bits that the frames took beyond what they would have taken each by its own best coding.
        self._wasted = 0.0

    def renewed(self, columns: Sequence[Taken], *, may_renew: bool) -> bool:
        """Note what a frame's columns take. Return True where there is another plan now, by which it has to be told."""
        self._recent.append([Taken(each.values, _sizes(each.options), each.best) for each in columns])
        due = may_renew and self._wasted >= RENEWED_AFTER_BITS * self._renewals
        if self.plan and not due:
            return False
        plan = tuple(_planned(column) for column in zip(*self._recent, strict=True))
        self._renewals += 1
        self._wasted = 0.0
        changed, self.plan = plan != self.plan, plan
        return changed

    def note_waste(self, bits: float) -> None:
        """Note what a frame took beyond what it had to."""
        self._wasted += bits


def _sizes(options: Options) -> Options:
    """Drop the values: a plan asks only how great they are."""
    return {expected: Differences((), each.mean, each.shift) for expected, each in options.items()}


def _planned(column: Sequence[Taken]) -> Coding:
    """Return the coding by which all of a column's frames would have cost least."""
    costs: dict[Coding, float] = {}
    for expected in set(column[0].options).intersection(*(taken.options for taken in column)):
        # None that differs is as good as any shift.
        shift = min(taken.options[expected].shift for taken in column) % ALL_ZERO
        for coding in {taken.options[expected].coding(expected, shift) for taken in column}:
            costs[coding] = sum(
                min(taken.options[expected].cost(coding, taken.values), taken.least + OWN_BITS) for taken in column
            )
    return min(costs, key=lambda coding: (costs[coding], coding.width, coding.expected))
