"""``forge-widgets trim``: give disk space back by hand; says what it would drop, and drops nothing unasked."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from forge_widgets.cli.arguments import Commands, add_store, size
from forge_widgets.errors import InvalidInput, SessionNotFound

if TYPE_CHECKING:
    from forge_widgets.stores.quota import DiskStore


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "trim",
        help="drop recorded steps that are no longer needed, to free disk space",
        description="Drop the recorded steps and events of finished sessions. Their last state stays, with status, newest "
        "metrics, models, phases and error, and so does their place in lists; their curves and 'history' are gone. "
        "Asks first.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("session", nargs="*", default=[], metavar="SESSION", help="a finished session to trim")
    what.add_argument(
        "--to",
        type=size,
        metavar="SIZE",
        help="trim the finished sessions, the oldest first, until all take no more than this: 500MB, 2GB",
    )
    parser.add_argument(
        "--delete", action="store_true", help="with --to: delete the oldest where trimming is not enough"
    )
    parser.add_argument("--yes", action="store_true", help="don't ask")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say what would go, ask, and trim."""
    from forge_widgets.stores import open_store
    from forge_widgets.stores.quota import DiskStore

    if arguments.delete and arguments.to is None:
        raise InvalidInput("--delete stands alone", where="trim", expected="--to SIZE --delete, or SESSION without it")
    store = open_store(arguments.store)
    try:
        if not isinstance(store, DiskStore):
            raise InvalidInput(
                f"{store.url} keeps nothing on a disk here",
                where="--store",
                expected="a folder, on the machine that keeps it",
            )
        return _trim_named(store, arguments) if arguments.to is None else _trim_to(store, arguments)
    finally:
        store.close()


def _trim_named(store: DiskStore, arguments: argparse.Namespace) -> int:
    from forge_widgets.stores.missed import summaries_now
    from forge_widgets.stores.quota import freed_words, is_finished, words_of_bytes

    found = {summary.session_id: summary for summary in summaries_now(store, time.time())}
    for name in arguments.session:
        if name not in found:
            raise SessionNotFound(name, store.url)
        if not is_finished(found[name].state):
            raise InvalidInput(
                f"{name!r} is {found[name].state.status}", where="SESSION", expected="a finished session"
            )
    # Where each ends before anybody is asked: what it records from now on stays.
    ends = {name: store.snapshot(name) for name in dict.fromkeys(arguments.session)}
    taken = {name: store.bytes_on_disk(name) for name in ends}
    for name, count in taken.items():
        print(f"{name}: {_kept(store, name, found[name].state.rows)}, {words_of_bytes(count)}")
    if not _agreed(arguments, "Drop all recorded steps of these sessions?"):
        return 1
    for name, end in ends.items():
        if end is None or store.trim(name, end.cursor.offset, epoch=end.cursor.epoch) is None:
            raise SessionNotFound(name, store.url)
        print(f"trimmed {name}: {freed_words(taken[name] - store.bytes_on_disk(name))}")
    return 0


def _kept(store: DiskStore, name: str, rows: int) -> str:
    """Say how much is recorded of a session that has so many rows in its state, which trims leave as it is."""
    read = store.read(name, 0, 0)
    if read is not None and read.floor > read.top:
        return "trimmed already, nothing but its last state is left"
    return f"{rows} steps of its latest attempt are recorded"


def _trim_to(store: DiskStore, arguments: argparse.Namespace) -> int:
    from forge_widgets.stores.quota import due, keep, words_of_bytes

    now = time.time()
    turns = due(store, arguments.to, now, delete=arguments.delete).turns
    for turn in turns:
        print(f"to {turn.step.action}: {turn.step.session_id}, which takes {words_of_bytes(turn.bytes)}")
    if turns and not _agreed(arguments, "Do this?"):
        return 1
    for dropped in keep(store, arguments.to, now, delete=arguments.delete) if turns else ():
        print(dropped)
    left = due(store, arguments.to, now, delete=False).total_bytes
    print(f"All sessions take {words_of_bytes(left)}.")
    if left > arguments.to:
        print("No more can be trimmed: the others run, are young, or are as small as they get.", file=sys.stderr)
    return 0 if left <= arguments.to else 1


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    """Ask whoever sits there; nobody to ask is a no."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        print("Nothing was done: say --yes where nobody can be asked.", file=sys.stderr)
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
