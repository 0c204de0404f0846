"""Compacts a session in a process of its own, over and over: compactor.py FOLDER SESSION ROWS, so many rows a range.

Prints a line each time that a range was compacted. Ends where it is ended.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from forge_widgets.stores import compaction
from forge_widgets.stores.sqlite import SqliteStore

_PAUSE_S = 0.005


def main(folder: str, session_id: str, rows: str) -> None:
    compaction.RANGE_ROWS = int(rows)
    store = SqliteStore(Path(folder))
    while True:
        if store.compact(session_id):
            os.write(1, b"compacted\n")
        else:
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
