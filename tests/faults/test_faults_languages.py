"""The same log, folded in Python and in TypeScript: hypothesis draws logs, and the two have to come to the same in every bit."""

from __future__ import annotations

import json
import queue
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forge_widgets.core.brief import Shapes, brief_of, shape_message
from forge_widgets.core.events import EVENT_TYPES, STATUSES, Body, Event, EventType, Record, length
from forge_widgets.core.metrics import complete
from forge_widgets.core.steps import Row, StepBlock, block_of
from forge_widgets.core.subscription import SessionLog, Slice
from forge_widgets.core.wire import encode, frame_message, series_message, state_message
from tests.faults.browser import NodeProcess, bundle
from tests.faults.view import Json

Take = Callable[[list[Any]], Json]

START = 1_763_800_000.123456

# UTF-16 orders characters beyond the first 65,536 otherwise than Python does; names of curves are shown in that order.
NAMES = st.sampled_from(["loss", "perplexity", "grokProgress", "mine", "__proto__", "constructor", "10", "", "größe"])
NUMBERS = st.one_of(st.floats(), st.floats(-10, 10), st.sampled_from([0.0, -0.0, 1e300, -1e-300, 2.0**53]))
PLACES = st.one_of(st.integers(-1, 5).map(float), st.sampled_from([1.5, 999.0, 1e6, float("nan"), float("inf")]))
METRICS = st.fixed_dictionaries(
    {},
    optional={
        # A step that is no number has no place on an axis; whether it is drawn once or twice is nobody's business.
        "currentStep": st.integers(0, 50).map(float) | NUMBERS.filter(lambda step: step == step),
        "currentModel": PLACES,
        "totalSteps": st.integers(1, 100).map(float) | NUMBERS,
    },
).flatmap(lambda places: st.dictionaries(NAMES, NUMBERS, max_size=4).map(lambda others: {**places, **others}))
TIMES = st.floats(0, 2e9) | st.integers(0, 60).map(float)
TEXTS = st.text(max_size=8)

EVENTS = st.builds(
    Event,
    event_type=st.sampled_from(sorted(EVENT_TYPES)),
    timestamp=TIMES,
    metrics=METRICS,
    status=st.none() | st.sampled_from(sorted(STATUSES)),
    message=TEXTS,
    name=TEXTS | st.just("training_complete"),
    error=TEXTS,
)


