"""Runs a block of shell lines as a reader would type them, and compares what they print with what the document shows.

``exits=7`` behind the block's language says that the last command ends with 7; ``at=NAME`` where it is run. In what is
shown, ``…`` stands for anything.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
from shutil import which

from tests.docs.blocks import Block
from tests.docs.commands import commands_of, help_of, otherwise, words_of
from tests.docs.standing import Place

# Where a reader's server is; a test's is at a free port.
_USUAL = re.compile(r"\b(?:localhost|127\.0\.0\.1):8001\b")
# What a server is not started with here: other machines may reach it, or files of a machine that it is deployed on.
_ELSEWHERE = re.compile(r"0\.0\.0\.0|/etc/|/srv/|/var/|/run/|example\.|…")
# A command that names these, or asks for root, is never run.
_SYSTEM = re.compile(r"(?:^|[\s=<>\"'(])/(?:etc|opt|var|usr|srv|run|root|home|boot)\b|\bsudo\b|\brm\b")
_TIMEOUT_S = 60


def run_shell(block: Block, place: Place) -> None:
    """Run a block's commands one after the other in one shell; what can't be run is held in another way."""
    runnable = []
    for command in commands_of(block.text):
        kind = otherwise(command)
        words = words_of(command)
        if kind is not None:
            kind.check(words)
        elif words[:2] == ["forge-widgets", "serve"] and "exits" not in f"{block.words}":
            start_server(words, place)
        else:
            assert not _SYSTEM.search(command), f"{command!r} would change this machine: say how it is held instead"
            runnable.append(_USUAL.sub(place.netloc, command))
    if runnable:
        _run(block, runnable, place)
    elif block.shown is not None:
        raise AssertionError(f"{block.shown.name} shows what no command that is run here prints")


def start_server(words: list[str], place: Place) -> None:
    """Start a server as a document says, on a free port, and end it once it serves."""
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - help_of("serve")
    assert not unknown, f"forge-widgets serve has no {unknown}"
    if _ELSEWHERE.search(shlex.join(words)):
        return
    process = subprocess.Popen(
        [*words, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place.folder,
        env=place.environment,
        executable=_found(words[0], place),
    )
    assert process.stdout is not None
    late = threading.Timer(_TIMEOUT_S, process.kill)
    late.start()
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=_TIMEOUT_S)
    late.cancel()
    assert line.startswith("Serving at "), f"{line}{err}"
    assert process.returncode == 0, err


def _found(command: str, place: Place) -> str:
    found = which(command, path=place.environment["PATH"])
    assert found, f"there is no command {command!r}"
    return found


def _run(block: Block, commands: list[str], place: Place) -> None:
    wanted = int(block.word("exits", "0"))
    # All but the last have to go well: what ends otherwise is the last one's business.
    script = "set -euo pipefail\n" + "\n".join(commands) + "\n"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_TIMEOUT_S,
        cwd=place.folder,
        env=dict(place.environment),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    said = f"{block.name}\n{script}\nexit code {done.returncode}\n{done.stdout[-4_000:]}\n{done.stderr[-4_000:]}"
    assert done.returncode == wanted, said
    if block.shown is not None:
        printed = done.stdout + done.stderr if "err" in block.words else done.stdout
        assert is_shown(printed, block.shown), f"{said}\n\nis not what is shown:\n{block.shown.text}"


def is_shown(printed: str, shown: Block) -> bool:
    """Say whether something printed is what a block shows."""
    printed, expected = printed.strip(), shown.text.strip()
    if shown.language == "json":  # where spaces and line ends are for the reader
        printed, expected = ("".join(text.split()) for text in (printed, expected))
    else:
        printed, expected = ("\n".join(line.rstrip() for line in text.splitlines()) for text in (printed, expected))
    pattern = ".*?".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
