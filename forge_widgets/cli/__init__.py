"""The command line: ``forge-widgets serve | sessions | trim | sync | export | demo``.

Owns arguments, exit codes (0 done, 1 failed, 2 used wrongly, 130 interrupted) and the one line that says what went
wrong. A command is a module of its own; what it needs is loaded when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from forge_widgets._version import __version__
from forge_widgets.cli import demo, export, serve, sessions, sync, trim
from forge_widgets.errors import ForgeError

__all__ = ["main"]

COMMANDS = (serve, demo, sessions, trim, export, sync)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; ``arguments`` None means the process's own."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except (ForgeError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_gone()
        print(f"forge-widgets: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forge-widgets",
        description="Live training progress for Jupyter: serve it, see it, keep it.",
        epilog="'forge-widgets COMMAND --help' says more about a command. What to do when something does not work as it should: "
        "docs/TROUBLESHOOTING.md in the project's source.",
    )
    parser.add_argument("--version", action="version", version=f"forge-widgets {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def _reader_gone() -> int:
    """End quietly where whoever read our output has enough of it (``| head``)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
