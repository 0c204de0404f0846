"""``forge-widgets sessions``: what is running and what ran, as a table or as JSON."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from forge_widgets.cli import words
from forge_widgets.cli.arguments import Commands, add_store, positive
from forge_widgets.core.events import STATUSES
from forge_widgets.core.numbers import format_number

if TYPE_CHECKING:
    from forge_widgets.analysis.sessions import SessionInfo
    from forge_widgets.stores import Store


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sessions",
        help="list the sessions of a store",
        description="List the sessions of a store, the newest update first.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--status", choices=sorted(STATUSES), help="only sessions of this status")
    parser.add_argument("--limit", type=positive, metavar="N", help="at most so many (default: all)")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from forge_widgets.analysis.sessions import sessions
    from forge_widgets.stores import open_store

    found = sessions(status=arguments.status, limit=arguments.limit, store=arguments.store)
    if arguments.json:
        _print_json(found, open_store(arguments.store))
    elif found:
        _print_table([_HEAD, *(_line(info, time.time()) for info in found)])
    else:
        print(f"No sessions in {open_store(arguments.store).url} yet. 'forge-widgets demo' runs a training to watch.")
    return 0


_HEAD = ("SESSION", "STATUS", "MODEL", "STEP", "LOSS", "LEFT", "UPDATED")


def _line(info: SessionInfo, now: float) -> tuple[str, ...]:
    return (
        info.session_id,
        f"{info.status}, gone" if info.lost else info.standing,
        info.place("currentModel", "totalModels"),
        info.place("currentStep", "totalSteps") if "currentStep" in info.recorded else "",
        format_number(info.metrics["loss"]) if "loss" in info.recorded else "",
        f"~ {words.duration(info.left.seconds)}" if info.left else "",
        words.ago(now - info.updated_at.timestamp()),
    )


def _print_table(lines: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_json(found: list[SessionInfo], store: Store) -> None:
    from forge_widgets.core.wire import encode

    document: dict[str, Any] = {
        "sessions": [_document(info) for info in found],
        "total": len(found),
        "store": store.url,
    }
    if found:  # to be compared with a server's (api/health); asking makes the store, which a list must not
        document["storeId"] = store.store_id
    sys.stdout.write(encode(document).decode() + "\n")


def _document(info: SessionInfo) -> dict[str, Any]:
    from forge_widgets.core.document import iso_time
    from forge_widgets.core.metrics import split_nonfinite

    values, nonfinite = split_nonfinite(info.metrics)
    document: dict[str, Any] = {
        "sessionId": info.session_id,
        "status": info.status,
        "lost": info.lost,
        "standing": info.standing,
        "error": info.error,
        "attempt": info.attempt,
        "createdAt": iso_time(info.created_at.timestamp()),
        "lastUpdate": iso_time(info.updated_at.timestamp()),
        "rows": info.rows,
        "metrics": values,
        "secondsLeft": info.left.seconds if info.left else None,
        "stepsPerSecond": info.left.steps_per_second if info.left else None,
    }
    return {**document, "nonfinite": nonfinite} if nonfinite else document
