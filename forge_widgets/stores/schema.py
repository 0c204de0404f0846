"""The tables of a session's database, and the steps that bring an older file up to date.

Called once when a connection to a session's file is opened; nobody else makes or changes tables.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

import apsw

from forge_widgets.errors import StoreDamaged

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

Step = Callable[[apsw.Connection, str], None]
"""Brings a file from one version to the next, inside the caller's transaction; gets the session's id."""


def _make(connection: apsw.Connection, session_id: str) -> None:
    """From an empty file to version 1."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(_TABLES)
    begin_log(connection, session_id, None)


LADDER: tuple[Step, ...] = (_make,)
"""The step at index n leads from version n to n + 1; version 0 is an empty file. Steps are only ever added at the end."""

VERSION = len(LADDER)
"""``PRAGMA user_version`` of the files that this release writes."""


def begin_log(connection: apsw.Connection, session_id: str, base: bytes | None) -> None:
    """Write the row that begins a log: a new epoch on top of a base state."""
    connection.execute(
        "INSERT INTO meta(one, session_id, epoch, floor, base) VALUES(1, ?, ?, 1, ?)",
        (session_id, secrets.token_hex(8), base),
    )


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
    return version


def migrate(connection: apsw.Connection, path: str, session_id: str, ladder: Sequence[Step] = LADDER) -> None:
    """Bring a file up to date, all steps or none. Raises StoreDamaged for a file that is not ours."""
    if version_of(connection, path) >= len(ladder):
        return
    with transaction(connection, "IMMEDIATE"):
        for step in ladder[version_of(connection, path) :]:  # asked again: somebody else may have been faster
            step(connection, session_id)
        connection.execute(f"PRAGMA user_version = {len(ladder)}")


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
