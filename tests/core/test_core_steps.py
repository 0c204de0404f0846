"""Columnar blocks: rows in, the same rows out, whole or in part."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from struct import pack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forge_widgets.core.columns import pack_column
from forge_widgets.core.events import Event, Record
from forge_widgets.core.sealing import sealed
from forge_widgets.core.steps import (
    MAX_BLOCK_ROWS,
    QUICK_ROWS,
    Row,
    StepBlock,
    block_of,
    decode_block,
    encode_block,
    encode_compact,
    joined_blocks,
)
from forge_widgets.errors import InvalidInput

NAMES = st.sampled_from(["loss", "accuracy", "currentStep", "mine"])
METRICS = st.dictionaries(NAMES, st.floats(allow_nan=False), max_size=4)
ROWS = st.lists(st.tuples(st.floats(0, 2e9), METRICS), min_size=1, max_size=30)


@given(ROWS, st.integers(0, 10**9))
def test_a_block_gives_back_the_rows_that_it_was_built_of(rows: list[Row], thinned: int) -> None:
    block = decode_block(encode_block(block_of(rows, thinned)))
    assert list(block.rows()) == rows
    assert block.thinned == thinned
    assert len(block) == len(rows)


@given(ROWS, st.integers(0, 10**9))
def test_a_compacted_block_gives_back_the_same_rows(rows: list[Row], thinned: int) -> None:
    block = decode_block(encode_compact(block_of(rows, thinned)))
    assert list(block.rows()) == rows
    assert block.thinned == thinned


def test_of_a_compacted_block_some_columns_are_read_without_the_others() -> None:
    rows: list[Row] = [(1.0, {"loss": 0.5, "mine": 1.0}), (2.0, {"loss": 0.25})]
    block = decode_block(encode_compact(block_of(rows)), {"mine"})
    assert list(block.columns) == ["mine"]
    assert [block.row(0), block.row(1)] == [{"mine": 1.0}, {}]
    assert len(block) == 2


@given(ROWS, st.data())
def test_a_slice_holds_its_rows_and_nothing_of_the_others(rows: list[Row], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.one_of(st.none(), st.integers(start + 1, len(rows))))
    part = block_of(rows, 5).slice(start, stop)
    assert list(part.rows()) == rows[start:stop]
    assert part.thinned == (5 if start == 0 else 0)
    assert all(column.last() >= 0 for column in part.columns.values())


def test_nan_and_a_missing_metric_are_two_things() -> None:
    block = decode_block(encode_block(block_of([(1.0, {"loss": math.nan}), (2.0, {})])))
    first, second = (metrics for _, metrics in block.rows())
    assert math.isnan(first["loss"])
    assert second == {}
    assert block.columns["loss"].last() == 0


def _tampered(**changes: object) -> bytes:
    fields = {
        "format": 1,
        "rows": 1,
        "thinned": 0,
        "names": ["loss"],
        "masks": [None],
        "doubles": zlib.compress(bytes(16)),
    }
    return msgspec.msgpack.encode(list({**fields, **changes}.values()))


def test_the_tampering_below_starts_from_a_block_that_can_be_read() -> None:
    assert len(decode_block(_tampered())) == 1


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x00",
        _tampered(format=2),
        _tampered(rows=0),
        _tampered(rows=MAX_BLOCK_ROWS + 1),
        _tampered(rows=2),
        _tampered(masks=[]),
        _tampered(masks=[b"\x01\x01"]),
        _tampered(masks=[b"\x00"]),
        _tampered(masks=[b"\x02"]),
        _tampered(doubles=b"no zlib"),
        _tampered(doubles=zlib.compress(bytes(16))[:-1]),
        _tampered(doubles=zlib.compress(bytes(10_000_000))),
    ],
)
def test_bytes_that_are_no_block_are_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidInput, match="no step block"):
        decode_block(encoded)


@pytest.mark.parametrize("rows", [1, QUICK_ROWS, QUICK_ROWS + 1])
def test_columns_are_little_endian_on_a_machine_of_any_kind(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    # The one thing of this module that this machine can't show by itself: what a big-endian one does.
    block = block_of((float(row), {"loss": row / 3}) for row in range(1, rows + 1))
    here = encode_block(block)
    monkeypatch.setattr("sys.byteorder", "big")
    assert encode_block(block) != here
    assert list(decode_block(encode_block(block)).rows()) == list(block.rows())


def test_plain_lists_serve_as_columns_too() -> None:
    assert list(decode_block(encode_block(StepBlock([1.0], {}))).rows()) == [(1.0, {})]


@given(ROWS, st.integers(1, 100), st.integers(-3, 40))
def test_a_record_is_cut_in_two_where_an_offset_lies(rows: list[Row], first: int, distance: int) -> None:
    block = block_of(rows, 4)
    record = Record(offset=first, attempt=1, producer="p", sequence=9, body=block)
    at = min(first + distance, record.last)
    if first <= at:
        assert record.up_to(at) == replace(record, body=block.slice(0, at + 1 - first))
    if at < record.last:
        rest = record.after(at)
        assert (rest.offset, rest.last) == (max(first, at + 1), record.last)
        assert rest.sequence - rest.offset == record.sequence - record.offset
        assert isinstance(rest.body, StepBlock)
        assert list(rest.body.rows()) == rows[max(0, at + 1 - first) :]


def test_a_record_of_an_event_has_no_parts() -> None:
    record = Record(offset=3, attempt=1, producer="p", sequence=9, body=Event(event_type="alert", timestamp=1.0))
    assert record.after(2) is record
    assert record.up_to(3) is record


def _tampered_quickly(**changes: object) -> bytes:
    fields: dict[str, Any] = {
        "format": 3,
        "rows": 2,
        "thinned": 0,
        "names": ["loss"],
        "masks": None,
        "constant": b"\x00\x01",
        "doubles": pack("<3d", 1.0, 2.0, 0.5),
        **changes,
    }
    return sealed(msgspec.msgpack.encode(list(fields.values())))


def test_of_a_small_block_a_column_that_is_constant_stands_once() -> None:
    block = block_of([(1.0, {"loss": 0.5}), (2.0, {"loss": 0.5})])
    assert encode_block(block) == _tampered_quickly()
    assert decode_block(_tampered_quickly()) == block


@pytest.mark.parametrize("value", [0.0, -0.0, math.nan, math.inf])
def test_a_constant_comes_back_with_its_bits(value: float) -> None:
    block = decode_block(encode_block(block_of([(1.0, {"loss": value})] * 3)))
    assert pack("3d", *block.columns["loss"].values) == pack("d", value) * 3


def test_two_zeros_are_no_constant() -> None:
    rows: list[Row] = [(1.0, {"loss": 0.0}), (2.0, {"loss": -0.0}), (3.0, {"loss": 0.0})]
    block = decode_block(encode_block(block_of(rows)))
    assert [math.copysign(1, value) for value in block.columns["loss"].values] == [1, -1, 1]


@pytest.mark.parametrize(("encode", "rows"), [(encode_block, 5), (encode_compact, 5), (encode_block, QUICK_ROWS + 1)])
def test_no_bit_of_a_block_may_change_not_even_in_a_name(encode: Callable[[StepBlock], bytes], rows: int) -> None:
    told: list[Row] = [(1.0, {"loss": 0.5, **({"mine": row / 3} if row % 2 else {})}) for row in range(rows)]
    whole = encode(block_of(told))
    for place in {*range(60), *range(0, len(whole), 97), *range(len(whole) - 8, len(whole))}:
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        with pytest.raises(InvalidInput):
            decode_block(bytes(changed))


def test_a_block_of_an_older_release_has_no_checksum_and_is_read() -> None:
    rows: list[Row] = [(float(row), {"loss": row / 3}) for row in range(QUICK_ROWS + 1)]
    assert list(decode_block(encode_block(block_of(rows))[:-4]).rows()) == rows


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 0},
        {"rows": 3},
        {"rows": QUICK_ROWS + 1},
        {"names": []},
        {"names": ["loss", "more"]},
        {"masks": []},
        {"masks": [b"\x01"]},
        {"masks": [b"\x00\x00"]},
        {"masks": [b"\x00\x02"]},
        {"masks": [None, None]},
        {"constant": b"\x00"},
        {"constant": b"\x00\x00"},
        {"constant": b"\x01\x01"},
        {"doubles": pack("<2d", 1.0, 2.0)},
        {"doubles": b"odd"},
    ],
)
def test_bytes_that_are_no_small_block_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="no step block"):
        decode_block(_tampered_quickly(**changes))


def test_a_metric_that_not_every_row_has_keeps_its_mask() -> None:
    rows: list[Row] = [(1.0, {"loss": 1.0}), (2.0, {}), (3.0, {"loss": 1.0})]
    assert list(decode_block(encode_block(block_of(rows))).rows()) == rows


def test_a_large_block_is_deflated() -> None:
    rows: list[Row] = [(float(row), {"loss": row % 7 / 3}) for row in range(QUICK_ROWS + 1)]
    encoded = encode_block(block_of(rows))
    assert len(encoded) < 8 * len(rows)
    assert list(decode_block(encoded).rows()) == rows


def _tampered_compact(**changes: object) -> bytes:
    fields: dict[str, Any] = {
        "format": 2,
        "rows": 2,
        "thinned": 0,
        "names": ["loss"],
        "masks": [None],
        "timestamps": pack_column([1.0, 2.0]),
        "columns": [pack_column([1.0, 2.0])],
        **changes,
    }
    return sealed(msgspec.msgpack.encode(list(fields.values())))


def test_a_compacted_block_that_is_whole_is_read() -> None:
    assert list(decode_block(_tampered_compact()).rows()) == [(1.0, {"loss": 1.0}), (2.0, {"loss": 2.0})]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 4},
        {"rows": 0},
        {"names": []},
        {"columns": []},
        {"masks": []},
        {"masks": [zlib.compress(b"\x00\x00")]},
        {"masks": [zlib.compress(b"\x01")]},
        {"columns": [b"\x04" + zlib.compress(b"\x7f" * 16)]},
    ],
)
def test_bytes_that_are_no_compacted_block_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        decode_block(_tampered_compact(**changes))


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_joined_blocks_hold_the_rows_of_each_in_order(parts: list[list[Row]]) -> None:
    joined = joined_blocks([block_of(part, 2) for part in parts])
    assert list(joined.rows()) == [row for part in parts for row in part]
    assert joined.thinned == 2 * len(parts)