@st.composite
def blocks(draw: st.DrawFn) -> StepBlock:
    """Draw rows in the order of their time."""
    times = sorted(draw(st.lists(TIMES, min_size=1, max_size=12)))
    # Most rows of a block have the same metrics; and each block has some.
    rows = [(at, {"currentStep": float(step), "loss": draw(NUMBERS), **draw(METRICS)}) for step, at in enumerate(times)]
    return block_of(rows, draw(st.integers(0, 3)))


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Draw a log of one or more attempts, whose producers may go on when a later one has begun."""
    bodies: list[Body] = draw(st.lists(EVENTS | blocks(), min_size=1, max_size=14))
    records, offset, attempt = [], 1, 1
    sequences = {"p": 1, "q": 1}
    for body in bodies:
        attempt += draw(st.sampled_from([0, 0, 0, 1]))
        producer = draw(st.sampled_from(sorted(sequences)))
        mine = attempt if producer == "p" else draw(st.integers(1, attempt))
        sequence = sequences[producer]
        records.append(Record(offset=offset, attempt=mine, producer=producer, sequence=sequence, body=body))
        offset += length(body)
        sequences[producer] += length(body)
    return records


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Take]:
    """Give what folds frames in TypeScript."""
    said: queue.Queue[str] = queue.Queue()
    process = NodeProcess(bundle("folding.ts", tmp_path_factory.mktemp("folding")), heard=said.put)

    def take_in(frames: list[Any]) -> Json:
        process.tell(json.dumps(frames))
        answer: Json = json.loads(said.get(timeout=20), parse_int=float)
        return answer

    yield take_in
    process.kill()


def sent(message: Any) -> Any:
    """Return a message as who reads it gets it."""
    return json.loads(encode(message), parse_int=float)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=logs(), data=st.data())
def test_both_languages_fold_the_same_log_to_the_same_state_and_the_same_curves(
    take: Take, records: list[Record], data: st.DataObject
) -> None:
    """However far the log had come each time that the viewer got a frame: some hold records that it has in part."""
    log, top = SessionLog("s"), records[-1].last
    log.apply(Slice("e", 1, 0, []))
    frames, cursor = [frame_message("s", must(log.frame(None)), log.series)], log.cursor
    fed = 0
    while fed < len(records):
        fed = data.draw(st.integers(fed + 1, len(records)))
        log.apply(Slice("e", 1, top, records[:fed]))
        frames.append(frame_message("s", must(log.frame(cursor)), log.series))
        # Some frames are lost on the way, so that the next one holds more.
        if fed == len(records) or data.draw(st.booleans()):
            cursor = log.cursor
        else:
            frames.pop()
    seen = take([encode(frame).decode() for frame in frames])
    assert set(seen["outcomes"]) == {"applied"}
    assert seen["cursor"] == {"epoch": "e", "offset": top}
    assert seen["state"] == sent(state_message(log.state))
    assert seen["series"] == sent(series_message(log.series))


NOW_AND_THEN: tuple[EventType | None, ...] = (None, None, None, None, "training_started", "phase_completed")

RECORDED = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.001, 0.01, 0.1, 3.0]),
        st.fixed_dictionaries({"loss": st.floats(-1, 9)}, optional={"mine": NUMBERS, "accuracy": st.just(0.5)}),
    ),
    min_size=1,
    max_size=80,
)


@st.composite
def trainings(draw: st.DrawFn) -> list[Record]:
    """Draw a log as trainings write it: runs of steps of a few producers and attempts, with an event now and then."""
    records, offset, attempt, at = [], 1, 1, START
    sequences = {"p": 1, "q": 1}
    metrics = draw(st.sampled_from([("loss",), ("loss", "mine"), ("loss", "mine", "accuracy")]))
    body: Body
    for run in draw(st.lists(RECORDED, min_size=1, max_size=6)):
        step, producer = draw(st.integers(0, 9)), draw(st.sampled_from("pppq"))
        rows: list[Row] = []
        for number, (apart, row) in enumerate(run, step):
            at += apart
            place = {"currentStep": float(number), "currentModel": 1.0}
            known = {name: value for name, value in row.items() if name in metrics}
            rows.append((at, complete({**place, **known}, 100.0) if draw(st.booleans()) else {**place, **known}))
        bodies: list[Body] = [block_of(rows, draw(st.integers(0, 1)))]
        event = draw(st.sampled_from(NOW_AND_THEN))
        attempt += event == "training_started"
        for body in (Event(event_type=event, timestamp=at), *bodies) if event else bodies:
            sequence = sequences[producer]
            records.append(Record(offset=offset, attempt=attempt, producer=producer, sequence=sequence, body=body))
            offset += length(body)
            sequences[producer] += length(body)
    return records


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=trainings(), data=st.data())
def test_a_viewer_that_takes_frames_in_brief_comes_to_the_same_state_and_curves_as_one_that_takes_text(
    take: Take, records: list[Record], data: st.DataObject
) -> None:
    """However the log is cut into frames, whoever else watches it, and wherever the connection breaks off."""
    log, top, shapes = SessionLog("s"), records[-1].last, Shapes()
    log.apply(Slice("e", 1, 0, []))
    told: list[Any] = [encode(frame_message("s", must(log.frame(None)), log.series)).decode()]
    cursor = other = log.cursor
    ending = others = None
    read = 0
    while read < top:
        read = data.draw(st.integers(read + 1, min(top, read + 40)))
        log.apply(Slice("e", 1, top, [before for record in records if (before := upto(record, read))]))
        if data.draw(st.booleans()):
            brief = brief_of(must(log.frame(other)), shapes, "rows", others)
            other, others = log.cursor, None if brief is None else brief.ending
        what = data.draw(st.sampled_from(["told", "told", "told", "waits", "breaks"])) if read < top else "told"
        if what == "breaks":
            told.append(None)
            ending = None
        if what != "told":
            continue
        frame = must(log.frame(cursor))
        brief = brief_of(frame, shapes, "rows", ending)
        cursor, ending = log.cursor, None if brief is None else brief.ending
        if brief is None:
            told.append(encode(frame_message("s", frame, log.series)).decode())
        else:
            told += [encode(shape_message(brief.shape)).decode(), {"data": b64encode(brief.message).decode()}]
    seen = take(told)
    assert set(seen["outcomes"]) == {"applied"}
    assert seen["cursor"] == {"epoch": "e", "offset": top}
    assert seen["state"] == sent(state_message(log.state))
    assert seen["series"] == sent(series_message(log.series))


def upto(record: Record, offset: int) -> Record | None:
    """Return the part of a record that lies up to an offset."""
    if record.offset > offset:
        return None
    if record.last <= offset or not isinstance(record.body, StepBlock):
        return record
    return replace(record, body=record.body.slice(0, offset - record.offset + 1))


def must(frame: Any) -> Any:
    assert frame is not None
    return frame
