"""Fills a store with trainings that are over, one of each length, compacted: ``filling FOLDER ROWS…``; their names are these."""

from __future__ import annotations

import sys

from forge_widgets.core.events import Batch, Event, Producer
from forge_widgets.stores import open_store
from forge_widgets.stores.sqlite import SqliteStore
from tests.bench.contestants.columns import START_S
from tests.bench.contestants.session import fill


def main(folder: str, *lengths: str) -> None:
    """Fill."""
    store = open_store(folder)
    assert isinstance(store, SqliteStore)
    for rows in map(int, lengths):
        fill(store, str(rows), rows)
        over = Event(
            event_type="phase_completed", timestamp=START_S + rows, name="training_complete", message="Completed"
        )
        store.append(str(rows), Batch(producer=Producer(id="end"), sequence=1, bodies=[over]))
        while store.compact(str(rows), whole=True):
            pass
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
