"""The places that readers stand at, by name: a server that works, and one for each trouble that a document is about.

Opened as they are asked for and closed together by the fixture of this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.docs import troubles
from tests.docs.standing import Place, fill

PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "bare": troubles.bare,
    "below": troubles.below,
    "damaged": troubles.damaged,
    "down": troubles.down,
    "early": troubles.early,
    "elsewhere": troubles.elsewhere,
    "full": troubles.full,
    "jupyter": troubles.jupyter,
    "killed": troubles.killed,
    "limited": troubles.limited,
    "open": troubles.opened,
    "refusing": troubles.refusing,
    "trimmed": troubles.trimmed,
    "untrusted": troubles.untrusted,
    "waiting": troubles.waiting,
    "working": troubles.working,
}


class Places:
    """Opens places as they are asked for, each once; ``close`` leaves them all."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._open: dict[str, Place] = {}
        self._stack = ExitStack()

    def stand(self, name: str) -> Place:
        """Return a place."""
        assert name in PLACES, f"there is no place {name!r}; there are {', '.join(sorted(PLACES))}"
        if name not in self._open:
            folder = self._base / name
            folder.mkdir()
            self._open[name] = self._stack.enter_context(PLACES[name](folder))
        if name in ("working", "open"):  # a document before may have deleted them
            fill(self._base / name)
        return self._open[name]

    def close(self) -> None:
        """End every server."""
        self._stack.close()
