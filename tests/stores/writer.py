"""A process that writes to a store, for the tests: prints each sequence number once it was acknowledged.

writer.py append FOLDER SESSION PRODUCER ROWS BATCHES    append so many batches of rows
writer.py lock FOLDER SESSION                            hold the session's lock until a line comes on stdin
writer.py trim FOLDER SESSION ROWS                       trim so many rows at a time, printing each floor
writer.py limited FOLDER SESSION BYTES                   append until a file-size limit stops it, lift it, append again
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from forge_widgets.errors import StoreUnavailable
from forge_widgets.stores.sqlite import SqliteStore
from tests.stores.batches import batch, steps


def append(folder: str, session_id: str, producer: str, rows: str, batches: str) -> None:
    store = SqliteStore(Path(folder))
    count, sequence = int(rows), 1
    for _ in range(int(batches)):
        receipt = store.append(session_id, batch(producer, sequence, steps(sequence, count)))
        sequence = receipt.sequence + 1
        print(receipt.sequence, flush=True)


def lock(folder: str, session_id: str) -> None:
    import apsw

    with apsw.Connection(f"{folder}/sessions/{session_id}.sqlite") as connection:
        connection.set_busy_timeout(20_000)
        connection.execute("BEGIN IMMEDIATE") if not connection.in_transaction else None
        connection.execute("UPDATE meta SET floor = floor")
        print("locked", flush=True)
        sys.stdin.readline()


def trim(folder: str, session_id: str, rows: str) -> None:
    store, upto = SqliteStore(Path(folder)), 0
    while (read := store.read(session_id, upto, 1)) is not None and read.floor <= read.top:
        upto = min(upto + int(rows), read.top)
        print(store.trim(session_id, upto), flush=True)


def limited(folder: str, session_id: str, size: str) -> None:
    import resource

    store = SqliteStore(Path(folder))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), hard))
    sequence = 1
    while True:
        try:
            store.append(session_id, batch("p", sequence, steps(sequence, 100)))
        except StoreUnavailable as error:
            print(error.reason, flush=True)
            break
        sequence += 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(store.append(session_id, batch("p", sequence, steps(sequence, 100))).sequence, flush=True)


TASKS: dict[str, Callable[..., None]] = {"append": append, "lock": lock, "trim": trim, "limited": limited}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
