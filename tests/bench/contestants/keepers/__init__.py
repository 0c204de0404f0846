"""What keeps rows durably: a file each for the floor, for the peers and for ours, all of one shape.

``opened()`` opens it in the current folder and returns what appends blocks: when that returns, their rows are on the disk.
"""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Callable, Sequence
from typing import TypeAlias

Columns: TypeAlias = "dict[str, array[float]]"
"""A block's columns, as contestants/columns.py makes them."""

Append: TypeAlias = Callable[[Sequence[Columns]], object]


def opened(name: str) -> Append:
    """Open the keeper of keepers/NAME.py."""
    append: Append = importlib.import_module(f"tests.bench.contestants.keepers.{name}").opened()
    return append
