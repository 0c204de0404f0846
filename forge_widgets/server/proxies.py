"""Who asks, where a reverse proxy stands between: what its X-Forwarded-… headers say, believed from named peers alone. Pure.

The stand-alone application asks for each request; nothing is believed from anybody who was not named.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct

from forge_widgets.errors import InvalidInput

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

MAX_HOPS = 32
"""Addresses of X-Forwarded-For that are looked at, from its end."""

# Some proxies name the scheme of a WebSocket.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Caller(Struct, frozen=True):
    """Who asks, and by which scheme."""

    address: str
    scheme: str


class Proxies(Struct, frozen=True):
    """The peers that are believed."""

    networks: tuple[Network, ...] = ()

    def caller(self, peer: str, headers: Mapping[str, str]) -> Caller | None:
        """Return who asks through a peer, None where the peer is not believed: then it is the peer itself that asks.

        X-Forwarded-For is read from its end, over further believed proxies, to the first address that is none of them.
        X-Forwarded-Proto is what the outermost of those proxies says, "http" where none says a scheme.
        """
        address = _address_of(peer)
        if address is None or not self._trusts(address):
            return None
        hops = 0
        # What lies before the last so many was written by nobody we know.
        for text in reversed(_parts(headers.get("X-Forwarded-For", ""))[-MAX_HOPS:]):
            found = _address_of(text)
            if found is None:
                break
            address = found
            if not self._trusts(found):
                break
            hops += 1
        schemes = _parts(headers.get("X-Forwarded-Proto", ""))
        said = schemes[-1 - min(hops, len(schemes) - 1)].lower() if schemes else ""
        return Caller(str(address), _SCHEMES.get(said, "http"))

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def proxies_of(texts: Iterable[str]) -> Proxies:
    """Read addresses (``127.0.0.1``, ``::1``) and networks (``10.0.0.0/8``) of proxies. Raises InvalidInput."""
    return Proxies(tuple(map(_network_of, texts)))


def _network_of(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{text[:80]!r} can't be used",
            where="--trust-proxy",
            expected="the address of a proxy, such as 127.0.0.1, or a network, such as 10.0.0.0/8",
        ) from error


def _parts(header: str) -> list[str]:
    return [part.strip() for part in header.split(",") if part.strip()]


def _address_of(text: str) -> Address | None:
    """Read an address, with a port behind it or without, in brackets or without; None where it is none."""
    bare, bracket, _ = text.removeprefix("[").partition("]")
    if not bracket and bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    # A socket for both families shows addresses of the older one so.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
