"""Doubles as whole numbers in the same order, and whole numbers as bits in a row: what frames in brief are written with.

Pure. ui/src/stream/bits.ts reads what is written here.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

_ALL_BUT_SIGN = 2**63 - 1
_INFINITY = 0x7FF0_0000_0000_0000
_NAN = 0x7FF8_0000_0000_0000
_EXACT_INTEGER = 2.0**50

GOLOMB_LIMIT = 8
"""A number that is so many times greater than was planned is told in full."""


def keys_of(values: Sequence[float]) -> list[int]:
    """Return each double's key: its 64 bits as a signed number, so mapped that a greater double has a greater key.

    Neighbouring doubles differ by 1, 0.0 and -0.0, too. Every NaN has one key.
    """
    keys = array("q", array("d", values).tobytes()).tolist()
    if not keys or (min(keys) >= 0 and max(keys) <= _INFINITY):
        return keys
    return [
        _NAN if math.isnan(value) else key if key >= 0 else key ^ _ALL_BUT_SIGN
        for key, value in zip(keys, values, strict=True)
    ]


def key_of(value: float) -> int:
    """Return one double's key."""
    return keys_of((value,))[0]


def whole_numbers(keys: Sequence[int]) -> list[int] | None:
    """Return the numbers that keys are of; None where one is not whole, or so great that differences might not be exact."""
    # A key of a negative number is below 0; of those only few are whole in practice, and none is told so.
    values = array("d", array("q", keys).tobytes())
    if min(keys) < 0 or not all(value < _EXACT_INTEGER and value.is_integer() for value in values):
        return None
    return list(map(int, values))


def folded(value: int) -> int:
    """Fold a signed number of 64 bits into one without a sign: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return (value << 1) ^ (value >> 63)


class Bits:
    """A message as it is written, bit by bit, each number with its highest bit first."""

    def __init__(self) -> None:
        # Digits: int(text, 2) makes bytes of them in linear time, 50 numbers of 50 bits in 12 µs; shifting each into
        # place takes 30.
        self._digits: list[str] = []

    def flags(self, *flags: bool) -> None:
        """Append a bit for each."""
        self._digits.extend("1" if flag else "0" for flag in flags)

    def put(self, value: int, width: int) -> None:
        """Append a number in so many bits."""
        self.put_all((value,), width)

    def put_all(self, values: Iterable[int], width: int) -> None:
        """Append numbers in so many bits each."""
        if width:
            self._digits.extend(map(f"{{:0{width}b}}".format, values))

    def put_golomb(self, values: Iterable[int], low_bits: int) -> None:
        """Append numbers of about one size: the lowest bits as they are, before them as many 1s as the rest says, and a 0.

        A rest of 8 or more is told by 8 1s, and the whole number in 64 bits (Golomb's code, as Rice has it, and a way out).
        """
        for value in values:
            rest = value >> low_bits
            if rest >= GOLOMB_LIMIT:
                self._digits.append(f"{'1' * GOLOMB_LIMIT}{value:064b}")
            else:
                self._digits.append(f"{'1' * rest}0")
                self.put(value - (rest << low_bits), low_bits)

    def number(self, value: int) -> None:
        """Append a number of any size: 7 bits at a time, the lowest first, before each a bit that says whether more follow."""
        while value >= 0x80:
            self.put(value & 0x7F | 0x80, 8)
            value >>= 7
        self.put(value, 8)

    def message(self) -> bytes:
        """Return the bytes, the last one filled up with zeros."""
        digits = "".join(self._digits)
        size = (len(digits) + 7) // 8
        return int(digits.ljust(8 * size, "0"), 2).to_bytes(size, "big")
