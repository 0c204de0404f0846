"""A step as it lies in the ring: a string of doubles, laid out by its shape.

The loop's thread packs, the publisher's cuts a batch into columns. Packed, a step of four metrics takes 128 bytes instead
of the 290 of a tuple and its floats, and the garbage collector has nothing to look at.
"""

from __future__ import annotations

import struct
import threading
from array import array
from collections.abc import Callable, Sequence
from itertools import islice, repeat
from numbers import Real
from operator import add, itemgetter
from typing import Any, NamedTuple

from forge_widgets.core.steps import Column

LEFT_OUT: Any = struct.unpack("<d", b"forge!\xf8\x7f")[0]
"""Stands where a step doesn't have a number: a NaN that no arithmetic makes, so that a user's NaN is another."""

COMMON = ("currentStep", "loss", "currentModel", "totalSteps", "totalModels", "accuracy", "learning_rate", "grad_norm")
"""The metrics that every packed step has room for, in order: what most loops log."""

MAX_SHAPES = 256
"""Shapes that one ring knows; steps of further ones are kept as they are given."""

_HEAD = 2  # the shape's number and the moment
_MODEL = _HEAD + COMMON.index("currentModel")
_DOUBLE = 8
_LEFT_OUT_BYTES = struct.pack("d", LEFT_OUT)
_LEFT_OUT_BITS = array("q", _LEFT_OUT_BYTES)[0]


def _packer(names: Sequence[str]) -> Callable[..., bytes]:
    return struct.Struct(f"{_HEAD + len(names)}d").pack


pack_from_zero = _packer(COMMON)
"""Pack 0.0, the moment and the COMMON metrics of a step whose model counts from 0. Raises struct.error for what is no number."""

pack_with_own = _packer((*COMMON, "own"))
"""The same with the number that ``Shapes.alone`` says, and one metric more."""

pack_from_one = _packer(COMMON)
"""Pack 1.0, the moment and the COMMON metrics of a step whose model counts from 1."""


class Shape(NamedTuple):
    """How the numbers of a packed step lie: number of the shape, moment, COMMON metrics, others."""

    number: float
    # All of its metrics' names, as the caller wrote them.
    names: tuple[str, ...]
    pack: Callable[..., bytes]
    # What makes its model count from 1.
    to_model: int = 0


class Shapes:
    """The shapes of one ring's steps. Any thread asks; what was once given stays."""

    def __init__(self) -> None:
        # By the types of the COMMON metrics and the others' names: steps that can be packed as they are, if the types of
        # the others are plain: numbers without a wait, an array library's scalars among them.
        self.known: dict[tuple[object, ...], Shape] = {}
        self.plain: set[type] = {float, int}
        # The number of a shape of one metric beside the COMMON ones, by its name and type; models count from 0 there.
        self.alone: dict[tuple[str, type], float] = {}
        self._shapes = [Shape(0.0, COMMON, pack_from_zero, 1), Shape(1.0, COMMON, pack_from_one)]
        self._by_others: dict[tuple[str, ...], Shape] = {(): self._shapes[1]}
        # One that its holder may take again: a signal's handler may record a step, too.
        self._lock = threading.RLock()

    def of(self, others: tuple[str, ...]) -> Shape | None:
        """Return the shape of steps with these metrics beside the COMMON ones; None where there are too many shapes."""
        with self._lock:
            if others not in self._by_others and len(self._shapes) < MAX_SHAPES:
                self._by_others[others] = self._add((*COMMON, *others))
            return self._by_others.get(others)

    def learn(self, shape: Shape, values: tuple[Any, ...]) -> None:
        """Note that a step of this shape whose values are of the same types as these can be packed as it is, if it can."""
        if len(self.known) >= MAX_SHAPES or not all(isinstance(value, Real) for value in values):
            return
        self.plain.update(map(type, values))
        common, others = values[: len(COMMON)], shape.names[len(COMMON) :]
        kinds = (*map(type, common), others)
        self.known[kinds] = shape
        if len(others) == 1:
            with self._lock:
                self.alone[others[0], type(values[-1])] = self._add(shape.names, to_model=1).number

    def _add(self, names: tuple[str, ...], to_model: int = 0) -> Shape:
        self._shapes.append(Shape(float(len(self._shapes)), names, _packer(names), to_model))
        return self._shapes[-1]

    def at(self, row: bytes) -> Shape:
        """Return the shape of a packed step, or of its first bytes."""
        return self._shapes[int(struct.unpack_from("d", row)[0])]


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
