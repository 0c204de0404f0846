"""Who has written to a session's file, and what of it must not come twice: what placing asks, answered by its tables.

Made by session_file for one append, inside the append's transaction; writes nothing.
"""

from __future__ import annotations

from typing import Any

import apsw

from forge_widgets.core.state import State
from forge_widgets.errors import InvalidInput
from forge_widgets.stores.placing import Known

# The newest sequence number of a producer among the records that the table of producers does not count yet.
_NEWEST = (
    "SELECT sequence + last - offset FROM records"
    " WHERE offset > coalesce((SELECT offset FROM snapshot), 0) AND producer = producers.id ORDER BY offset DESC LIMIT 1"
)


class Ledger:
    """A file's log as placing sees it (placing.Log)."""

    def __init__(self, connection: apsw.Connection, top: int, state: State) -> None:
        self._connection = connection
        self.top = top
        self.state = state

    def producer(self, producer_id: str) -> Known | None:
        """Return what is known of a producer."""
        rows: list[Any] = self._connection.execute(
            f"SELECT attempt, max(sequence, coalesce(({_NEWEST}), 0)) FROM producers WHERE id = ?1",  # noqa: S608 - constant
            (producer_id,),
        ).fetchall()
        return Known(_count(rows[0][0]), _count(rows[0][1])) if rows else None

    def group(self, name: str) -> int | None:
        """Return the attempt of a producer group."""
        rows: list[Any] = self._connection.execute(
            "SELECT max(attempt) FROM producers WHERE grp = ?", (name,)
        ).fetchall()
        return None if rows[0][0] is None else _count(rows[0][0])

    def has_key(self, key: str) -> bool:
        """Say whether an event of this key is recorded, or was and is trimmed."""
        return bool(self._connection.execute("SELECT 1 FROM keys WHERE key = ?", (key,)).fetchall())


def note_sequences(connection: apsw.Connection) -> None:
    """Note in the table of producers what the records since the snapshot say of them, within the caller's transaction.

    Whoever moves the snapshot, or drops records, calls it first: it is how far the table counts. An append of rows leaves
    the table alone, which spares each commit a page and a statement (270 µs instead of 360).
    """
    connection.execute(
        f"UPDATE producers SET sequence = max(sequence, coalesce(({_NEWEST}), 0)) WHERE id IN"  # noqa: S608 - constant
        " (SELECT producer FROM records WHERE offset > coalesce((SELECT offset FROM snapshot), 0))"
    )


def _count(value: object) -> int:
    """Return a number of a table; a broken page may hold anything. Raises InvalidInput."""
    if type(value) is not int or value < 0:
        raise InvalidInput(f"{value!r:.40} can't be used", where="producers", expected="a whole number")
    return value
