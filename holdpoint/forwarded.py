"""Who is behind a proxy, by the header that the proxy writes: ``X-Forwarded-For``, or ``Forwarded`` (RFC 7239).

::

    X-Forwarded-For: 198.51.100.9, 192.0.2.7, 10.0.0.2          with 10.0.0.0/8 trusted: 192.0.2.7
    Forwarded: for=192.0.2.7;proto=https, for="[2001:db8::1]:80"

Read from the right, for as long as the one who wrote it is trusted: what stands further left is whatever the client
liked to send. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdpoint.addresses import TrustedProxies, normalised

HEADERS = ("x-forwarded-for", "forwarded")

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'({_WORD})=(?:({_WORD})|"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*)")')
_NEXT = re.compile(r"[ \t]*(?:;|(,)|$)[ \t]*")
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
_UNKNOWN = "unknown"
_HIDDEN = re.compile(r"unknown|_[A-Za-z0-9._-]+", re.IGNORECASE)  # RFC 7239, 6.2 and 6.3


def client_behind(peer: str, header: str, values: Sequence[str], proxies: TrustedProxies) -> str | None:
    """The address of the client of a request that ``peer`` passed on; ``values`` are all of the request's ``header``.

    A hop that is hidden on purpose, or the end of the header, leaves the last address that is known. None: what a
    trusted proxy wrote cannot be read, so nobody knows whose request it is.
    """
    read = _forwarded if header == "forwarded" else _forwarded_for
    known = peer
    for value in reversed(values):
        for node in read(value):
            if known not in proxies:
                return known
            if node is None:
                return None
            if _HIDDEN.fullmatch(node):
                return known
            address = _address(node)
            if address is None:
                return None
            known = address
    return known


def _forwarded_for(value: str) -> Sequence[str | None]:
    """The nodes of an ``X-Forwarded-For``, from the right; empty elements of the list do not count (RFC 9110, 5.6.1)."""
    parts = [part.strip(" \t") for part in value.split(",")]
    return [part for part in parts[::-1] if part]


def _forwarded(value: str) -> Sequence[str | None]:
    """The nodes of a ``Forwarded``, from the right; a single None when it is not one (RFC 7239, section 4)."""
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None or pair[1].lower() in elements[-1]:
            return [None]
        plain, quoted = pair[2], pair[3]
        elements[-1][pair[1].lower()] = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted)
        rest = _NEXT.match(value, pair.end())
        if rest is None or (rest.end() == len(value) and rest[0].strip()):  # nothing follows a separator
            return [None]
        if rest[1]:
            elements.append({})
        at = rest.end()
    return [element.get("for", _UNKNOWN) for element in elements[::-1]]


def _address(node: str) -> str | None:
    """The address of a node, which may have a port (and then brackets around IPv6)."""
    with_port = _WITH_PORT.fullmatch(node)
    return normalised((with_port[1] or with_port[2]) if with_port is not None else node)
