"""``forge-widgets serve``: the stand-alone server, for pages and clients outside Jupyter."""

from __future__ import annotations

import argparse
import os
import textwrap
from pathlib import Path

from forge_widgets.cli.arguments import TOKEN_EXPECTED, Commands, add_store, origin, port, token
from forge_widgets.errors import InvalidInput

TOKEN_ENVIRONMENT = "FORGE_WIDGETS_TOKEN"  # noqa: S105 - the name of the variable


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
    parser.add_argument(
        "--base-url",
        default="/",
        metavar="PATH",
        help="path that everything lies below, for a proxy that leaves it in front (default: %(default)s)",
    )
    add_store(parser)
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--token",
        type=token,
        help="the token to ask for (default: $FORGE_WIDGETS_TOKEN, unless that is for a store on another machine; "
        "else a new one each time)",
    )
    who.add_argument("--token-file", type=Path, metavar="FILE", help="read the token from this file; it is not printed")
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
        help="let pages of this origin in, such as https://example.org; 'null' is pages opened from a file, and whatever "
        "any site puts into a sandbox: better with a token than with --open (may be repeated)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="answer requests for this host name too (may be repeated)",
    )
    parser.add_argument(
        "--trust-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="believe X-Forwarded-For and X-Forwarded-Proto of this proxy, an address or a network such as 10.0.0.0/8 "
        "(may be repeated)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="log lines of text or of JSON to stderr (default: %(default)s)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="the least to log; info has a line for each request (default: warning, with --log-format json info)",
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
    from forge_widgets.server.logs import configure_logs
    from forge_widgets.server.settings import limits_of
    from forge_widgets.server.standalone import new_token, serve
    from forge_widgets.stores import open_store

    limits = limits_of(arguments.limit)
    kept = None if arguments.open else _kept_token(arguments)
    secret = None if arguments.open else kept or arguments.token or new_token()
    level = arguments.log_level or ("info" if arguments.log_format == "json" else "warning")
    configure_logs(arguments.log_format, level, token=secret)
    # Asked now: a store that can't be kept where it should be is told before anything is served.
    store = open_store(arguments.store)
    _ = store.store_id
    store.close()
    serve(
        store_url=arguments.store,
        host=arguments.host,
        port=arguments.port,
        base_url=arguments.base_url,
        token=secret,
        open_=arguments.open,
        allow_origin=tuple(arguments.allow_origin),
        allow_host=tuple(arguments.allow_host),
        trust_proxy=tuple(arguments.trust_proxy),
        on_ready=_say_without_token if kept else _say,
        limits=limits,
    )
    return 0


def _kept_token(arguments: argparse.Namespace) -> str | None:
    """Return the token that a file or the environment keeps, None where neither does. Raises InvalidInput and OSError."""
    if arguments.token is not None:
        return None
    if arguments.token_file is not None:
        return _checked(
            arguments.token_file.read_text(encoding="utf-8").strip(), f"the token in {arguments.token_file}"
        )
    store = arguments.store or os.environ.get("FORGE_WIDGETS_STORE", "")
    if store.startswith(("http://", "https://")):
        # It opens that store, and is nobody's business here.
        return None
    said = os.environ.get(TOKEN_ENVIRONMENT, "").strip()
    return _checked(said, f"${TOKEN_ENVIRONMENT}") if said else None


def _checked(text: str, where: str) -> str:
    """Return a token that a header can hold. Raises InvalidInput, which doesn't repeat it."""
    try:
        return token(text)
    except argparse.ArgumentTypeError as error:
        raise InvalidInput(f"{where} can't be used", where="token", expected=TOKEN_EXPECTED) from error


def _say(url: str) -> None:
    """Print where the server is; whoever started it may be waiting for this line."""
    print(f"Serving at {url}\nCtrl-C ends it.", flush=True)


def _say_without_token(url: str) -> None:
    """Print where the server is, and not the token: whoever keeps it in a file keeps it out of what is printed."""
    _say(url.partition("?")[0])
