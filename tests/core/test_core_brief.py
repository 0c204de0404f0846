"""Frames in brief: every row as it was recorded, or an outline that tells all that a view keeps."""

from __future__ import annotations

import base64
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_widgets.core.brief import (
    MAX_SHAPES,
    Brief,
    Shapes,
    Wish,
    brief_of,
    brief_text,
    shape_message,
)
from forge_widgets.core.events import Body, Event, Record, length
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import Row, StepBlock, block_of
from forge_widgets.core.subscription import Cursor, Frame, SessionLog, Slice
from tests.core.briefs import Read, Reader, bits_of

START = 1_763_800_000.123456
BEGUN = Event(event_type="training_started", timestamp=START - 1)


def frame_of(*bodies: Body, after: int = 0, producer: str = "p", sequence: int = 1) -> Frame:
    """Return the delta frame after so many offsets of a log of one producer."""
    records, offset = [], 1
    for body in bodies:
        records.append(Record(offset=offset, attempt=1, producer=producer, sequence=sequence + offset - 1, body=body))
        offset += length(body)
    log = SessionLog("s")
    log.apply(Slice("e", 1, offset - 1, records))
    frame = log.frame(Cursor("e", after))
    assert frame is not None
    assert not frame.key
    return frame


def encoded(frame: Frame, wish: Wish = "outline") -> Brief:
    brief = brief_of(frame, Shapes(), wish)
    assert brief is not None
    return brief


def read(brief: Brief) -> Read:
    return Reader(shape_message(brief.shape)).read(brief.message)


def fast(first: int, count: int, *, apart: float = 0.001, thinned: int = 0, **metrics: float) -> StepBlock:
    rows: list[Row] = [
        (START + apart * step, {"currentStep": float(step), "loss": math.sin(step) + 2, **metrics})
        for step in range(first, first + count)
    ]
    return block_of(rows, thinned)


