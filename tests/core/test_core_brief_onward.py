"""Frames in brief that go on from the one before on the same connection: exact, and in few bytes."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_widgets.core.brief import MAX_PLANS, Shapes, brief_of
from forge_widgets.core.events import Record
from forge_widgets.core.metrics import complete
from forge_widgets.core.state import State
from forge_widgets.core.steps import Column, Row, StepBlock, block_of
from forge_widgets.core.subscription import Frame
from tests.core.briefs import Connection, Read, bits_of

START = 1_763_800_000.123456

VALUES = st.one_of(
    st.floats(width=64),
    st.floats(width=32),
    st.floats(0, 9),
    st.integers(-(10**15), 10**15).map(float),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1e308]),
)


def step_rows(first: int, count: int, *, apart: float = 0.1, total: float = 1000.0) -> StepBlock:
    """Rows as a training has them: what is derived is derived."""
    return block_of(
        (
            START + apart * step,
            complete(
                {
                    "currentStep": float(step),
                    "currentModel": 1.0,
                    "loss": 2.0 * math.exp(-step / 5_000) + 0.05 * math.sin(99.0 * step),
                    "learningRate": 1e-3 / (1 + step / 1_000),
                },
                total,
            ),
        )
        for step in range(first, first + count)
    )


def frame_of(block: StepBlock, *, first: int = 1, producer: str = "p") -> Frame:
    record = Record(offset=first, attempt=1, producer=producer, sequence=first + 7, body=block)
    return Frame("e", first, record.last, False, State(), [record])


def sent(connection: Connection, *blocks: StepBlock, first: int = 1, producer: str = "p") -> list[Read]:
    """Send each block as a frame of its own, one after the other."""
    read = []
    for block in blocks:
        told = connection.send(frame_of(block, first=first, producer=producer))
        assert told is not None
        read.append(told)
        first += len(block)
    return read


def test_a_frame_that_goes_on_tells_little_of_what_could_be_expected() -> None:
    connection = Connection()
    blocks = [step_rows(step, 1) for step in range(300)]
    told = sent(connection, *blocks)
    assert [row for frame in told for row in bits_of(frame.rows())] == [
        row for block in blocks for row in bits_of(list(block.rows()))
    ]
    assert [(frame.first, frame.sequence) for frame in told] == [(step + 1, step + 8) for step in range(300)]
    assert [frame.alone for frame in told] == [True] + 299 * [False]
    # Two numbers of noise, 6 bytes each, and a schedule; time, step, progress and perplexity are as expected.
    assert max(connection.sizes[200:]) < 24


def test_rows_that_come_fast_take_as_few_bytes() -> None:
    connection = Connection()
    blocks = [step_rows(50 * turn, 50, apart=0.001) for turn in range(40)]
    told = sent(connection, *blocks)
    assert bits_of(told[-1].rows()) == bits_of(list(blocks[-1].rows()))
    assert max(connection.sizes[20:]) < 50 * 15


TABLES = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 4e9), st.integers(0, 9).map(float)),
        st.fixed_dictionaries(
            {"currentStep": st.integers(0, 2**40).map(float)},
            optional={
                name: st.one_of(VALUES, st.just(math.nan), st.floats(0, 9)) for name in ("loss", "perplexity", "é")
            },
        ),
    ),
    min_size=1,
    max_size=60,
)


@settings(deadline=None)
@given(
    TABLES,
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.lists(st.booleans(), min_size=40, max_size=40),
    st.booleans(),
)
def test_frames_that_go_on_from_each_other_tell_every_row(
    rows: list[Row], cuts: list[int], again: list[bool], derived: bool
) -> None:
    if derived:
        rows = [
            (at, complete({name: value for name, value in row.items() if name != "perplexity"}, 9)) for at, row in rows
        ]
    connection, first = Connection(), 0
    for cut, forgets in zip(cuts, again, strict=False):
        table = rows[first : first + cut]
        if not table:
            break
        if forgets:  # the viewer asked again
            connection.ending = None
        (told,) = sent(connection, block_of(table), first=first + 1)
        assert bits_of(told.rows()) == bits_of(table)
        assert (told.first, told.sequence) == (first + 1, first + 8)
        first += cut


def test_producers_that_take_turns_begin_anew_each_time() -> None:
    connection = Connection()
    told = sent(connection, step_rows(0, 2))
    told += sent(connection, step_rows(0, 2), first=3, producer="q")
    told += sent(connection, step_rows(2, 2), step_rows(4, 2), first=5)
    assert [frame.alone for frame in told] == [True, True, True, False]


def test_a_frame_that_does_not_begin_where_the_last_one_ended_stands_alone() -> None:
    connection = Connection()
    sent(connection, step_rows(0, 2))
    (told,) = sent(connection, step_rows(2, 2), first=4)
    assert told.alone


def test_nothing_goes_on_from_rows_that_lack_a_metric() -> None:
    connection = Connection()
    patchy = block_of([(START, {"currentStep": 1.0, "loss": 2.0}), (START, {"currentStep": 2.0})])
    whole = block_of([(START + 1, {"currentStep": 3.0, "loss": 1.0})])
    told = sent(connection, patchy, whole, whole)
    assert [frame.alone for frame in told] == [True, True, False]


def test_a_frame_that_was_lost_or_came_twice_is_seen() -> None:
    connection = Connection()
    sent(connection, step_rows(0, 2))
    twice = brief_of(frame_of(step_rows(2, 3), first=3), connection.shapes, "rows", connection.ending)
    assert twice is not None
    lost = brief_of(frame_of(step_rows(5, 3), first=6), connection.shapes, "rows", twice.ending)
    assert lost is not None
    connection.reader.read(twice.message)
    with pytest.raises(AssertionError, match="something else came before"):
        connection.reader.read(twice.message)
    with pytest.raises(AssertionError, match="nothing came before"):
        connection.reader.read(lost.message)


def test_viewers_that_stand_at_the_same_two_rows_can_be_sent_the_same() -> None:
    shapes = Shapes()
    one, other = Connection(shapes=shapes), Connection(shapes=shapes)
    sent(one, step_rows(0, 2), step_rows(2, 2), step_rows(4, 2))
    sent(other, step_rows(1, 1), step_rows(2, 4), first=2)
    assert one.ending is not None
    assert other.ending == one.ending
    assert other.ending.token == one.ending.token
    # Who was told only one row is not.
    late = Connection(shapes=shapes)
    sent(late, step_rows(5, 1), first=6)
    assert late.ending is not None
    assert late.ending.token != one.ending.token


# --- plans ---------------------------------------------------------------------------------------


def test_a_plan_is_renewed_when_rows_have_changed_and_more_and_more_seldom() -> None:
    connection = Connection()
    shapes: list[int] = []
    for turn in range(2_000):
        # Three regimes, over and over: the loss stands, is noisy, is rounded.
        loss = (1.0, 2 + math.sin(turn * 99.0), float(turn % 7))[turn // 250 % 3]
        rows = [(START + turn, {"currentStep": float(turn), "loss": loss})]
        shapes += [told.shape["id"] for told in sent(connection, block_of(rows), first=turn + 1)]
    assert shapes == sorted(shapes)
    assert 3 < shapes[-1] < 9


def test_plans_are_not_renewed_without_end() -> None:
    connection = Connection()
    connection.shapes._count = MAX_PLANS
    sent(connection, step_rows(0, 1))
    told = sent(connection, *(step_rows(step, 1) for step in range(1, 90)), first=2)
    assert {frame.shape["id"] for frame in told} == {MAX_PLANS + 1}


def test_numbers_of_single_precision_take_half_the_bytes() -> None:
    def size(rounded: bool) -> int:
        connection = Connection()
        losses = [2 + math.sin(99.0 * step) for step in range(200)]
        if rounded:
            losses = [struct.unpack("<f", struct.pack("<f", loss))[0] for loss in losses]
        sent(connection, *(block_of([(float(step), {"loss": loss})]) for step, loss in enumerate(losses)))
        return sum(connection.sizes[100:])

    assert size(True) < size(False) - 100 * 3


# --- outlines ------------------------------------------------------------------------------------


def outlined(*blocks: StepBlock) -> tuple[list[Read], list[int]]:
    connection = Connection("outline")
    told = sent(connection, *blocks)
    assert all(frame.outlined for frame in told)
    return told, connection.sizes


def test_outlines_go_on_from_each_other_and_take_few_bytes() -> None:
    blocks = [step_rows(100 * turn, 100, apart=0.001) for turn in range(60)]
    told, sizes = outlined(*blocks)
    assert [bits_of(frame.rows()) for frame in told] == [bits_of([list(block.rows())[-1]]) for block in blocks]
    assert [(frame.count, frame.alone) for frame in told] == [(100, True)] + 59 * [(100, False)]
    assert max(sizes[30:]) < 40


def test_a_perplexity_s_extremes_are_those_of_the_loss() -> None:
    (told,), sizes = outlined(step_rows(0, 100, apart=0.001))
    assert [at for at, _ in told.extremes["perplexity"]] == [at for at, _ in told.extremes["loss"]]
    rows = step_rows(0, 100, apart=0.001)
    other = StepBlock(
        rows.timestamps,
        {**rows.columns, "perplexity": Column([value * 1.01 for value in rows.columns["perplexity"].values])},
    )
    (told,), more = outlined(other)
    assert max(value for _, value in told.extremes["perplexity"]) == pytest.approx(
        max(other.columns["perplexity"].values), rel=1e-3
    )
    assert more[0] > sizes[0] + 4


def test_extremes_of_many_magnitudes_are_told_to_a_hundred_thousandth_of_themselves() -> None:
    values = [1.0, 1e-12, 5e11, 3.0, 2.0]
    rows = [(START + at / 1000, {"currentStep": float(at), "x": value}) for at, value in enumerate(values)]
    (told,), _ = outlined(block_of(rows))
    (least_at, least), (greatest_at, greatest) = told.extremes["x"]
    assert (least_at, greatest_at) == (1.0, 2.0)
    assert [least, greatest] == pytest.approx([1e-12, 5e11], rel=1e-5)


def test_an_extreme_that_is_the_newest_row_is_exact() -> None:
    rows = [(START + at / 1000, {"currentStep": float(at), "x": 0.1 * at, "y": -0.3 * at}) for at in range(9)]
    (told,), _ = outlined(block_of(rows))
    assert told.extremes["x"][1] == (8.0, 0.1 * 8)
    assert told.extremes["y"][1] == (8.0, -0.3 * 8)
    assert told.extremes["y"][0][0] == 0.0
