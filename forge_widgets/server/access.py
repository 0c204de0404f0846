"""Who may ask the stand-alone server: Hosts, Origins and the token. Pure; the guard of that mount asks here.

Without a token (open mode) whoever reaches the loopback may ask, so other web pages have to be kept out by Host and Origin.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from msgspec import Struct

ANY = "*"
NULL_ORIGIN = "null"


def is_loopback(host: str) -> bool:
    """Say whether a host name or address without a port means this machine alone."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def host_of(netloc: str) -> str:
    """Return the host of ``host:port`` without the port, in lower case; ``""`` where it is none."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Access(Struct, frozen=True, kw_only=True):
    """What the stand-alone server lets in."""

    # None: open mode.
    token: str | None
    # Host names besides the loopback's, without ports; "*" is any.
    allow_host: tuple[str, ...] = ()
    # Origins besides the server's own (and, in open mode, the loopback's): "https://a.example", "null", or "*".
    allow_origin: tuple[str, ...] = ()

    def knows_host(self, netloc: str) -> bool:
        """Say whether a Host header is one of ours: a foreign name that leads here is DNS rebinding."""
        host = host_of(netloc)
        return ANY in self.allow_host or is_loopback(host) or host in [known.lower() for known in self.allow_host]

    def knows_origin(self, origin: str, netloc: str, scheme: str = "http") -> bool:
        """Say whether a page of this Origin may ask the server that it calls ``scheme://netloc``."""
        if ANY in self.allow_origin or origin in self.allow_origin:
            return True
        if origin == NULL_ORIGIN:
            return False
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        own = origin.lower() == f"{scheme}://{netloc}".lower()
        return own or (self.token is None and is_loopback(parts.hostname or ""))

    def fits(self, token: str) -> bool:
        """Compare a token in constant time."""
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    @property
    def cookie_name(self) -> str:
        """The cookie's name, another one for each token: cookies know no ports, and servers share a machine."""
        return f"forge-widgets-{self._digest('name')[:12]}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: proof that the token was known, not the token."""
        return self._digest("value")

    def fits_cookie(self, value: str) -> bool:
        """Compare a cookie in constant time."""
        return self.token is not None and hmac.compare_digest(value.encode(), self.cookie_value.encode())

    def _digest(self, purpose: str) -> str:
        return hmac.new((self.token or "").encode(), f"cookie {purpose}".encode(), hashlib.sha256).hexdigest()
