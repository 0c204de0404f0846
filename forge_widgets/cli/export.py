"""``forge-widgets export``: a session's recorded rows as CSV, JSON or Parquet."""

from __future__ import annotations

import argparse
import sys

from forge_widgets.cli.arguments import Commands, add_store
from forge_widgets.errors import InvalidInput


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write a session's recorded rows to a file",
        description="Write a session's recorded rows, a row each step, with the columns step, model (from 1), timestamp "
        "(UTC) and every metric. Numbers that are not finite are NaN, Infinity and -Infinity in CSV, and null in JSON "
        "with their names beside. A file is written whole or not at all.",
    )
    parser.add_argument("id", metavar="ID", help="the session; 'forge-widgets sessions' lists them")
    parser.add_argument("--format", required=True, choices=("csv", "parquet", "json"), help="format of the output")
    parser.add_argument("--output", metavar="FILE", help="file to write (default: standard output)")
    parser.add_argument("--attempt", type=int, metavar="N", help="which attempt, from 1 (default: the latest)")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the rows."""
    from forge_widgets.analysis.export import export

    if arguments.output is None and arguments.format == "parquet" and sys.stdout.isatty():
        raise InvalidInput("Parquet is binary", where="output", expected="--output FILE, or a pipe to write to")
    target = sys.stdout.buffer if arguments.output is None else arguments.output
    recorded = export(arguments.id, arguments.format, target, attempt=arguments.attempt, store=arguments.store)
    if arguments.output is None:
        sys.stdout.buffer.flush()
    if arguments.output is None and recorded.trimmed:
        print(recorded, file=sys.stderr)
    elif arguments.output is not None:
        print(f"{arguments.output}: {recorded}", file=sys.stderr)
    return 0
