"""Columnar blocks: rows in, the same rows out, whole or in part."""

from __future__ import annotations

import math
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forge_widgets.core.events import Event, Record
from forge_widgets.core.steps import MAX_BLOCK_ROWS, Row, StepBlock, block_of, decode_block, encode_block
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


def test_columns_are_little_endian_on_a_machine_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    # The one thing of this module that this machine can't show by itself: what a big-endian one does.
    block = block_of([(1.0, {"loss": 2.0})])
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
