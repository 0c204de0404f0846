"""How a recorded log is read from its beginning to where it ends now.

Owns the opening of a store for one question and the walk along a log; holds one slice at a time.
The other modules of this package call it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from msgspec.structs import replace

from forge_widgets.core.subscription import Slice
from forge_widgets.errors import SessionNotFound
from forge_widgets.stores import open_store
from forge_widgets.stores.base import Store

StoreLike: TypeAlias = "Store | str | os.PathLike[str] | None"
"""An open store, a folder or a URL; None is what FORGE_WIDGETS_STORE names, else the user's own."""


@contextmanager
def opened(store: StoreLike) -> Iterator[Store]:
    """Give the store to ask: the one that was handed in, or the one that a URL names, closed afterwards."""
    if store is not None and not isinstance(store, (str, os.PathLike)):
        yield store
        return
    own = open_store(store)
    try:
        yield own
    finally:
        own.close()


def slices(store: Store, session_id: str) -> Iterator[Slice]:
    """Yield a log slice by slice, up to the record that was its newest when the reading began.

    A log that is deleted and made anew meanwhile is begun afresh, which a changed epoch shows. Raises SessionNotFound.
    """
    after, goal, epoch = 0, 0, ""
    while True:
        part = store.read(session_id, after)
        if part is None:
            raise SessionNotFound(session_id, store.url)
        if part.epoch != epoch:
            epoch, goal = part.epoch, part.top
            if after > 0:
                after = 0
                continue
        # What was read before may be a part of a larger record by now (stores.compaction).
        yield replace(part, records=[record.after(after) for record in part.records])
        if not part.records:
            return
        after = part.records[-1].last
        if after >= goal:
            return
