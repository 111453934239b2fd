"""Addresses that may be trusted with something. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what is said at ``url``: it is https, or on this machine."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        return False
    host = parsed.hostname or ""
    return bool(host) and (parsed.scheme == "https" or (parsed.scheme == "http" and is_here(host)))


def is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def is_here(host: str) -> bool:
    """Whether ``host`` is this machine, by a loopback address or by its usual name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_of_a_site(url: str) -> bool:
    """Whether a browser can go to ``url``: it is http or https, and names a host."""
    try:
        parsed = urlsplit(url)
        return parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0
    except ValueError:
        return False
