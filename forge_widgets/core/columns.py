"""Columns of doubles in as few bytes as they take, exactly: what large blocks of a store are made of (core.steps, format 2).

Pure. A column is coded by itself, so that a curve is read without its neighbours. Compaction writes them, every reader reads
them; nothing here needs numpy, since trainings compact their own logs.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import sub
from struct import Struct as Layout

_CONSTANT, _EVEN, _PLANES, _STEPS, _BENDS = range(5)
"""How a column is coded: one value for all rows; whole numbers that go up evenly; byte planes of the doubles' bit patterns, of
the differences between these, or of the differences between those."""

_CODINGS = (_PLANES, _STEPS, _BENDS)
_SAMPLE_ROWS = 1_024
"""The first rows tell which of the three takes least: trying all rows would take three times as long."""

_LEVEL = 1
"""Level 6 takes 1 to 3 % off the bytes and 2 to 4 times the time: a mantissa of noise does not deflate."""

_EXACT = 2.0**53
_DOUBLE = Layout("<d")
_PAIR = Layout("<2d")


def pack_column(values: Sequence[float]) -> bytes:
    """Code a column of one double or more; what comes back has the same bits."""
    doubles = values if isinstance(values, array) else array("d", values)
    bits = array("q", doubles.tobytes())
    if bits.count(bits[0]) == len(bits):
        return bytes([_CONSTANT]) + _DOUBLE.pack(doubles[0])
    if _is_even(doubles):
        return bytes([_EVEN]) + _PAIR.pack(doubles[0], doubles[1] - doubles[0])
    coding = min(_CODINGS, key=lambda one: len(_deflated(bits[:_SAMPLE_ROWS], one) or doubles.tobytes()))
    packed = _deflated(bits, coding)
    return bytes([_PLANES]) + (_deflated(bits, _PLANES) or b"") if packed is None else bytes([coding]) + packed


def unpack_column(packed: bytes, rows: int) -> array[float]:
    """Undo :func:`pack_column`. Raises ValueError, OverflowError or zlib.error where the bytes are no column of so many rows."""
    coding, data = packed[0] if packed else -1, memoryview(packed)[1:]
    if coding == _CONSTANT and len(data) == _DOUBLE.size:
        return array("d", _DOUBLE.unpack(data)) * rows
    if coding == _EVEN and len(data) == _PAIR.size:
        first, apart = map(int, _PAIR.unpack(data))  # of what is no number ValueError or OverflowError
        return array("d", [first]) * rows if apart == 0 else array("d", range(first, first + apart * rows, apart))
    if coding not in _CODINGS:
        raise ValueError(f"a column coded as {coding}")
    bits = _inflated(data, rows)
    for _ in range(coding - _PLANES):
        bits = array("q", accumulate(bits))
    return array("d", bits.tobytes())


def doubles_to_bytes(values: Sequence[float]) -> bytes:
    """Return doubles as they stand in a file: little-endian."""
    column = values if isinstance(values, array) else array("d", values)
    if sys.byteorder == "big":
        column = array("d", column)
        column.byteswap()
    return column.tobytes()


def doubles_from_bytes(encoded: bytes) -> array[float]:
    """Undo :func:`doubles_to_bytes`."""
    column = array("d", encoded)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _is_even(doubles: array[float]) -> bool:
    """Say whether a column is whole numbers evenly apart, as steps are: computed again they have the same bits."""
    first, apart = doubles[0], doubles[1] - doubles[0]
    last = first + apart * (len(doubles) - 1)
    if not (first.is_integer() and apart.is_integer() and apart and abs(first) < _EXACT and abs(last) < _EXACT):
        return False
    # Compared by their bits: a negative zero is a zero.
    return doubles.tobytes() == array("d", map(float, range(int(first), int(last + apart), int(apart)))).tobytes()


def _deflated(bits: array[int], coding: int) -> bytes | None:
    """Deflate the byte planes of a column; None where a difference leaves 64 bits, as between numbers of both signs."""
    try:
        for _ in range(coding - _PLANES):
            bits = array("q", [bits[0], *map(sub, bits[1:], bits)])
    except OverflowError:
        return None
    plain = _little(bits).tobytes()
    return zlib.compress(b"".join([plain[plane::8] for plane in range(8)]), _LEVEL)


def _inflated(data: memoryview, rows: int) -> array[int]:
    size = 8 * rows
    inflater = zlib.decompressobj()
    planes = inflater.decompress(data, size + 1)
    if len(planes) != size or not inflater.eof:  # only at its end zlib has compared its checksum
        raise ValueError(f"{len(planes)} bytes of a column, {size} expected")
    plain = bytearray(size)
    for plane in range(8):
        plain[plane::8] = planes[plane * rows : (plane + 1) * rows]
    return _little(array("q", bytes(plain)))


def _little(bits: array[int]) -> array[int]:
    """Turn this machine's byte order into the file's, or back."""
    if sys.byteorder == "little":
        return bits
    turned = array("q", bits)
    turned.byteswap()
    return turned
