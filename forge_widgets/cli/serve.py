"""``forge-widgets serve``: the stand-alone server, for pages and clients outside Jupyter."""

from __future__ import annotations

import argparse
import textwrap

from forge_widgets.cli.arguments import Commands, add_store, origin, port


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="serve the sessions of a store by HTTP and WebSocket",
        description="Serve the sessions of a store by HTTP and WebSocket, without Jupyter. Prints a URL with the token "
        "that lets a browser in; programs send it as 'Authorization: token TOKEN'. Ctrl-C ends it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine)")
    parser.add_argument("--port", type=port, default=8001, help="port to listen on, 0 for a free one (default: 8001)")
    add_store(parser)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--token", help="the token to ask for (default: a new one each time)")
    who.add_argument(
        "--open",
        action="store_true",
        help="ask for no token, for clients that know none: only on this machine, and only for its own pages",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        type=origin,
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin in, such as https://example.org, or 'null' (may be repeated)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="answer requests for this host name too (may be repeated)",
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a limit of those below, as in max_rooms=50 (may be repeated)",
    )
    parser.epilog = limits_words()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)


def limits_words() -> str:
    """Say which limits there are, a paragraph each."""
    from forge_widgets.server.settings import settings

    lines = ["limits:"]
    for setting in settings():
        lines.append(f"  {setting.name}={setting.default_words.lower()}")
        lines += textwrap.wrap(setting.words.said, 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines).replace("%", "%%")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from forge_widgets.server.settings import limits_of
    from forge_widgets.server.standalone import serve
    from forge_widgets.stores import open_store

    limits = limits_of(arguments.limit)
    # Asked now: a store that can't be kept where it should be is told before anything is served.
    store = open_store(arguments.store)
    _ = store.store_id
    store.close()
    serve(
        store_url=arguments.store,
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        open_=arguments.open,
        allow_origin=tuple(arguments.allow_origin),
        allow_host=tuple(arguments.allow_host),
        on_ready=_say,
        limits=limits,
    )
    return 0


def _say(url: str) -> None:
    """Print where the server is; whoever started it may be waiting for this line."""
    print(f"Serving at {url}\nCtrl-C ends it.", flush=True)
