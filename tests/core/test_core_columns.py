"""Columns coded by themselves: the same bits come back, and what is regular takes next to nothing."""

from __future__ import annotations

import math
import random
import struct
import sys
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.columns import pack_column, unpack_column

BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
ANY = st.one_of(BITS, st.floats(), st.integers(-5, 5).map(float), st.sampled_from([0.0, -0.0, math.nan, math.inf]))


@given(st.lists(ANY, min_size=1, max_size=80))
def test_any_column_comes_back_bit_by_bit(values: list[float]) -> None:
    assert _again(values) == array("d", values).tobytes()


@given(st.integers(-(2**52), 2**52), st.integers(-1_000, 1_000), st.integers(2, 300))
def test_steps_that_go_up_or_down_evenly_come_back_and_take_no_more_than_two_doubles(
    first: int, apart: int, rows: int
) -> None:
    values = [float(first + apart * row) for row in range(rows)]
    assert _again(values) == array("d", values).tobytes()
    assert len(pack_column(values)) <= 17


def test_a_negative_zero_among_even_steps_is_still_one() -> None:
    values = [-1.0, -0.0, 1.0, 2.0]
    assert _again(values) == array("d", values).tobytes()


def test_a_constant_takes_one_double_however_long() -> None:
    assert len(pack_column([math.nan] * 5_000)) == 9


@pytest.mark.parametrize(
    ("values", "most"),
    [
        # Single precision, as frameworks compute: half of a double's bits are zero.
        ([struct.unpack("<f", struct.pack("<f", random.Random(1).random()))[0] for _ in range(4_096)], 1.0),
        ([1_800_000_000 + row / 1_000 for row in range(4_096)], 1.6),
        ([1e-3 / (1 + row / 1_000) for row in range(4_096)], 4.0),
    ],
    ids=["one value of single precision", "time", "a schedule"],
)
def test_what_is_regular_takes_few_bytes(values: list[float], most: float) -> None:
    assert len(pack_column(values)) / len(values) <= most
    assert _again(values) == array("d", values).tobytes()


def test_numbers_of_both_signs_whose_bits_are_too_far_apart_come_back() -> None:
    # The first rows are smooth, so that differences would be chosen; later ones leave 64 bits.
    values = [1_800_000_000 + row / 1_000 for row in range(2_000)] + [-1e300, 1e300] * 50
    assert _again(values) == array("d", values).tobytes()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x09",
        b"\x00",
        b"\x00" + bytes(9),
        b"\x01" + bytes(8),
        b"\x02" + zlib.compress(bytes(8)),
        b"\x02" + zlib.compress(bytes(24)),
        b"\x02" + zlib.compress(bytes(16))[:-1],
        b"\x02 no zlib",
    ],
)
def test_bytes_that_are_no_column_of_two_rows_are_refused(packed: bytes) -> None:
    with pytest.raises((ValueError, zlib.error)):
        unpack_column(packed, 2)


def test_the_order_of_bytes_is_the_file_s_and_not_the_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    values = array("d", [1.5, -2.25, 1e300])
    here = pack_column(values)
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    there = pack_column(values)
    assert unpack_column(there, 3) == values
    assert here != there


def _again(values: list[float]) -> bytes:
    return unpack_column(pack_column(values), len(values)).tobytes()
