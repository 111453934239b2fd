"""Addresses of clients: one spelling for each, and whose word about others counts. Pure.

::

    normalised("::ffff:192.0.2.7") → "192.0.2.7"
    proxies = TrustedProxies("10.0.0.0/8, ::1, unix:")
    "10.1.2.3" in proxies → True
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

UNIX = "unix:"
"""The address of every client of a Unix socket."""

_REMEMBERED = 4096


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


class TrustedProxies:
    """``text`` is networks, single addresses and the word ``unix:``, separated by commas.

    Raises:
        ValueError: a part is none of these; says which.
    """

    def __init__(self, text: str) -> None:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        self._unix = UNIX in parts
        self._networks = [_network(part) for part in parts if part != UNIX]
        self._holds = lru_cache(_REMEMBERED)(self._look)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        return bool(self) and self._holds(address)

    def _look(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        plain = normalised(address.partition("%")[0])
        return plain is not None and any(ip_address(plain) in network for network in self._networks)


def _network(part: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(part)
    except ValueError:
        raise ValueError(f"must be networks such as 10.0.0.0/8, or {UNIX}, separated by commas") from None