VALUES = st.one_of(
    st.floats(allow_nan=False, width=64),
    st.integers(-(10**15), 10**15).map(float),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 5e-324, 1e308]),
)
ROWS = st.lists(
    st.tuples(st.floats(0, 4e9), st.dictionaries(st.sampled_from(["currentStep", "loss", "é", "b c"]), VALUES)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(ROWS, st.integers(0, 5_000), st.sampled_from([1, 7, 10**9]))
def test_every_row_comes_as_it_was_recorded(rows: list[Row], thinned: int, sequence: int) -> None:
    brief = encoded(frame_of(block_of(rows, thinned), sequence=sequence), "rows")
    told = read(brief)
    assert bits_of(told.rows()) == bits_of(rows)
    assert (told.first, told.count, told.sequence, told.thinned) == (1, len(rows), sequence, thinned)
    assert not brief.outlined


def test_a_number_that_is_none_stays_one() -> None:
    brief = encoded(frame_of(block_of([(1.0, {"loss": math.nan})])), "rows")
    (column,) = read(brief).columns
    assert column[0] is not None
    assert math.isnan(column[0])


def test_blocks_of_one_producer_are_one_table() -> None:
    patchy = block_of([(START + 9, {"currentStep": 9.0, "loss": 1.5}), (START + 10, {"currentStep": 10.0})])
    frame = frame_of(fast(0, 3), fast(3, 2), patchy, after=1)
    brief = encoded(frame, "rows")
    told = read(brief)
    assert (told.first, told.count, told.sequence) == (2, 6, 2)
    steps, losses = (told.column(name) for name in ("currentStep", "loss"))
    assert steps == [1, 2, 3, 4, 9, 10]
    assert losses[-2:] == [1.5, None]


@pytest.mark.parametrize(
    "bodies",
    [
        (Event(event_type="training_started", timestamp=START),),
        (fast(0, 3), Event(event_type="phase_completed", timestamp=START, name="x")),
        (fast(0, 3), fast(3, 3, accuracy=0.5)),
    ],
)
def test_what_is_more_than_rows_of_the_same_metrics_travels_as_text(bodies: tuple[Body, ...]) -> None:
    assert brief_of(frame_of(*bodies), Shapes(), "outline") is None


def test_rows_of_two_producers_or_with_a_hole_between_them_travel_as_text() -> None:
    def frame(producer: str, sequence: int) -> Frame:
        second = Record(offset=4, attempt=1, producer=producer, sequence=sequence, body=fast(3, 3))
        first = Record(offset=1, attempt=1, producer="p", sequence=1, body=fast(0, 3))
        log = SessionLog("s")
        log.apply(Slice("e", 1, 6, [first, second]))
        found = log.frame(Cursor("e", 0))
        assert found is not None
        return found

    assert brief_of(frame("p", 4), Shapes(), "rows") is not None
    assert brief_of(frame("p", 5), Shapes(), "rows") is None
    assert brief_of(frame("q", 4), Shapes(), "rows") is None


@pytest.mark.parametrize(
    "bodies",
    [
        (fast(0, 3), fast(0, 3)),
        (
            fast(0, 3, totalSteps=9.0),
            block_of(
                [
                    (START + 1, {"currentStep": 9.0, "loss": 1.0, "totalSteps": 9.0}),
                    (START + 2, {"currentStep": 10.0, "loss": 1.0}),
                ]
            ),
        ),
        (fast(0, 3), fast(3, 2, thinned=7)),
    ],
    ids=["time falls", "a row has no total", "some were dropped between"],
)
def test_rows_that_fold_otherwise_in_one_block_travel_as_text(bodies: tuple[Body, ...]) -> None:
    assert brief_of(frame_of(*bodies), Shapes(), "rows") is None


def test_what_was_dropped_between_outlined_rows_is_counted() -> None:
    brief = encoded(frame_of(BEGUN, fast(0, 3, thinned=2), fast(3, 3, thinned=5), after=1))
    assert brief.outlined
    assert read(brief).thinned == 7


def test_rows_whose_numbers_no_browser_could_add_travel_as_text() -> None:
    assert brief_of(frame_of(fast(0, 3), sequence=2**52), Shapes(), "rows") is None


BLOCKS = st.lists(
    st.lists(
        st.tuples(
            st.floats(1, 9),
            st.fixed_dictionaries(
                {"currentStep": st.integers(0, 9).map(float)},
                optional={
                    "loss": st.floats(0, 9),
                    "currentModel": st.integers(0, 3).map(float),
                    "totalSteps": st.integers(1, 9).map(float),
                },
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_rows_in_brief_fold_to_what_they_fold_to_one_by_one(blocks: list[list[Row]], thinned: list[int]) -> None:
    bodies = [
        block_of(sorted(rows, key=lambda row: row[0]), count) for rows, count in zip(blocks, thinned, strict=False)
    ]
    frame = frame_of(*bodies)
    brief = brief_of(frame, Shapes(), "rows")
    if brief is not None:
        told = read(brief)
        body = block_of(told.rows(), told.thinned)
        record = Record(offset=told.first, attempt=1, producer="p", sequence=told.sequence, body=body)
        assert fold(State(), record) == frame.state


def test_a_key_frame_and_an_empty_one_travel_as_text() -> None:
    log = SessionLog("s")
    log.apply(Slice("e", 1, 3, [Record(offset=1, attempt=1, producer="p", sequence=1, body=fast(0, 3))]))
    key = log.frame(None)
    assert key is not None
    assert brief_of(key, Shapes(), "outline") is None
    assert brief_of(Frame("e", 1, 0, False, log.state, []), Shapes(), "outline") is None


def test_rows_that_come_fast_are_outlined_where_the_viewer_takes_that() -> None:
    block = fast(100, 50, accuracy=0.25)
    frame = frame_of(fast(0, 100), block, after=100)
    brief = encoded(frame)
    assert brief.outlined
    told = read(brief)
    assert (told.first, told.count, told.timestamps) == (101, 50, [block.timestamps[-1]])
    assert told.rows() == [(block.timestamps[-1], dict(sorted(block.row(49).items())))]
    assert told.outlined
    # Accuracy was the same in all, and a step is no curve.
    ((name, points),) = told.extremes.items()
    losses = list(block.columns["loss"].values)
    assert name == "loss"
    assert [step for step, _ in points] == sorted(100.0 + losses.index(extreme(losses)) for extreme in (min, max))
    for _, value in points:
        assert min(abs(value / extreme(losses) - 1) for extreme in (min, max)) <= 1e-5
    assert len(brief.message) < 60
    assert not encoded(frame, "rows").outlined


@pytest.mark.parametrize(
    "values", [(2.0, 3.0, 2.0), (3.0, 2.0, 3.0), (2.0, 3.0, 1.0, 2.0), (2.0, 2.0, 3.0), (3.0, 2.0, 2.0)]
)
def test_an_outline_never_runs_back_where_the_newest_row_has_an_extreme_once_more(values: tuple[float, ...]) -> None:
    block = block_of(
        [(START + 0.001 * step, {"currentStep": float(step), "acc": value}) for step, value in enumerate(values)]
    )
    brief = encoded(frame_of(BEGUN, block, after=1))
    assert brief.outlined
    points = read(brief).extremes["acc"]
    assert points == sorted(points)
    assert sorted(value for _, value in points) == [min(values), max(values)]
    assert all(values[int(step)] == value for step, value in points)


@pytest.mark.parametrize(
    "block",
    [
        fast(0, 2),
        fast(0, 50, apart=0.1),
        fast(0, 1_500, apart=0.002),
        fast(0, 50, lr=math.nan),
        fast(0, 50, lr=1e308),
        block_of([(START, {"loss": float(step)}) for step in range(9)]),
        block_of([(START, {"currentStep": step / 2, "loss": 1.0}) for step in range(9)]),
        block_of([(START, {"currentStep": float(step), "currentModel": float(step // 5)}) for step in range(9)]),
        block_of([(START, {"currentStep": float(step), **({"loss": 1.0} if step % 2 else {})}) for step in range(9)]),
        block_of([(START, {"currentStep": float(-step), "loss": 1.0}) for step in range(9)]),
    ],
    ids=[
        "few",
        "slow",
        "missed",
        "no number",
        "too great",
        "no steps",
        "halves",
        "two models",
        "patchy",
        "steps that fall",
    ],
)
def test_rows_that_an_outline_could_not_tell_come_one_by_one(block: StepBlock) -> None:
    brief = encoded(frame_of(BEGUN, block, after=1))
    assert not brief.outlined
    assert read(brief).count == len(read(brief).timestamps) == len(block)


def test_the_rows_that_a_training_began_with_come_one_by_one_and_say_when_that_was() -> None:
    assert not encoded(frame_of(fast(0, 50))).outlined
    assert encoded(frame_of(fast(0, 50), after=1)).outlined


def test_a_shape_keeps_its_number_and_a_number_means_one_shape() -> None:
    shapes = Shapes()
    briefs = [brief_of(frame_of(fast(0, 3), producer=f"p{index}"), shapes, "rows") for index in range(MAX_SHAPES)]
    assert [brief and brief.shape.number for brief in briefs] == list(range(1, MAX_SHAPES + 1))
    # A viewer remembers no more of them; what it knows it goes on to know.
    assert brief_of(frame_of(fast(0, 3), producer="one more"), shapes, "rows") is None
    known = brief_of(frame_of(fast(0, 3), producer="p0"), shapes, "rows")
    assert known is not None
    assert known.shape.number == 1


def test_a_shape_is_told_with_all_that_its_frames_leave_out() -> None:
    brief = encoded(frame_of(fast(0, 3), producer="me"))
    assert shape_message(brief.shape) == {
        "type": "shape",
        "id": 1,
        "epoch": "e",
        "attempt": 1,
        "producer": "me",
        "names": ["currentStep", "loss"],
        "codings": [[coding.expected, coding.shift, coding.width] for coding in brief.shape.codings],
    }


def test_where_only_text_is_carried_a_frame_comes_with_its_shape() -> None:
    brief = encoded(frame_of(fast(0, 3)))
    text = brief_text(brief)
    assert (text["type"], text["key"], text["shape"]) == ("frame", False, shape_message(brief.shape))
    assert base64.b64decode(text["brief"]) == brief.message


@pytest.mark.parametrize(("apart", "halved"), [(0.001, True), (0.004, True), (0.006, False), (0.015, False)])
def test_every_second_outline_is_enough_only_of_rows_that_come_very_fast(apart: float, halved: bool) -> None:
    brief = encoded(frame_of(fast(10, 20, apart=apart), after=1))
    assert (brief.outlined, brief.halved) == (True, halved)
    assert not encoded(frame_of(fast(10, 20, apart=apart), after=1), "rows").halved
