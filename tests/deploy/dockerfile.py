"""A Dockerfile read into its instructions, and what its .dockerignore lets into the build. No docker is needed, or used."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word and what follows it, lines joined."""

    word: str
    rest: str

    @property
    def command(self) -> list[str]:
        """The words of ENTRYPOINT, CMD or HEALTHCHECK … CMD in their JSON form."""
        words: list[str] = json.loads(self.rest[self.rest.index("[") :])
        return words


def instructions(file: Path) -> list[Instruction]:
    """Read a Dockerfile."""
    text = re.sub(r"(?m)^\s*#.*\n", "", file.read_text())
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Instruction(*line.split(None, 1)) for line in lines if line.strip()]


def copy_context(root: Path, to: Path) -> None:
    """Copy what `docker build` would be sent of a folder."""
    patterns = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (".git", ".venv", "node_modules", "__pycache__")]
        for name in files:
            path = (Path(folder) / name).relative_to(root)
            if not _is_ignored(path, patterns):
                (to / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / path, to / path)


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    """The last pattern that matches a path, or a folder that it lies in, decides."""
    places = [path.as_posix(), *(parent.as_posix() for parent in path.parents if parent.name)]
    ignored = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(_matches(place, bare) for place in places):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(place: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(place.rsplit("/", 1)[-1], pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatch.fnmatchcase(place, pattern)
