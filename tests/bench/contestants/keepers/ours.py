"""Ours: a session's file, synchronous=FULL."""

from __future__ import annotations

from collections.abc import Sequence

from forge_widgets.core.events import Batch, Producer
from forge_widgets.stores import open_store
from tests.bench.contestants.keepers import Append, Columns
from tests.bench.contestants.session import block, start


def opened() -> Append:
    store, producer = open_store("store"), Producer(id="p1")
    start(store, "bench", producer)
    sequence = 2

    def append(blocks: Sequence[Columns]) -> None:
        nonlocal sequence
        batch = Batch(producer=producer, sequence=sequence, bodies=[block(one) for one in blocks])
        sequence = store.append("bench", batch).sequence + 1

    return append
