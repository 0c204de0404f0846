"""The ways in which sessions of the real server are watched: how our own clients ask, how the contract's, and by polling."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from tests.bench.streams.processes import Crowd, crowd, pages

_QUERIES = {
    "outline": "?protocol=1&encoding=deflate&brief=outline",
    "rows": "?protocol=1&encoding=deflate&brief=rows",
    "text": "?protocol=1",
    "contract": "",
}


def watched(
    view: str, port: int, session_ids: Sequence[str], viewers: int, *, prefix: str = ""
) -> AbstractContextManager[Crowd]:
    """Let so many watch sessions, in turns: one of the queries, or ``polling`` the first one and every how many seconds."""
    way, _, every_s = view.partition(" ")
    if way == "polling":
        return pages(port, f"{prefix}/api/progress/{session_ids[0]}", viewers, every_s=float(every_s))
    return crowd(port, [f"{prefix}/ws/{session_id}{_QUERIES[way]}" for session_id in session_ids], viewers)
