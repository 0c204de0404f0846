"""Trims a session in a process of its own: trimmer.py FOLDER SESSION UPTO ROWS, so many rows at a time up to an offset.

Prints each floor once the trim has returned.
"""

from __future__ import annotations

import os
import sys

from forge_widgets.stores import open_store


def main(folder: str, session_id: str, upto: str, rows: str) -> None:
    store = open_store(folder)
    floor = 1
    while floor <= int(upto):
        trimmed = store.trim(session_id, min(floor - 1 + int(rows), int(upto)))
        assert trimmed is not None
        floor = trimmed
        os.write(1, f"{floor}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
