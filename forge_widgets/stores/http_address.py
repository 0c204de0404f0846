"""Where another machine's store is, and the token that opens it: what a URL says, and what of it may be shown.

Pure but for the environment. A token is never part of a URL that is shown, logged or stored.
"""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from msgspec import Struct

from forge_widgets.errors import InvalidStoreURL

TOKEN_ENVIRONMENT = "FORGE_WIDGETS_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable that holds the token of a store over HTTP, where its URL does not."""


class Address(Struct, frozen=True):
    """Where a store is served, and with which token."""

    # Without token and without a slash at the end.
    url: str
    # "": none, for a server that asks for none.
    token: str = ""

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def parse_address(url: str) -> Address:
    """Read ``http(s)://host[:port][/prefix][?token=…]``; without a token the environment's is taken.

    Raises InvalidStoreURL.
    """
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets that close nothing, or a port that is none
        raise InvalidStoreURL(url, "it names no server") from None
    if "@" in parts.netloc:
        raise InvalidStoreURL(url, "a store over HTTP is opened by a token, as ?token=… or in FORGE_WIDGETS_TOKEN")
    if not known or any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidStoreURL(url, "it names no server")
    query = parse_qsl(parts.query, keep_blank_values=True)
    others = sorted({name for name, _ in query} - {"token"})
    if others or parts.fragment:
        raise InvalidStoreURL(url, f"{others[0] if others else '#'!r} means nothing in it: ?token=… alone does")
    token = dict(query).get("token") or os.environ.get(TOKEN_ENVIRONMENT, "")
    if not token.isascii() or not token.isprintable():
        raise InvalidStoreURL(url, "its token has characters that no request can carry")
    return Address(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), token.strip())
