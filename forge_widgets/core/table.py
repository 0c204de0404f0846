"""The rows of a frame in brief as columns of bits: each told by the coding that was planned for it, or by one of its own.

Pure; called by core/brief.py. Exact: what is read is what was recorded, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from forge_widgets.core.bits import Bits, folded, keys_of
from forge_widgets.core.coding import OWN_BITS, Coding, Taken, best_of, differences_of
from forge_widgets.core.exponential import likely_perplexity
from forge_widgets.core.steps import Column, StepBlock

Keys = tuple[int, ...]
"""The keys of a row's values, the timestamp's first."""


class Known(Struct, frozen=True):
    """What the reader of a table has before it."""

    # The newest row, and the one before that; the same where there is none.
    last: Keys
    before: Keys


class Cells(Struct, frozen=True):
    """A column of the table: which rows have it, its keys, and what they take."""

    present: bytes | None
    keys: Sequence[int]
    taken: Taken

    def coding(self, planned: Coding) -> Coding:
        """Return by what it is told: as planned, where that is possible and takes no more than another and to tell that."""
        return planned if self.taken.cost(planned) <= self.taken.least + OWN_BITS else self.taken.best


class Table:
    """The rows of one frame, compared with those before them."""

    def __init__(self, block: StepBlock, names: Sequence[str], known: Known | None, *, derives: bool) -> None:
        """Take rows; ``known`` is None where they stand alone, ``derives`` whether perplexity may be told by the loss."""
        columns = [Column(block.timestamps), *(block.columns[name] for name in names)]
        keys = [keys_of(_told(column)) for column in columns]
        # Rows that stand alone begin with this: the first value of each column.
        base = tuple(each[0] for each in keys)
        self.known = Known(base, base) if known is None else known
        likely = _likely(block) if derives else None
        self.columns = [
            _cells(column, keys[at], self.known, at, likely if at and names[at - 1] == "perplexity" else None)
            for at, column in enumerate(columns)
        ]

    def __len__(self) -> int:
        """How many rows it has."""
        return len(self.columns[0].keys)

    @property
    def taken(self) -> list[Taken]:
        """What each column takes, for who plans."""
        return [cells.taken for cells in self.columns]

    @property
    def newest(self) -> Known | None:
        """What the reader knows after it; None where rows lack a metric, so that not all have the same before them."""
        if any(cells.present is not None for cells in self.columns):
            return None
        last = tuple(cells.keys[-1] for cells in self.columns)
        return Known(last, self.known.last if len(self) == 1 else tuple(cells.keys[-2] for cells in self.columns))

    def choose(self, plan: Sequence[Coding]) -> tuple[list[Coding], bool]:
        """Return the coding of each column, and whether they have to be told since some are not as planned."""
        codings = [cells.coding(planned) for cells, planned in zip(self.columns, plan, strict=True)]
        return codings, codings != list(plan) or any(cells.present is not None for cells in self.columns)

    def put(self, bits: Bits, codings: Sequence[Coding], plan: Sequence[Coding], *, own: bool) -> float:
        """Append all columns. Return about how many bits more they take than each by its best coding would, were that known."""
        wasted = 0.0
        for cells, coding, planned in zip(self.columns, codings, plan, strict=True):
            if own:
                alone = coding != planned or cells.present is not None
                bits.flags(alone)
                wasted += 1 + OWN_BITS * alone
                if alone:
                    _put_own(bits, coding, cells.present)
            if coding.width:
                differences = cells.taken.options[coding.expected].values
                bits.put_golomb((folded(value >> coding.shift) for value in differences), coding.width - 1)
            wasted += cells.taken.cost(coding) - cells.taken.least
        return wasted


def _told(column: Column) -> Sequence[float]:
    if column.present is None:
        return column.values
    return [value for value, there in zip(column.values, column.present, strict=True) if there]


def _likely(block: StepBlock) -> list[int] | None:
    """Return the keys of what the rows' losses let expect of their perplexities; None where some row lacks one of them."""
    losses, perplexities = block.columns.get("loss"), block.columns.get("perplexity")
    if losses is None or perplexities is None or losses.present is not None or perplexities.present is not None:
        return None
    return keys_of([likely_perplexity(loss) for loss in losses.values])


def _cells(column: Column, keys: Sequence[int], known: Known, at: int, likely: Sequence[int] | None) -> Cells:
    options = differences_of(keys, known.last[at], known.before[at], likely)
    return Cells(column.present, keys, Taken(len(keys), options, best_of(options)))


def _put_own(bits: Bits, coding: Coding, present: bytes | None) -> None:
    bits.put(coding.expected, 2)
    bits.put(coding.shift, 6)
    bits.put(coding.width, 7)
    bits.flags(present is not None, *(present or ()))
