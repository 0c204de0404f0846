"""Rows that come so fast that no curve keeps them one by one: told by the newest of them and the extremes of each metric.

Pure. Says which rows have an outline, and writes the extremes; the newest row is told as rows are (core/brief.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from forge_widgets.core.bits import Bits, key_of
from forge_widgets.core.coding import PERPLEXITY, Coding
from forge_widgets.core.exponential import likely_perplexity
from forge_widgets.core.metrics import COORDINATES
from forge_widgets.core.steps import StepBlock

OUTLINE_ROWS = 3
"""Fewer rows than this take less as they are."""

OUTLINE_PER_S = 50.0
"""Rows a second beyond which they are outlined: up to here every row costs less than polling would by far."""

HALVED_PER_S = 200.0
"""Rows a second beyond which a viewer is sent every second outline: ten a second show as much, at half the bytes. Below, each row
is there within 100 ms."""

OUTLINE_SPAN_S = 2.0
"""Rows of a longer time than this did not come as a stream: a viewer was away, and an outline would leave a gap in its curves."""

_EXACT_INTEGER = 2.0**50

_CUT_BITS = 36
"""Bits of an extreme's distance from the newest row rounded off: it is told to a 100,000th of itself, as in a coarse curve."""

_LARGEST = 1e300
"""Beyond this a number might be rounded to infinity."""

_ALIKE_KEYS = 4
"""A perplexity so near to what the loss lets expect is derived from it."""


def comes_fast(block: StepBlock) -> bool:
    """Say whether rows come faster than curves keep them."""
    took_s = block.timestamps[-1] - block.timestamps[0]
    return len(block) >= OUTLINE_ROWS and took_s <= OUTLINE_SPAN_S and len(block) - 1 > OUTLINE_PER_S * took_s


def may_be_halved(block: StepBlock) -> bool:
    """Say whether the rows of an outline come so fast that every second one shows as much."""
    return len(block) - 1 > HALVED_PER_S * (block.timestamps[-1] - block.timestamps[0])


def has_outline(block: StepBlock) -> bool:
    """Say whether the newest row and the extremes tell all that a fold asks of the rows, and stand at steps that only rise."""
    steps, models = block.columns.get("currentStep"), block.columns.get("currentModel")
    if steps is None or not _rise(steps.values):
        return False
    if models is not None and min(models.values) != max(models.values):
        return False
    # A sum that is no number tells of a NaN among them.
    return all(
        column.present is None and math.isfinite(sum(column.values)) and max(map(abs, column.values)) < _LARGEST
        for column in block.columns.values()
    )


def _rise(steps: Sequence[float]) -> bool:
    return all(step.is_integer() and abs(step) < _EXACT_INTEGER for step in steps) and sorted(steps) == list(steps)


def derives_perplexity(block: StepBlock) -> bool:
    """Say whether the extremes of perplexity are those of the loss: exp is monotone, so it is unless somebody recorded another."""
    if "loss" not in block.columns or "perplexity" not in block.columns:
        return False
    losses, perplexities = block.columns["loss"].values, block.columns["perplexity"].values
    return all(
        abs(key_of(likely_perplexity(extreme(losses))) - key_of(extreme(perplexities))) <= _ALIKE_KEYS
        for extreme in (min, max)
    ) and min(losses) != max(losses)


def put_lines(bits: Bits, block: StepBlock, names: Sequence[str], codings: Sequence[Coding]) -> None:
    """Append a bit for each name, whether it is a line, and of each line that nothing else lets expect the two extremes.

    ``codings`` are those of the newest row: a perplexity that was told by its row's loss is that line's, too.
    """
    steps = block.columns["currentStep"].values
    places = {name: _extremes(block.columns[name].values) for name in names}
    back_bits = max(int(steps[-1] - steps[place]).bit_length() for pair in places.values() for place in pair)
    bits.put(back_bits, 6)
    for name, coding in zip(names, codings, strict=True):
        values = block.columns[name].values
        least, greatest = places[name]
        is_line = name not in COORDINATES and values[least] != values[greatest]  # else the newest row says it
        bits.flags(is_line)
        if is_line and coding.expected != PERPLEXITY:
            _put_extremes(bits, values, (least, greatest), [int(steps[-1] - step) for step in steps], back_bits)


def _extremes(values: Sequence[float]) -> tuple[int, int]:
    """Return the places of the least and the greatest value: the newest row's where it has one of them, else the first.

    The newest is told as such, and so its place has to come last: else a curve would run back.
    """
    newest = len(values) - 1
    least, greatest = (
        newest if values[newest] == value else values.index(value) for value in (min(values), max(values))
    )
    return least, greatest


def _put_extremes(
    bits: Bits, values: Sequence[float], places: tuple[int, int], back: Sequence[int], back_bits: int
) -> None:
    newest = key_of(values[-1])
    distances = [(abs(key_of(values[place]) - newest) + (1 << _CUT_BITS - 1)) >> _CUT_BITS for place in places]
    width = max(distances).bit_length()
    bits.put(width, 5)
    bits.flags(places[0] < places[1])
    for distance, place in sorted(zip(distances, places, strict=True), key=lambda told: told[1]):
        is_newest = values[place] == values[-1]
        bits.flags(is_newest)
        if not is_newest:
            bits.put(back[place], back_bits)
            bits.put(distance, width)
