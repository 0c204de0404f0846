"""What stores keep as bytes: any other bytes are refused in the interface's words, or hold what can be shown."""

from __future__ import annotations

import math
import tracemalloc

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.document import progress_document
from forge_widgets.core.downsampling import curves_of, gather, points_of_overview
from forge_widgets.core.events import Event, Record
from forge_widgets.core.overview import (
    decode_overview,
    encode_overview,
    overview_of,
    overview_of_overviews,
    rows_of,
)
from forge_widgets.core.sealing import sealed
from forge_widgets.core.series import Series
from forge_widgets.core.state import State, fold, fold_all
from forge_widgets.core.steps import decode_block, encode_block, encode_compact
from forge_widgets.core.subscription import Cursor, SessionLog, Slice
from forge_widgets.core.wire import encode, frame_message
from forge_widgets.errors import InvalidInput, StoreDamaged
from forge_widgets.stores.codec import BLOCK, EVENT, decode_record, decode_state, encode_body, encode_state
from forge_widgets.stores.faults import said_as_ours
from tests.fuzz.garbage import PATIENT, event, fuzzed, mutated, rows, strict

pytestmark = PATIENT

BLOCKS = [
    encode_block(rows(0, 5)),
    encode_block(rows(3, 90, up=math.inf, odd=math.nan)),
    encode_compact(rows(3, 90, up=math.inf, odd=math.nan)),
    encode_block(rows(0, 1_200)),
]
SEAL = len(sealed(b""))
EVENTS = [
    encode_body(body)[1]
    for body in (
        event("training_started", metrics={"totalSteps": 10.0}),
        event("phase_completed", name="one", message="Phase one completed", key="k", status="paused"),
        event("training_error", error="out of memory", metrics={"loss": math.nan}),
    )
]
STATE = encode_state(
    fold_all(
        State(),
        [
            Record(offset=1, attempt=1, producer="p", sequence=1, body=event("training_started")),
            Record(offset=2, attempt=1, producer="p", sequence=2, body=rows(0, 40, currentModel=1.0)),
            Record(offset=42, attempt=1, producer="p", sequence=42, body=event("phase_completed", name="one")),
        ],
    )
)


def show(record: Record | None, state: State) -> None:
    """Show it as every viewer gets it: the contract's document, a key frame, a delta frame."""
    log = SessionLog("s")
    log.apply(Slice("e", 1, 0, [], state))
    if record is not None:
        log.apply(Slice("e", 1, record.last, [record], state))
        delta = log.frame(Cursor("e", record.offset - 1))
        assert delta is not None
        strict(encode(frame_message("s", delta, log.series)))
    key = log.frame(None)
    assert key is not None
    strict(encode(frame_message("s", key, log.series if record is not None else Series())))
    strict(encode(progress_document("s", log.state)))


def read(kind: int, body: object) -> Record | None:
    """Decode as a store does: None where it says that the file is damaged."""
    try:
        with said_as_ours("url", "path"):
            return decode_record((1, 1, kind, "p", 1, body))
    except StoreDamaged:
        return None


@pytest.mark.parametrize("whole", range(len(BLOCKS)))
@fuzzed(150)
@given(st.data())
def test_a_block_of_which_bytes_were_changed_is_refused_or_can_be_shown(whole: int, data: st.DataObject) -> None:
    """Although somebody has sealed them: what is behind a seal that holds must be no worse."""
    changed = read(BLOCK, sealed(data.draw(mutated(BLOCKS[whole][:-SEAL]))))
    if changed is not None:
        show(changed, State())


@fuzzed(300)
@given(
    mutated(
        encode_overview(overview_of([Record(offset=1, attempt=1, producer="p", sequence=1, body=rows(0, 300))]))[:-SEAL]
    )
)
def test_an_overview_of_which_bytes_were_changed_is_refused_or_can_be_drawn(plain: bytes) -> None:
    try:
        overview = decode_overview(sealed(plain))
        rows_of(overview)
    except (InvalidInput, ValueError, OverflowError):
        return
    query = SeriesQuery(max_points=8)
    curves_of(gather(points_of_overview(overview, 1, query, range(1, 2))), query)
    overview_of_overviews([overview, overview])


@pytest.mark.parametrize("whole", range(len(EVENTS)))
@fuzzed(150)
@given(st.data())
def test_an_event_of_which_bytes_were_changed_is_refused_or_can_be_shown(whole: int, data: st.DataObject) -> None:
    changed = read(EVENT, data.draw(mutated(EVENTS[whole])))
    if changed is not None:
        show(changed, State())


@fuzzed(300)
@given(mutated(STATE[:-SEAL]))
def test_a_state_of_which_bytes_were_changed_is_refused_or_can_be_shown(encoded: bytes) -> None:
    try:
        state = decode_state(encoded)
    except InvalidInput:
        return
    show(None, state)
    # and goes on
    fold(state, Record(offset=50, attempt=1, producer="p", sequence=50, body=rows(50, 60)))


@fuzzed(300)
@given(st.binary(max_size=200), st.sampled_from([EVENT, BLOCK, 2, -1]))
@example(b"", BLOCK)
@example(b"\xdd\xff\xff\xff\xff", BLOCK)  # an array of four thousand million
@example(b"\x81" * 100_000, EVENT)  # nested
def test_arbitrary_bytes_are_refused_or_can_be_shown(encoded: bytes, kind: int) -> None:
    record = read(kind, encoded)
    if record is not None:
        show(record, State())


NO_BODY = st.none() | st.integers() | st.floats() | st.text(max_size=5)


@fuzzed(50)
@given(st.tuples(NO_BODY, NO_BODY, NO_BODY, NO_BODY, NO_BODY, NO_BODY | st.just(EVENTS[0])))
@example((1, 1, EVENT, None, 1, EVENTS[0]))
@example((1, 1, EVENT, "p", "1", EVENTS[0]))
@example((1.5, 1, EVENT, "p", 1, EVENTS[0]))
@example((1, 1, EVENT, "p", 1, "text"))
def test_a_row_of_other_types_is_refused_or_can_be_shown(row: tuple[object, ...]) -> None:
    """SQLite gives whatever stands in a broken page: a number where a text was, or nothing."""
    try:
        with said_as_ours("url", "path"):
            record = decode_record(row)
    except StoreDamaged:
        return
    show(record, State())


def test_a_block_that_would_inflate_to_gigabytes_takes_no_memory() -> None:
    import zlib

    bomb = zlib.compress(bytes(50_000_000), 9)
    encoded = msgspec.msgpack.encode([1, 65_536, 0, ["loss"], [None], bomb])
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            decode_block(encoded)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_what_is_right_is_read_as_it_was() -> None:
    """The tests above would prove nothing if right bytes were refused."""
    for encoded in BLOCKS:
        record = read(BLOCK, encoded)
        assert record is not None
        show(record, State())
    for encoded in EVENTS:
        record = read(EVENT, encoded)
        assert record is not None
        assert isinstance(record.body, Event)
        show(record, State())
    show(None, decode_state(STATE))
