"""The tables of a session's database, and the steps that bring an older file up to date.

Called once when a connection to a session's file is opened; nobody else makes or changes tables.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import apsw
from msgspec import Struct

from forge_widgets.core.state import State
from forge_widgets.errors import StoreDamaged
from forge_widgets.stores.codec import encode_state

APPLICATION_ID = 0x46474557
"""``PRAGMA application_id`` of a session's file: "FGEW"."""

_TABLES = """
CREATE TABLE meta(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    session_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    floor INTEGER NOT NULL,   -- oldest offset still kept
    base BLOB,                -- the state just before the floor (MessagePack); NULL: nothing was before
    created REAL              -- timestamp of the first record ever
);
CREATE TABLE records(
    offset INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,    -- offset of the last row
    attempt INTEGER NOT NULL,
    kind INTEGER NOT NULL,    -- 0 event (MessagePack), 1 step block (core.steps.encode_block)
    producer TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    timestamp REAL NOT NULL,  -- of the event, or of the last row
    received REAL NOT NULL,   -- this machine's clock at the append
    body BLOB NOT NULL
);
CREATE TABLE producers(
    id TEXT PRIMARY KEY,
    grp TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    sequence INTEGER NOT NULL -- the newest durable one
) WITHOUT ROWID;
CREATE INDEX producers_by_group ON producers(grp);
CREATE TABLE keys(key TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshot(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    offset INTEGER NOT NULL,
    format INTEGER NOT NULL,
    state BLOB NOT NULL
);
"""


class Carried(Struct, frozen=True):
    """What a writer carries over from a log that is gone to the one that begins in its place."""

    # The state of what it knew to be recorded.
    state: State
    # The writer as the old log knew it.
    producer: str
    group: str
    attempt: int
    sequence: int


class Beginning(Struct, frozen=True):
    """What a new file begins with."""

    session_id: str
    carried: Carried | None = None


Step = Callable[[apsw.Connection, Beginning], None]
"""Brings a file from one version to the next, inside the caller's transaction."""


def _make(connection: apsw.Connection, beginning: Beginning) -> None:
    """From an empty file to version 1: the tables, and a log with a new epoch."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(_TABLES)
    carried = beginning.carried
    connection.execute(
        "INSERT INTO meta(one, session_id, epoch, floor, base, created) VALUES(1, ?, ?, 1, ?, ?)",
        (
            beginning.session_id,
            secrets.token_hex(8),
            None if carried is None else encode_state(carried.state),
            None if carried is None else carried.state.started_at,
        ),
    )
    if carried is not None:
        connection.execute(
            "INSERT INTO producers(id, grp, attempt, sequence) VALUES(?, ?, ?, ?)",
            (carried.producer, carried.group, carried.attempt, carried.sequence),
        )


_OVERVIEWS = """
CREATE TABLE overviews(
    level INTEGER NOT NULL,   -- 0 stands for records, each other for FAN_OUT overviews of the one below
    first INTEGER NOT NULL,   -- offsets that it stands for, none of them missing
    last INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    low REAL NOT NULL,        -- least and greatest step
    high REAL NOT NULL,
    body BLOB NOT NULL        -- core.overview.encode_overview
);
CREATE UNIQUE INDEX overviews_by_place ON overviews(level, first, last, rows, low, high);
CREATE INDEX lifecycle ON records(offset) WHERE kind = 0;
"""


def _overview(connection: apsw.Connection, _: Beginning) -> None:
    """From version 1 to 2: overviews of compacted rows, and lifecycle events that are found among millions of steps."""
    connection.execute(_OVERVIEWS)


LADDER: tuple[Step, ...] = (_make, _overview)
"""The step at index n leads from version n to n + 1; version 0 is an empty file. Steps are only ever added at the end."""

VERSION = len(LADDER)
"""``PRAGMA user_version`` of the files that this release writes."""


def version_of(connection: apsw.Connection, path: str) -> int:
    """Return the schema version of a file, 0 for an empty one. Raises StoreDamaged for a file that is not ours."""
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchall()[0]
    if (version, tables) == (0, 0):
        return 0
    if application != APPLICATION_ID or not isinstance(version, int):
        raise StoreDamaged(path, "it is a database, but not a session of forge-widgets")
    if version <= 0:
        raise StoreDamaged(path, "it has tables, and its header says that it has none")
    return version


def migrate(connection: apsw.Connection, path: str, beginning: Beginning) -> None:
    """Bring a file up to date, all steps or none. Raises StoreDamaged for a file that is not ours."""
    if version_of(connection, path) >= VERSION:
        return
    with transaction(connection, "IMMEDIATE"):
        for step in LADDER[version_of(connection, path) :]:  # asked again: somebody else may have been faster
            step(connection, beginning)
        connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def transaction(connection: apsw.Connection, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[None]:
    """Run the block in a transaction: committed where it ends well, rolled back where it raises."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled it back already; a rollback that fails must not hide why it was needed.
        if connection.in_transaction:
            with suppress(apsw.Error):
                connection.execute("ROLLBACK")
        raise
