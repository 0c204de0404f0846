"""The addresses that a server listens on, and the URL that leads there. Called by ``standalone``."""

from __future__ import annotations

import errno
import os
import re
import socket
from typing import Any
from urllib.parse import urlencode

from forge_widgets.errors import InvalidInput

DEFAULT_HOST = "127.0.0.1"

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - not bound unless asked for
"""Hosts that stand for all addresses of this machine."""

_SEGMENT = re.compile(r"[A-Za-z0-9._~%@:-]{1,200}")


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of a host name to the same port. Raises InvalidInput saying what is in the way."""
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in _addresses(host, port):
            taken = bound[0].getsockname()[1] if bound else port
            bound.append(socket.create_server((address[0], taken), family=family))
            bound[-1].setblocking(False)
    except OSError as error:
        for listening in bound:
            listening.close()
        if error.errno == errno.EADDRINUSE:
            free = "a free port: end the other server, or choose another with --port"
            raise InvalidInput(f"port {port} is in use", where="port", expected=free) from error
        # The error's own words repeat the address; what the number stands for is plain.
        why = os.strerror(error.errno) if error.errno is not None and error.errno in errno.errorcode else error.strerror
        raise InvalidInput(
            f"{netloc_of(host, port)} can't be bound ({why})", where="host", expected="an address of this machine"
        ) from error
    return bound


def base_of(base_url: str) -> str:
    """Return the path that a server is mounted below, without a slash at its end: ``""`` or ``/a/b``. Raises InvalidInput."""
    segments = [segment for segment in base_url.split("/") if segment]
    if not all(_SEGMENT.fullmatch(segment) and segment not in (".", "..") for segment in segments):
        raise InvalidInput(
            f"{base_url[:80]!r} can't be used", where="--base-url", expected="a path such as / or /training/"
        )
    return "".join(f"/{segment}" for segment in segments)


def netloc_of(host: str, port: int) -> str:
    """Write host and port as URLs have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(host: str, port: int, base: str, token: str | None) -> str:
    """Write the URL that leads to a server which listens on ``host``."""
    reachable = DEFAULT_HOST if host in ("", "0.0.0.0") else "::1" if host == "::" else host  # noqa: S104
    query = f"?{urlencode({'token': token})}" if token is not None else ""
    return f"http://{netloc_of(reachable, port)}{base}/{query}"


def _addresses(host: str, port: int) -> list[Any]:
    """Return what getaddrinfo knows of a host, each address once; of the loopback's name only what this machine has."""
    known = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    )
    return list({info[4][0]: info for info in known}.values())
