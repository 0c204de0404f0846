"""The same log, folded in Python and in TypeScript: hypothesis draws logs, and the two have to come to the same in every bit."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_widgets.core.events import EVENT_TYPES, STATUSES, Body, Event, Record, length
from forge_widgets.core.steps import StepBlock, block_of
from forge_widgets.core.subscription import SessionLog, Slice
from forge_widgets.core.wire import encode, frame_message, series_message, state_message
from tests.faults.browser import NodeProcess, bundle
from tests.faults.view import Json

Take = Callable[[list[str]], Json]

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

    def take_in(frames: list[str]) -> Json:
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


def must(frame: Any) -> Any:
    assert frame is not None
    return frame
