"""``forge-widgets sync``: deliver what trainings recorded on this machine while another machine's store was out of reach."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from forge_widgets.cli.arguments import Commands
from forge_widgets.errors import ForgeError, InvalidInput, RateLimited, Refused, StoreDamaged, StoreUnavailable

if TYPE_CHECKING:
    from forge_widgets.stores.http import HttpStore
    from forge_widgets.stores.http_address import Address
    from forge_widgets.stores.http_outbox import Outbox

SLICE_S = 5.0


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sync",
        help="deliver what waits on this machine for another one's store",
        description="List what trainings recorded on this machine while the server of their store was out of reach, and "
        "deliver it, in order and once. Trainings do that by themselves too, once they reach the server again. "
        "Exit code 0: nothing waits any more; 1: something still does.",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="deliver only what waits for this store, http(s)://host:port/prefix?token=… "
        "(default: all; $FORGE_WIDGETS_TOKEN is sent to the store that $FORGE_WIDGETS_STORE names, or to the only one)",
    )
    parser.add_argument(
        "--instead-of",
        metavar="URL",
        help="deliver to --store what waits for this address: the server has moved, or the address was wrong",
    )
    parser.add_argument("--dry-run", action="store_true", help="list what waits and deliver nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List what waits, and deliver it."""
    from forge_widgets.stores import outbox_folder
    from forge_widgets.stores.http_outbox import outboxes_in

    if arguments.instead_of and not arguments.store:
        raise InvalidInput(
            "--instead-of leads nowhere", where="sync", expected="--store URL beside it, where what waits is to go"
        )
    named = arguments.instead_of or arguments.store
    wanted = None if named is None else _address(named).url
    outboxes = [outbox for outbox in outboxes_in(outbox_folder()) if wanted in (None, outbox.remote_url)]
    results = [_settle(outbox, arguments, alone=len(outboxes) == 1) for outbox in outboxes]
    if not any(waited for waited, _ in results):
        print("Nothing waits." if wanted is None else f"Nothing waits for {wanted}.")
    return 0 if all(settled for _, settled in results) else 1


def _settle(outbox: Outbox, arguments: argparse.Namespace, *, alone: bool) -> tuple[bool, bool]:
    """List and deliver what waits in an outbox; return whether something did, and whether nothing does any more.

    ``alone``: it is the only one, so that a token that comes without an address is meant for its remote.
    """
    waiting: dict[str, int] = {}
    settled = True
    try:
        for session_id in outbox.sessions():
            try:
                waiting[session_id] = outbox.waiting(session_id)
            except StoreDamaged as damage:
                settled = _left(outbox, damage)
                continue
            print(f"{session_id}: {waiting[session_id]:,} events and steps wait for {outbox.remote_url}", flush=True)
        if waiting and arguments.dry_run:
            settled = False
        elif waiting:
            url = _address(arguments.store).url if arguments.instead_of else outbox.remote_url
            address = _known_address(url, arguments.store, alone=alone)
            settled = _deliver(outbox, waiting, address) and settled
    except StoreUnavailable as error:
        return True, _left(outbox, error)
    finally:
        outbox.close()
    return bool(waiting) or not settled, settled


def _deliver(outbox: Outbox, waiting: dict[str, int], address: Address) -> bool:
    """Deliver sessions to the remote; one that can't go as it is holds up no other. Raises StoreUnavailable."""
    from forge_widgets.stores.http import HttpStore

    remote = HttpStore(address)
    settled = True
    try:
        for session_id, count in waiting.items():
            try:
                while pause_s := _deliver_some(outbox, remote, session_id):
                    print(f"{remote.url} asks to wait {pause_s:.1f} s.", flush=True)
                    time.sleep(pause_s)
            except (Refused, StoreDamaged) as error:
                settled = _left(outbox, error)
                continue
            print(f"{session_id}: {count:,} events and steps delivered", flush=True)
    finally:
        remote.close()
    return settled


def _left(outbox: Outbox, error: ForgeError) -> bool:
    """Say that something is left; return that not all went well."""
    print(f"forge-widgets: {error}\nIt waits in {outbox.shown}.", file=sys.stderr)
    return False


def _deliver_some(outbox: Outbox, remote: HttpStore, session_id: str) -> float:
    """Deliver until nothing waits, or the remote asks to wait so many seconds; 0.0 where all is delivered."""
    from forge_widgets.stores.http_delivery import deliver

    try:
        while not deliver(outbox, remote, session_id, SLICE_S).complete:
            pass
    except RateLimited as limited:
        return limited.retry_after_s
    return 0.0


def _known_address(url: str, store: str | None, *, alone: bool) -> Address:
    """Return a remote's address with the token that is known for it, and with no other remote's.

    The token is of the argument, of the store's URL in the environment, or the environment's own: which store that one is
    for is said by the URL beside it, or plain where only one remote is waited for.
    """
    from forge_widgets.stores import ENVIRONMENT
    from forge_widgets.stores.http_address import Address, parse_address

    usual = os.environ.get(ENVIRONMENT, "")
    for named in (store, usual):
        if named and _is_http(named) and parse_address(named).url == url:
            return parse_address(named)
    return parse_address(url) if alone and not _is_http(usual) else Address(url)


def _is_http(store: str) -> bool:
    return store.startswith(("http://", "https://"))


def _address(store: str) -> Address:
    """Read an address. Raises InvalidInput for one that nothing can wait for, InvalidStoreURL."""
    from forge_widgets.stores.http_address import parse_address

    if not _is_http(store):
        # A URL may hold a token.
        shown = "that" if "://" in store else repr(store)
        raise InvalidInput(
            f"{shown} is no other machine's store, and what is recorded into it waits for nothing",
            where="--store",
            expected="another machine's store, http(s)://host:port/prefix?token=…",
        )
    return parse_address(store)
