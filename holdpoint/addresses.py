"""Addresses of clients: one spelling for each, the networks that they are in, and whose word about others counts. Pure.

::

    normalised("::ffff:192.0.2.7") → "192.0.2.7"
    "10.1.2.3" in Networks(["10.0.0.0/8", "2001:db8::/32"]) → True
    proxies = TrustedProxies("10.0.0.0/8, ::1, unix:")
    "10.1.2.3" in proxies → True
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

UNIX = "unix:"
"""The address of every client of a Unix socket."""

_REMEMBERED = 4096
_MAPPED = IPv6Network("::ffff:0:0/96")


def normalised(address: str | bytes) -> str | None:
    """The one spelling of an address given as text, or packed as 4 or 16 bytes; None when it is none.

    An IPv4 address inside IPv6 is that IPv4 address. Zones (``%eth0``) mean something on one machine only: refused.
    """
    if isinstance(address, str) and ("%" in address or not address.isascii()):
        return None
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(found)


def network(text: str) -> IPv4Network | IPv6Network:
    """A network in CIDR notation, or a single address. One of IPv4 inside IPv6 is that IPv4 network.

    Raises:
        ValueError: it is neither, or has bits set beyond its mask.
    """
    found = ip_network(text)
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        return ip_network((found.network_address.packed[12:], found.prefixlen - 96))
    return found


class Networks:
    """Whether an address is in one of ``parts`` (CIDR); a Unix socket, or what is no address, is in none.

    Raises:
        ValueError: a part is no network.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._networks = tuple(network(part) for part in parts)
        self._holds = lru_cache(_REMEMBERED)(self._look)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        return bool(self._networks) and self._holds(address)

    def _look(self, address: str) -> bool:
        plain = normalised(address.partition("%")[0])
        return plain is not None and any(ip_address(plain) in each for each in self._networks)


NOWHERE = Networks(())


@lru_cache(_REMEMBERED)
def networks_of(parts: tuple[str, ...]) -> Networks:
    """`Networks` of stored text, made once. Where a part cannot be read, no address is in them."""
    try:
        return Networks(parts)
    except ValueError:
        return NOWHERE


class TrustedProxies:
    """``text`` is networks, single addresses and the word ``unix:``, separated by commas.

    Raises:
        ValueError: a part is none of these; says which.
    """

    def __init__(self, text: str) -> None:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        self._unix = UNIX in parts
        try:
            self._networks = Networks(part for part in parts if part != UNIX)
        except ValueError:
            raise ValueError(f"must be networks such as 10.0.0.0/8, or {UNIX}, separated by commas") from None

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        return self._unix if address == UNIX else address in self._networks
