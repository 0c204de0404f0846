"""The vectors that hold the series route and the browser's reading of it together (ui/src/stream/finer.test.ts reads the same).

An answer of the route and the rows that came after it are the curves of the whole log. After a deliberate change run this
file once with FORGE_UPDATE_VECTORS=1, look at what changed, and commit it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from forge_widgets.core.curves import SeriesQuery
from forge_widgets.core.events import Batch, Body, Event, Producer
from forge_widgets.core.steps import Row, block_of
from forge_widgets.core.wire import record_message
from forge_widgets.server.series import curves_message
from forge_widgets.stores.base import Store
from forge_widgets.stores.memory import MemoryStore

Case = dict[str, Any]

FILE = Path(__file__).parents[1] / "vectors" / "finer.json"
START = 1_763_800_000.0
STARTED = Event(event_type="training_started", timestamp=START)
DONE = Event(event_type="model_completed", timestamp=START + 9, metrics={"loss": 0.5, "currentModel": 1.0})


def steps(first: int, count: int, **metrics: float) -> Body:
    """Build rows of falling loss; ``metrics`` stand in each of them."""
    rows: list[Row] = [
        (START + at, {"currentStep": float(at), "loss": round(2.5 / (at + 1), 4), **metrics})
        for at in range(first, first + count)
    ]
    return block_of(rows)


def logs() -> Iterator[tuple[str, list[Body], int]]:
    """Yield logs, and the offset up to which somebody was answered."""
    yield "a training that goes on", [STARTED, steps(0, 20), steps(20, 20)], 21
    yield "an answer that ends in the midst of a block", [STARTED, steps(0, 20), steps(20, 20)], 29
    yield "an answer of all that there is", [STARTED, steps(0, 20)], 21
    models = [steps(0, 12, currentModel=1.0), DONE, steps(0, 12, currentModel=2.0)]
    yield "another model begins after it", [STARTED, *models], 9
    yield "another model has begun before it", [STARTED, *models], 19
    yield "steps go back, on from a checkpoint", [STARTED, steps(0, 20), steps(12, 15)], 16
    patchy: list[Row] = [(START, {"currentStep": 1.0, "loss": 0.5}), (START + 1, {"currentStep": 2.0, "f1": 0.25})]
    single = Event(event_type="step_update", timestamp=START + 2, metrics={"currentStep": 3.0, "loss": 0.4})
    bare = Event(event_type="step_update", timestamp=START + 3, metrics={"currentStep": 4.0, "loss": 0.3})
    yield "rows that lack the metric, and rows of their own", [block_of(patchy), single, bare, steps(5, 3)], 3


def cases() -> list[Case]:
    """Make a case of each log: the answer at an offset, all records, and the curves in the end."""
    made = []
    for name, bodies, top in logs():
        store = MemoryStore()
        append(store, list(up_to(bodies, top)))
        answer = answered(store)
        append(store, bodies)
        read = store.read("s", 0)
        assert read is not None
        assert answer["top"] == top
        records = [record_message(record) for record in read.records]
        made.append({"name": name, "answer": answer, "records": records, "lines": answered(store)["series"]})
    return made


def append(store: Store, bodies: list[Body]) -> None:
    """Append what is not there yet."""
    store.append("s", Batch(producer=Producer(id="p1"), sequence=1, bodies=bodies))


def answered(store: Store) -> Case:
    curves = store.series("s", SeriesQuery(metrics=("loss",)))
    assert curves is not None
    return {**curves_message(curves), "epoch": "e"}


def up_to(bodies: list[Body], top: int) -> Iterator[Body]:
    """Yield what lies up to an offset; the block that holds it is cut."""
    for body in bodies:
        if top <= 0:
            return
        count = 1 if isinstance(body, Event) else len(body)
        yield body if isinstance(body, Event) or count <= top else body.slice(0, top)
        top -= count


def test_the_vectors_are_what_the_route_answers() -> None:
    computed = json.loads(msgspec.json.encode(cases()))
    if os.environ.get("FORGE_UPDATE_VECTORS"):
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in computed)
        FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    assert json.loads(FILE.read_text(encoding="utf-8")) == computed
