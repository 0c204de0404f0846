"""Sessions of ours, written block by block past hooks and publisher: for what needs long ones, or a store alone."""

from __future__ import annotations

from array import array

from forge_widgets.core.events import Batch, Body, Event, Producer, length
from forge_widgets.core.steps import Column, StepBlock
from forge_widgets.stores.base import Store
from tests.bench.contestants.columns import START_S, Precision, columns

LONG_BLOCK = 8_192
"""Rows of a block of a session that is only to be there."""


def block(made: dict[str, array[float]]) -> StepBlock:
    """Make a block of columns."""
    return StepBlock(made["timestamp"], {name: Column(values) for name, values in made.items() if name != "timestamp"})


def start(store: Store, session_id: str, producer: Producer, *, total_steps: int = 1_000_000) -> None:
    """Append the start of a training: sequence number 1."""
    metrics = {"totalSteps": float(total_steps), "totalModels": 1.0, "currentModel": 1.0}
    event = Event(event_type="training_started", timestamp=START_S, metrics=metrics, message="Training started")
    store.append(session_id, Batch(producer=producer, sequence=1, bodies=[event]))


def fill(
    store: Store,
    session_id: str,
    rows: int,
    *,
    block_rows: int = LONG_BLOCK,
    blocks: int = 8,
    precision: Precision = "float32",
    rate: float = 1_000.0,
) -> None:
    """Append a whole training of so many rows: ``blocks`` blocks a commit."""
    producer = Producer(id=f"{session_id}-filler")
    start(store, session_id, producer, total_steps=rows)
    done = 0
    while done < rows:
        bodies: list[Body] = []
        sequence = done + 2
        while len(bodies) < blocks and done < rows:
            bodies.append(block(columns(done + 1, min(block_rows, rows - done), precision=precision, rate=rate)))
            done += length(bodies[-1])
        store.append(session_id, Batch(producer=producer, sequence=sequence, bodies=bodies))
