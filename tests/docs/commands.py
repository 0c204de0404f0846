"""Cuts a block of shell lines into commands, and holds those that a test can't run in another way.

The list of them is short and says why. Called by the runner of shell blocks.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.docs.blocks import ROOT

_COMMAND = [sys.executable, "-m", "forge_widgets.cli"]
# Ours among the options of jupyter's own commands; theirs are theirs to check.
_EXTENSION = "--ForgeWidgetsExtension."


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A kind of command that no test runs."""

    # The words that a command of the kind begins with.
    begins: str
    why: str
    check: Callable[[list[str]], None]


def commands_of(text: str) -> list[str]:
    """Return the commands of a block, each with the lines that it goes on in; comments are left out."""
    commands: list[str] = []
    begun = ""
    for line in text.splitlines():
        begun += line
        if begun.endswith("\\") or not _is_whole(begun):
            begun += "\n"
        else:
            if shlex.split(begun, comments=True):
                commands.append(begun)
            begun = ""
    assert not begun, f"a command has no end: {begun!r}"
    return commands


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def otherwise(command: str) -> Otherwise | None:
    """Return how a command is held that no test can run; None where it is run."""
    plain = re.sub(r"^(?:sudo +|[A-Z_]+=\S* +)*", "", command.strip())
    return next((kind for kind in OTHERWISE if f"{plain} ".startswith(f"{kind.begins} ")), None)


def words_of(command: str) -> list[str]:
    """Return a command's words, without what is set before it and without sudo."""
    words = shlex.split(command, comments=True)
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    return words


def _is_target(words: list[str]) -> None:
    for target in words[1:]:
        if not target.startswith("-") and "=" not in target:
            known = rf"^{re.escape(target)}:"
            assert re.search(known, (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), f"make knows no {target}"


def _is_ours_to_install(words: list[str]) -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.optional-dependencies]")[2]
    known = re.findall(r"^([a-z]+) = \[", project.partition("\n[")[0], re.MULTILINE)
    for word in words[2:]:
        found = re.fullmatch(r"(?:forge-widgets|\.)(?:\[([a-z,]+)])?", word)
        extras = (found[1] or "").split(",") if found and found[1] else []
        assert word.startswith("-") or found or _exists(word), f"what is {word!r}?"
        assert set(extras) <= set(known), f"no such extra: {word}"


def _is_script(words: list[str]) -> None:
    if words[1] == "run":
        package = json.loads((ROOT / "forge_widgets" / "ui" / "package.json").read_text("utf-8"))
        assert words[2] in package["scripts"], f"no such script: {words[2]}"
    assert words[1] in ("run", "install", "ci", "pack", "test"), words


def _has_options(words: list[str]) -> None:
    known = help_of(words[1])
    for word in words[2:]:
        option = word.partition("=")[0]
        assert not option.startswith("-") or option in known, f"forge-widgets {words[1]} has no {option}"


def _names_files(words: list[str]) -> None:
    for word in words[1:]:
        if word.startswith("docs/"):
            assert _exists(word.partition(":")[0]), f"there is no {word}"


def _selects_tests(words: list[str]) -> None:
    """Look for the files' own names, as ``-k`` does: to let pytest collect them takes many times as long."""
    *_, folder, option, name = words
    assert option == "-k", words
    found = [path.name for path in (ROOT / folder).glob("test_*.py") if name in path.name]
    assert found, f"{folder} has no {name}"


def _nothing(words: list[str]) -> None:
    """Nothing of ours is named."""


def _exists(path: str) -> bool:
    return (ROOT / Path(path)).exists()


@cache
def help_of(command: str) -> frozenset[str]:
    """Return the options that a command of ours says it has."""
    said = subprocess.run([*_COMMAND, command, "--help"], capture_output=True, text=True, timeout=60, check=True)
    return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said.stdout))


_INSTALLS = "it would change what is installed"
_SYSTEM = "it needs a machine of its own; tests/deploy runs the files"

OTHERWISE = (
    Otherwise("make", "it runs for minutes", _is_target),
    Otherwise("pip install", _INSTALLS, _is_ours_to_install),
    Otherwise("/opt/forge-widgets/bin/pip install", _INSTALLS, _is_ours_to_install),
    Otherwise("python -m venv", _INSTALLS, _nothing),
    Otherwise("python3 -m venv", _INSTALLS, _nothing),
    Otherwise("npm", _INSTALLS, _is_script),
    Otherwise("git clone", "it needs a network", _nothing),
    Otherwise("apt-get", _INSTALLS, _nothing),
    Otherwise("cd", "it only says where", _nothing),
    Otherwise("forge-widgets demo", "tests/cli runs it in each mode", _has_options),
    Otherwise("jupyter lab", "tests/browser runs one", _nothing),
    Otherwise("pytest", "make test runs them; here it is only looked which", _selects_tests),
    Otherwise("python -m pytest", "make test runs them; here it is only looked which", _selects_tests),
    *(
        Otherwise(begins, _SYSTEM, _names_files)
        for begins in (
            "docker",
            "cp",
            "install",
            "mkdir",
            "ln",
            "nginx",
            "supervisord",
            "supervisorctl",
            "systemctl",
            "useradd",
            "certbot",
        )
    ),
)
