"""What a contestant and all that it has started take: its whole process group, since some peers record in a process beside."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUP = 2
_RSS = 21


def memory_mb() -> float:
    """Return the resident memory of the group in MB of 1,000,000 bytes."""
    return sum(int(fields[_RSS]) for _, fields in _processes()) * resource.getpagesize() / 1e6


def core_s() -> float:
    """Return how long the group's threads that live have been on a core, in seconds."""
    return sum(_on_core(path) for path, _ in _processes())


def _on_core(process: Path) -> float:
    total = 0
    for thread in process.glob("task/*/schedstat"):
        with suppress(OSError):  # a thread that has ended meanwhile
            total += int(thread.read_text().split()[0])
    return total / 1e9


def _processes() -> Iterator[tuple[Path, list[str]]]:
    own = str(os.getpgrp())
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # a process that has ended meanwhile
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if fields[_GROUP] == own:
                yield path, fields
