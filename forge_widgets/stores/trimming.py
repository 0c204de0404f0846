"""The dropping of a session's oldest records, and of the pages that they took.

Works on a session file's connection, called by session_file alone, which says up to where and knows the state there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import apsw

from forge_widgets.core.state import State
from forge_widgets.stores import codec
from forge_widgets.stores.compaction import forget_overviews
from forge_widgets.stores.ledger import note_sequences

MIN_FREE_PAGES = 16
"""Free pages below which a trimmed file is left at its size."""


def drop(connection: apsw.Connection, upto: int, base: State) -> None:
    """Drop the records up to an offset, within the caller's transaction; a block that reaches beyond it is cut."""
    note_sequences(connection)
    reaching = f"SELECT {codec.COLUMNS} FROM records WHERE offset <= ?1 AND last > ?1"  # noqa: S608 - constant
    rows: list[Any] = connection.execute(reaching, (upto,)).fetchall()
    for row in rows:
        kept = codec.decode_record(row).after(upto)
        moved = (kept.offset, kept.sequence, codec.encode_body(kept.body)[1], row[0])
        connection.execute("UPDATE records SET offset = ?, sequence = ?, body = ? WHERE offset = ?", moved)
    connection.execute("DELETE FROM records WHERE offset <= ?", (upto,))
    connection.execute("DELETE FROM snapshot WHERE offset < ?", (upto,))
    forget_overviews(connection, upto + 1)
    connection.execute("UPDATE meta SET floor = ?, base = ?", (upto + 1, codec.encode_state(base)))


def give_back(connection: apsw.Connection) -> None:
    """Make the file smaller where a good part of it is free; left for the next time where somebody is in the way."""
    counts: list[Any] = connection.execute(
        "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count"
    ).fetchall()
    free, pages = counts[0]
    if free < MIN_FREE_PAGES or free * 4 < pages:
        return
    with suppress(apsw.Error):  # busy, or no room for the copy: what was dropped is dropped, free pages are used again
        connection.execute("VACUUM")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
