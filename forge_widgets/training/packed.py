"""A step as it lies in the ring: a string of doubles, laid out by its shape.

The loop's thread packs, the publisher's cuts a batch into columns. Packed, a step of four metrics takes 128 bytes instead
of the 290 of a tuple and its floats, and the garbage collector has nothing to look at.
"""

from __future__ import annotations

import struct
import threading
from array import array
from collections.abc import Callable, Sequence
from itertools import count, islice, repeat
from numbers import Real
from operator import add, itemgetter
from types import FunctionType
from typing import Any, NamedTuple

from forge_widgets.core.steps import Column

LEFT_OUT: Any = struct.unpack("<d", b"forge!\xf8\x7f")[0]
"""Stands where a step doesn't have a number: a NaN that no arithmetic makes, so that a user's NaN is another."""

COMMON = ("currentStep", "loss", "currentModel", "totalSteps", "totalModels", "accuracy", "learning_rate", "grad_norm")
"""The metrics that every packed step has room for, in order: what most loops log."""

MAX_NAMINGS = 256
"""Sets of names beside the COMMON ones that one ring knows; steps with further ones are kept as they are given."""

_HEAD = 2  # the shape's number and the moment
_MODEL = _HEAD + COMMON.index("currentModel")
_DOUBLE = 8
_LEFT_OUT_BYTES = struct.pack("d", LEFT_OUT)
_LEFT_OUT_BITS = array("q", _LEFT_OUT_BYTES)[0]


pack_common = struct.Struct(f"{_HEAD + len(COMMON)}d").pack
"""Pack the shape's number, the moment and the COMMON metrics. Raises struct.error for what is no number."""

FROM_ZERO, FROM_ONE = 0.0, 1.0
"""Numbers of the shapes of the COMMON metrics alone: of steps whose model counts from 0, or from 1."""


class Shape(NamedTuple):
    """How a packed step lies: its number, the moment, the COMMON metrics by ``pack_common``, others by ``pack_others``."""

    number: float
    # All of its metrics' names, as the caller wrote them.
    names: tuple[str, ...]
    pack_others: Callable[..., bytes]
    # What makes its model count from 1.
    to_model: int


class Shapes:
    """The shapes of one ring's steps. Any thread asks; what was once given stays."""

    def __init__(self) -> None:
        # By the types of the COMMON metrics and the others' names: steps that can be packed as they are, if the types of
        # the others are plain: numbers without a wait, an array library's scalars among them.
        self.known: dict[tuple[object, ...], Shape] = {}
        self.plain: set[type] = {float, int}
        # By the others' names: shapes of steps whose model counts from 0, and from 1.
        self.from_zero: dict[tuple[str, ...], Shape] = {}
        self._from_one: dict[tuple[str, ...], Shape] = {}
        # By number, each drawn once: a signal's handler may add a shape while its thread adds another.
        self._shapes: dict[int, Shape] = {}
        self._numbers = count()
        # One that its holder may take again: a signal's handler may record a step, too.
        self._lock = threading.RLock()
        self.of(())

    def of(self, others: tuple[str, ...]) -> Shape | None:
        """Return the shape of steps with these metrics beside the COMMON ones, models from 1; None where there are too many."""
        with self._lock:
            if others not in self._from_one and len(self._from_one) < MAX_NAMINGS:
                self.from_zero[others] = self._add(others, to_model=1)
                self._from_one[others] = self._add(others, to_model=0)
            return self._from_one.get(others)

    def learn(self, shape: Shape, values: tuple[Any, ...]) -> None:
        """Note that a step of this shape whose values are of the same types as these can be packed as it is, if it can."""
        if len(self.known) < 4 * MAX_NAMINGS and all(map(_is_plain, values)):
            self.plain.update(map(type, values))
            common = len(COMMON)
            kinds = (*map(type, values[:common]), shape.names[common:])
            self.known[kinds] = shape

    def _add(self, others: tuple[str, ...], *, to_model: int) -> Shape:
        number = next(self._numbers)
        pack_others = struct.Struct(f"{len(others)}d").pack
        shape = self._shapes[number] = Shape(float(number), (*COMMON, *others), pack_others, to_model)
        return shape

    def at(self, row: bytes) -> Shape:
        """Return the shape of a packed step, or of its first bytes."""
        return self._shapes[int(struct.unpack_from("d", row)[0])]


def _is_plain(value: object) -> bool:
    """Say whether struct reads such a value as float() does: not one that is read in Python, since a Ctrl-C meanwhile is lost."""
    return isinstance(value, Real) and not isinstance(getattr(type(value), "__float__", None), FunctionType)


shape_bytes: Callable[[bytes], bytes] = itemgetter(slice(_DOUBLE))
"""Return what packed steps of one shape begin with."""


def unpacked(shape: Shape, row: bytes) -> tuple[float, tuple[str, ...], tuple[Any, ...]]:
    """Return a step's moment, and its metrics by the names that the caller wrote; LEFT_OUT itself where it has none."""
    numbers, bits = array("d", row), array("q", row)
    numbers[_MODEL] += shape.to_model
    values = (LEFT_OUT if bit == _LEFT_OUT_BITS else value for value, bit in zip(numbers, bits, strict=True))
    return numbers[1], shape.names, tuple(islice(values, _HEAD, None))


def columns_of(shape: Shape, rows: Sequence[bytes]) -> tuple[array[float], list[tuple[str, Column]]]:
    """Return the moments of steps of one shape, and a column for each metric that any of them has, by the callers' names."""
    table = array("d", b"".join(rows))
    width = len(shape.names) + _HEAD
    columns = [(name, _column(table[at::width])) for at, name in enumerate(shape.names, _HEAD)]
    if shape.to_model:
        columns[_MODEL - _HEAD] = ("currentModel", _counted_from_one(columns[_MODEL - _HEAD][1]))
    return table[1::width], [(name, column) for name, column in columns if column is not None]


def _counted_from_one(models: Column | None) -> Column | None:
    if models is None:
        return None
    return Column(array("d", map(add, models.values, models.present or repeat(1))), models.present)


def _column(values: array[float]) -> Column | None:
    """Make a column of numbers, some of which may be left out; None where all are."""
    encoded = values.tobytes()
    if _LEFT_OUT_BYTES not in encoded:
        return Column(values)
    if encoded == _LEFT_OUT_BYTES * len(values):
        return None
    present = bytes([bits != _LEFT_OUT_BITS for bits in array("q", encoded)])
    if 0 not in present:  # what looked like it lay across two numbers
        return Column(values)
    return Column(array("d", [value if has else 0.0 for value, has in zip(values, present, strict=True)]), present)
