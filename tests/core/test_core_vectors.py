"""The vectors that hold the Python and the TypeScript implementations together are what the Python one computes.

The vitest tests of ui/src/stream read the same files. After a deliberate change of the fold, the curves or the estimate run
this file once with FORGE_UPDATE_VECTORS=1, look at what changed, and commit it.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forge_widgets.core.eta import estimate
from forge_widgets.core.events import Body, Event, Record, length
from forge_widgets.core.pulse import pulse
from forge_widgets.core.series import Series
from forge_widgets.core.state import Pace, State, fold
from forge_widgets.core.steps import Row, StepBlock, block_of
from forge_widgets.core.subscription import Cursor, Detail, SessionLog, Slice
from forge_widgets.core.wire import frame_message, record_message, series_message, state_message

Case = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "vectors"
START = 1_763_800_000.0
NAN, INF = math.nan, math.inf


def steps(first: int, count: int, *, apart: float = 0.25, at: float = START, **metrics: float) -> StepBlock:
    """Build rows of falling loss; ``metrics`` stand in each of them."""
    rows: list[Row] = [
        (
            at + index * apart,
            {"currentStep": float(first + index), "loss": round(2.5 / (first + index + 1), 4), **metrics},
        )
        for index in range(count)
    ]
    return block_of(rows)


def log_of(*entries: Body | tuple[Body, int] | tuple[Body, int, str]) -> list[Record]:
    """Build a log: a body, or a body with its attempt and producer; offsets and sequence numbers count up."""
    records: list[Record] = []
    offset = 1
    sequences: dict[str, int] = {}
    for entry in entries:
        body, attempt, producer = (*entry, "p1")[:3] if isinstance(entry, tuple) else (entry, 1, "p1")
        sequence = sequences.get(producer, 1)
        records.append(Record(offset=offset, attempt=attempt, producer=producer, sequence=sequence, body=body))
        sequences[producer] = sequence + length(body)
        offset += length(body)
    return records


def started(at: float = START, **metrics: float) -> Event:
    return Event(event_type="training_started", timestamp=at, metrics=metrics, message="Training started")


def finished(name: str, at: float) -> Event:
    return Event(event_type="phase_completed", timestamp=at, name=name, message=f"Phase {name} completed")


def logs() -> dict[str, list[Record]]:
    """Logs that show each rule of the fold once."""
    lost = Event(event_type="connection_lost", timestamp=START + 30, key="lost:p1:3")
    broken = Event(event_type="training_error", timestamp=START + 5, error="CUDA out of memory\n  at line 3")
    paused = Event(event_type="control", timestamp=START + 3, status="paused", message="Paused")
    patchy = block_of(
        [
            (START, {"currentStep": 1.0, "loss": 0.5}),
            (START + 1, {"currentStep": 2.0, "accuracy": 0.25}),
            (START + 2, {"currentStep": 3.0, "loss": NAN}),
        ]
    )
    two_models = block_of(
        [
            (START + index, {"currentStep": step, "currentModel": model, "loss": loss, "totalSteps": 10.0})
            for index, (model, step, loss) in enumerate(
                [(1, 9, 0.4), (1, 10, 0.3), (2, 1, 2.1), (2, 2, 1.9), (1, 10, 0.2)]
            )
        ]
    )
    odd_models = block_of(
        [
            (START, {"currentStep": 1.0, "currentModel": 2.7, "loss": 0.5}),
            (START + 1, {"currentStep": 2.0, "currentModel": NAN, "loss": 0.4}),
            (START + 2, {"currentStep": 3.0, "loss": 0.3}),
            (START + 3, {"currentStep": 4.0, "currentModel": 0.0, "loss": 0.2}),
            (START + 4, {"currentStep": 5.0, "currentModel": 3.0}),
        ]
    )
    extremes = {"currentStep": 1.0, "loss": INF, "grad": -INF, "__proto__": 1.5, "constructor": NAN, "7": 0.125}
    bare = Event(event_type="step_update", timestamp=START + 1, metrics=extremes, message="one row", key="k")
    return {
        "a training from start to end": log_of(
            started(totalSteps=20.0, totalModels=2.0),
            finished("initialization", START + 0.5),
            steps(0, 10, at=START + 1, currentModel=1.0, totalSteps=20.0),
            steps(10, 10, at=START + 4, currentModel=1.0, totalSteps=20.0),
            Event(event_type="model_completed", timestamp=START + 7, metrics={"currentModel": 1.0, "loss": 0.12}),
            steps(0, 20, at=START + 8, currentModel=2.0, totalSteps=20.0),
            Event(event_type="model_completed", timestamp=START + 13, metrics={"currentModel": 2.0}),
            finished("training_complete", START + 14),
        ),
        "numbers that are not finite, and names that are words of JavaScript": log_of(started(), bare),
        "rows that lack metrics": log_of(patchy),
        "rows of several models in one block": log_of(two_models),
        "model numbers that are none": log_of(odd_models),
        "a model's newest loss stands in any of its rows": log_of(
            block_of(
                [
                    (START, {"currentStep": 1.0, "currentModel": 1.0, "loss": 0.9}),
                    (START + 1, {"currentStep": 2.0, "currentModel": 1.0, "loss": 0.7}),
                    (START + 2, {"currentStep": 3.0, "currentModel": 1.0}),
                    (START + 3, {"currentStep": 1.0, "currentModel": 2.0, "loss": 0.8}),
                ]
            )
        ),
        "rows that were dropped are counted": log_of(StepBlock([START], {}, 12), steps(1, 2)),
        "an error, and going on after it": log_of(steps(0, 3), broken, steps(3, 2, at=START + 6)),
        "an older row does not undo a newer error": log_of(broken, steps(0, 3)),
        "lost, and heard again": log_of(steps(0, 3), lost, steps(3, 1, at=START + 60)),
        "pause and resume": log_of(
            steps(0, 2), paused, Event(event_type="control", timestamp=START + 9, status="running", message="Resumed")
        ),
        "remarks leave the status": log_of(
            finished("all complete", START),
            Event(event_type="annotation", timestamp=START + 1, name="note", message="good one"),
            Event(event_type="alert", timestamp=START + 2, message="loss rose", metrics={"loss": 3.0}),
        ),
        "two producers: the newer timestamp wins, then the producer's name": log_of(
            (steps(5, 2, at=START + 5), 1, "p2"),
            (steps(0, 2, at=START), 1, "p1"),
            (started(START + 5.25, loss=7.0), 1, "p1"),
            (started(START + 5.25, loss=8.0), 1, "p3"),
        ),
        "a later attempt starts afresh, an earlier one is passed over": log_of(
            (started(totalSteps=50.0), 1, "p1"),
            (steps(0, 3, at=START + 1, mine=4.0), 1, "p1"),
            (started(START + 100), 2, "p2"),
            (steps(3, 3, at=START + 101), 1, "p1"),
            (steps(0, 2, at=START + 102), 2, "p2"),
        ),
        "the pace keeps a sample a second, and thirty of them": log_of(
            *(steps(10 * block, 10, at=START + 4 * block, apart=0.4, currentModel=2.0) for block in range(12))
        ),
        "the pace of rows with a gap in their totals": log_of(
            block_of(
                [
                    (START, {"currentStep": 1.0, "totalSteps": 5.0}),
                    (START + 2, {"currentStep": 2.0, "currentModel": 2.0}),
                    (START + 4, {"currentStep": 3.0, "totalSteps": 7.0, "currentModel": 3.0}),
                ]
            )
        ),
    }


def fold_cases() -> list[Case]:
    """Each log as records, with the state after each of them."""
    cases = []
    for name, records in logs().items():
        state, states = State(), []
        for record in records:
            state = fold(state, record)
            states.append(state_message(state))
        cases.append({"name": name, "records": [record_message(record) for record in records], "states": states})
    return cases


def eta_cases() -> list[Case]:
    """Paces, totals, and what is estimated from them."""
    even = [Pace(START + index, 10.0 * index) for index in range(10)]
    uneven = [Pace(START + index, float(sum(range(index)) % 37 + 20 * index)) for index in range(30)]
    asked: list[tuple[str, list[Pace], float]] = [
        ("nothing yet", [], 100.0),
        ("two samples are too few", even[:2], 100.0),
        ("three are enough", even[:3], 100.0),
        ("an even pace", even, 1_000.0),
        ("an uneven pace", uneven, 5_000.0),
        ("done", even, 90.0),
        ("beyond the total", even, 50.0),
        ("nothing moves", [Pace(START + index, 7.0) for index in range(5)], 100.0),
        ("it goes backwards", [Pace(START + index, 50.0 - index) for index in range(5)], 100.0),
        ("a restart in between", [*even[:4], Pace(START + 11, 5.0), Pace(START + 12, 60.0)], 100.0),
        ("one moment", [Pace(START, float(index)) for index in range(4)], 100.0),
    ]
    return [
        {
            "name": name,
            "pace": msgspec.to_builtins(pace),
            "total": total,
            "estimate": msgspec.to_builtins(estimate(pace, total)),
        }
        for name, pace, total in asked
    ]


def pulse_cases() -> list[Case]:
    """Paces, moments, and what is said of a run then."""

    def even(apart: float, count: int = 20, rate: float = 5.0) -> list[Pace]:
        return [Pace(START + apart * index, rate * apart * index) for index in range(count)]

    def slowing(last: int, rate: float) -> list[Pace]:
        fast = [Pace(START + index, 5.0 * index) for index in range(10)]
        return [*fast, *(Pace(START + 10 + index, 45 + rate * (index + 1)) for index in range(last))]

    # Five samples a second apart, then an evaluation of twenty seconds, and again.
    pausing = [Pace(START + 25 * lap + second, 25.0 * lap + 5 * second) for lap in range(5) for second in range(6)]
    asked: list[tuple[str, list[Pace], float]] = [
        ("a step a moment ago", even(1.0), 0.4),
        ("five seconds are usual for nobody to notice", even(1.0), 5.0),
        ("no step for eight seconds", even(1.0), 8.0),
        ("no step for half a minute", even(1.0), 30.0),
        ("no step for longer", even(1.0), 31.0),
        ("ten seconds from step to step", even(10.0, rate=0.1), 15.0),
        ("four times ten seconds are slow", even(10.0, rate=0.1), 41.0),
        ("twelve times ten seconds are a stall", even(10.0, rate=0.1), 121.0),
        ("evaluations in between are usual", pausing, 70.0),
        ("and make no run slow", pausing[:-4], 0.0),
        ("three times as slow as usual", slowing(5, 1.0), 0.0),
        ("half as fast as usual", slowing(5, 2.5), 0.0),
        ("the newest samples stand still", slowing(5, 0.0), 0.0),
        ("too few samples to compare", slowing(5, 1.0)[-5:], 0.0),
        ("nothing sampled yet", [], 4.0),
        ("nothing sampled for long", [], 45.0),
    ]
    cases = []
    for name, pace, idle in asked:
        at = pace[-1].timestamp if pace else START
        state = State(pace=tuple(pace), stepped_at=at if pace else 0.0, updated_at=at, status="running")
        cases.append(
            {
                "name": name,
                "pace": msgspec.to_builtins(pace),
                "steppedAt": state.stepped_at,
                "updatedAt": state.updated_at,
                "now": at + idle,
                "pulse": pulse(state, at + idle),
            }
        )
    return cases


def series_cases() -> list[Case]:
    """Rows in blocks and events, and the curves that come of them."""
    source = random.Random(7)
    long: list[Body] = []
    first = 0
    while first < 1_700:
        count = source.randint(1, 90)
        rows: list[Row] = [
            (START + step, {"currentStep": float(step), "loss": round(source.gauss(1, 0.3), 3)})
            for step in range(first, first + count)
        ]
        long.append(block_of(rows))
        first += count
    holes = [NAN, 0.5, INF, -INF, 0.5, 0.5, NAN]
    rough = block_of([(START + index, {"currentStep": float(index), "loss": loss}) for index, loss in enumerate(holes)])
    many = block_of([(START, {"currentStep": 1.0, **{f"m{index:03}": float(index) for index in range(130)}})])
    chosen = {
        "four times as many rows as buckets": log_of(*long),
        "numbers that are not finite": log_of(rough),
        "more lines than are kept": log_of(many),
        **{name: records for name, records in logs().items() if "attempt" not in name},
    }
    cases = []
    for name, records in chosen.items():
        series = Series()
        for record in records:
            if isinstance(record.body, StepBlock):
                series.add_block(record.body)
            elif record.body.event_type == "step_update":
                series.add_row(record.body.metrics)
        cases.append(
            {"name": name, "records": [record_message(record) for record in records], "lines": series_message(series)}
        )
    return cases


def frame_cases() -> list[Case]:
    """Each log as a viewer gets it: a key frame, then what came since, from a cursor that may stand inside a block."""
    source = random.Random(11)
    cases = []
    for name, records in logs().items():
        log, frames, cursor, fed = SessionLog("s"), [], None, 0
        while fed < len(records) or cursor != log.cursor:
            fed = min(len(records), fed + source.randint(0, 2))
            log.apply(Slice("e1", 1, records[fed - 1].last if fed else 0, records[:fed]))
            frame = log.frame(cursor)
            if frame is None:
                continue
            frames.append(frame_message("s", frame, log.series))
            # Some frames get lost behind their first half: the viewer goes on from there.
            middle = frame.first + (frame.last - frame.first) // 2
            cursor = Cursor("e1", middle if not frame.key and source.random() < 0.3 else frame.last)
        cases.append({"name": name, "frames": frames, "state": state_message(log.state)})
    return cases + [coalesced_case(name, records) for name, records in logs().items() if records[-1].last > 20]


def coalesced_case(name: str, records: list[Record]) -> Case:
    """A log as a slow viewer gets it, five records at once: it begins with the first, and hears of every event after it."""
    source = random.Random(13)
    log, frames, cursor, fed = SessionLog("s"), [], None, 0
    while fed < len(records):
        fed = min(len(records), fed + (source.randint(1, 3) if fed else 1))
        log.apply(Slice("e1", 1, records[fed - 1].last, records[:fed]))
        frame = log.frame(cursor, Detail(rows=5, points=16))
        assert frame is not None
        frames.append(frame_message("s", frame, log.series))
        cursor = Cursor("e1", frame.last)
    events = [record.offset for record in records[1:] if isinstance(record.body, Event)]
    rows = records[-1].last - records[0].last - len(events)
    return {
        "name": f"{name}, as a slow viewer gets it",
        "frames": frames,
        "state": state_message(log.state),
        "events": events,
        "rows": rows,
    }


VECTORS: dict[str, Callable[[], list[Case]]] = {
    "fold": fold_cases,
    "eta": eta_cases,
    "pulse": pulse_cases,
    "series": series_cases,
    "frames": frame_cases,
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_are_what_this_implementation_computes(name: str) -> None:
    hold(name, VECTORS[name]())


def hold(name: str, cases: list[Case]) -> None:
    """Compare a file of vectors with what is computed; with FORGE_UPDATE_VECTORS write it before."""
    path = FOLDER / f"{name}.json"
    # Through JSON and back, so that what is compared is what a reader of the file gets. No NaN: it has a name on the wire.
    computed = json.loads(json.dumps(cases, allow_nan=False))
    if os.environ.get("FORGE_UPDATE_VECTORS"):
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in computed)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == computed
