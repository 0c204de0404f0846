"""Overviews: of rows their extremes, of overviews the same again, and nothing of it in the wrong place."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.events import Body, Event, Record, length
from forge_widgets.core.overview import (
    BUCKET_ROWS,
    ENDS,
    FAN_OUT,
    Overview,
    decode_overview,
    encode_overview,
    overview_of,
    overview_of_overviews,
    rows_of,
    steps_of,
)
from forge_widgets.core.sealing import sealed
from forge_widgets.core.steps import Row, block_of
from forge_widgets.errors import InvalidInput

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
METRICS = st.fixed_dictionaries(
    {}, optional={"loss": VALUES, "mine": VALUES, "currentStep": st.integers(0, 50).map(float), "currentModel": VALUES}
)
ROWS: st.SearchStrategy[list[Row]] = st.lists(st.tuples(st.just(1.0), METRICS), min_size=1, max_size=40)


def records_of(bodies: Sequence[Body], attempt: int = 1) -> list[Record]:
    records, offset = [], 1
    for body in bodies:
        records.append(Record(offset=offset, attempt=attempt, producer="p", sequence=offset, body=body))
        offset += length(body)
    return records


def training(rows: int, *, first: int = 1, model: int = 1) -> list[Record]:
    """Make rows whose loss falls with one peak and one dip in it."""
    told: list[Row] = []
    for step in range(first, first + rows):
        loss = 100.0 if step == first + 700 else -1.0 if step == first + 300 else 1.0 / step
        told.append((float(step), {"currentStep": float(step), "currentModel": float(model), "loss": loss}))
    return records_of([block_of(told)])


def test_a_bucket_holds_its_extremes_in_the_order_of_their_coming() -> None:
    (strand,) = overview_of(training(1_000))
    assert (strand.attempt, strand.model) == (1, 1)
    assert list(strand.rows) == [*[BUCKET_ROWS] * 7, 1_000 - 7 * BUCKET_ROWS]
    assert (strand.low[:2], strand.high[-2:]) == (array("d", [1.0, 129.0]), array("d", [896.0, 1_000.0]))
    line = strand.lines["loss"]
    assert list(line[:4]) == [1.0, 1.0, 128.0, 1 / 128]
    assert list(line[8:12]) == [257.0, 1 / 257, 301.0, -1.0]
    assert list(line[20:24]) == [701.0, 100.0, 768.0, 1 / 768]
    assert list(line[-ENDS:]) == [1.0, 1.0, 1_000.0, 1e-3, 1_000.0]


@given(ROWS, ROWS)
def test_no_extreme_and_no_end_of_a_line_is_lost(first: list[Row], second: list[Row]) -> None:
    bodies: list[Body] = [block_of(first), Event(event_type="control", timestamp=1.0), block_of(second)]
    overview = overview_of(records_of(bodies))
    for place, points in _lines([*first, *second]).items():
        _compare(overview, place, points)
    counted = [metrics for _, metrics in [*first, *second] if "currentStep" in metrics]
    assert rows_of(overview) == len(counted)
    assert {(strand.model, name) for strand in overview for name in strand.lines} >= _lines([*first, *second]).keys()


@given(st.lists(ROWS, min_size=1, max_size=2 * FAN_OUT))
def test_an_overview_of_overviews_loses_nothing_either(parts: list[list[Row]]) -> None:
    rows = [row for part in parts for row in part]
    overview = overview_of_overviews([overview_of(records_of([block_of(part)])) for part in parts])
    for place, points in _lines(rows).items():
        _compare(overview, place, points)
    assert rows_of(overview) == rows_of(overview_of(records_of([block_of(rows)])))


def test_buckets_of_the_next_level_stand_for_so_many_times_more_rows() -> None:
    parts = [overview_of(training(4 * BUCKET_ROWS, first=1 + 4 * BUCKET_ROWS * place)) for place in range(FAN_OUT)]
    (strand,) = overview_of_overviews(parts)
    assert list(strand.rows) == [float(FAN_OUT * BUCKET_ROWS)] * 4
    assert steps_of([strand]) == (1.0, 4.0 * BUCKET_ROWS * FAN_OUT)


def test_attempts_and_models_are_told_apart() -> None:
    records = [
        *training(3),
        *training(2, model=2),
        *records_of([block_of([(1.0, {"currentStep": 9.0, "loss": 5.0})])], attempt=2),
    ]
    overview = overview_of(records)
    assert [(strand.attempt, strand.model, rows_of([strand])) for strand in overview] == [
        (1, 1, 3),
        (1, 2, 2),
        (2, 1, 1),
    ]


def test_a_step_that_came_as_an_event_counts_as_a_row() -> None:
    event = Event(event_type="step_update", timestamp=1.0, metrics={"currentStep": 4.0, "loss": 2.0}, message="hello")
    (strand,) = overview_of(records_of([event]))
    assert list(strand.lines["loss"]) == [4.0, 2.0, 4.0, 2.0, 4.0, 2.0, 4.0, 2.0, 1.0]


def test_what_has_no_rows_encloses_nothing() -> None:
    overview = overview_of(records_of([Event(event_type="control", timestamp=1.0)]))
    assert (overview, rows_of(overview), steps_of(overview)) == ([], 0, (math.inf, -math.inf))


@given(ROWS)
def test_an_overview_comes_back_from_its_bytes(rows: list[Row]) -> None:
    overview = overview_of(records_of([block_of(rows)]))
    again = decode_overview(encode_overview(overview))
    assert [_bits(strand.lines.values()) for strand in again] == [_bits(strand.lines.values()) for strand in overview]
    assert [(s.attempt, s.model, s.rows, s.low, s.high, list(s.lines)) for s in again] == [
        (s.attempt, s.model, s.rows, s.low, s.high, list(s.lines)) for s in overview
    ]


@pytest.mark.parametrize("changes", [{2: 0}, {2: 7}, {3: []}, {4: b"no zlib"}, {0: "one"}])
def test_bytes_that_are_no_overview_are_refused(changes: dict[int, object]) -> None:
    (packed,) = msgspec.msgpack.decode(encode_overview(overview_of(training(10)))[:-4])
    for place, value in changes.items():
        packed[place] = value
    with pytest.raises(InvalidInput, match="no overview"):
        decode_overview(sealed(msgspec.msgpack.encode([packed])))


def test_what_is_no_bytes_is_refused_too() -> None:
    with pytest.raises(InvalidInput, match="no overview"):
        decode_overview(None)


def test_no_bit_of_an_overview_may_change_not_even_in_a_name() -> None:
    whole = encode_overview(overview_of(training(300)))
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        with pytest.raises(InvalidInput, match="no overview"):
            decode_overview(bytes(changed))


def _lines(rows: Sequence[Row]) -> dict[tuple[int, str], list[tuple[float, float]]]:
    """Return the finite points of each line, row by row."""
    lines: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for _, metrics in rows:
        model = metrics.get("currentModel", 1.0)
        number = int(model) if 1 <= model <= 1e9 else 1
        for name in metrics.keys() & {"loss", "mine"}:
            if "currentStep" in metrics and math.isfinite(metrics[name]):
                lines.setdefault((number, name), []).append((metrics["currentStep"], metrics[name]))
    return lines


def _compare(overview: Overview, place: tuple[int, str], points: Sequence[tuple[float, float]]) -> None:
    (strand,) = [strand for strand in overview if strand.model == place[0]]
    line = strand.lines[place[1]]
    kept = [(line[at], line[at + 1]) for at in range(0, len(line) - ENDS, 2) if math.isfinite(line[at])]
    values = [value for _, value in points]
    assert set(kept) <= set(points)
    assert (min(kept, key=lambda point: point[1])[1], max(kept, key=lambda point: point[1])[1]) == (
        min(values),
        max(values),
    )
    assert list(line[-ENDS:]) == [*points[0], *points[-1], len(points)]


def _bits(lines: Iterable[array[float]]) -> list[bytes]:
    return [line.tobytes() for line in lines]
