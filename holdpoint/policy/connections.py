"""``connections``: the models that requests may go to. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from yaml.nodes import Node

from holdpoint.model import Connection
from holdpoint.policy.issuers import parse_secret
from holdpoint.policy.reading import Reader

# Paths of the gateway's own, which a connection's name would hide.
_RESERVED_CONNECTIONS = ("holds", "healthz", "readyz", "metrics")
_PROTOCOLS = ("openai",)


def read_connections(reader: Reader, node: Node | None) -> dict[str, Connection]:
    """``connections``: name → upstream, protocol, environment, credential."""
    if node is None:
        reader.warn(1, "there are no connections: every request is refused")
    found = {}
    for name, key, value in reader.entries(node, "connections") or ():
        what = f"connection {name!r}"
        fields = reader.fields(
            value, what, ("upstream", "protocol", "environment", "credential"), required=("upstream", "protocol")
        )
        if not _is_path_segment(name):
            reader.problem(key, f"{what}: the name is part of a URL: use a-z, 0-9, '-' and '_' (at most 64)")
        elif name in _RESERVED_CONNECTIONS:
            reader.problem(key, f"{what}: the name is reserved for the gateway itself")
        if fields is None:
            continue
        protocol = reader.text(fields.get("protocol"), f"{what}: protocol")
        if protocol is not None and protocol not in _PROTOCOLS:
            reader.problem(fields["protocol"], f"{what}: protocol {protocol!r} is not one of {', '.join(_PROTOCOLS)}")
        found[name] = Connection(
            name,
            reader.parsed(fields.get("upstream"), f"{what}: upstream", _parse_upstream, shown=False) or "",
            protocol or "",
            reader.text(fields.get("environment"), f"{what}: environment", longest=64) or "production",
            reader.parsed(fields.get("credential"), f"{what}: credential", parse_secret, shown=False),
        )
    return found


def _is_path_segment(name: str) -> bool:
    bare = name.replace("-", "").replace("_", "")
    return 0 < len(name) <= 64 and name[0] not in "-_" and bare.isascii() and bare.isalnum() and bare == bare.lower()


def _parse_upstream(text: str) -> str:
    try:
        url = urlsplit(text)
        _ = url.port  # raises for a port that is no number
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("is not an http:// or https:// URL")
    if url.username is not None or url.password is not None:
        raise ValueError("carries a credential: name it in credential: env:NAME")
    if url.query or url.fragment or any(c.isspace() or ord(c) < 32 for c in text):
        raise ValueError("may have a path, but no query, fragment or white space")
    return text.rstrip("/")
