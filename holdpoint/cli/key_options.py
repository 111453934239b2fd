"""What is typed for a key: text → value, or a usage error that names the option. Pure."""

from __future__ import annotations

import re
import unicodedata

import click

from holdpoint import apikey
from holdpoint.addresses import network
from holdpoint.visible import visible_line

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LIFETIME = re.compile(r"([1-9]\d{0,5})([mhd])\Z")
_PRINCIPAL = re.compile(r"[^\s@]+(@[^\s@]+)?\Z")
_CONNECTION = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
LONGEST_OVERLAP_MS = 30 * _UNITS_MS["d"]


def principal(text: str, option: str = "--principal") -> str:
    """An e-mail in lower case, because identities are compared as text; an agent's name as it is."""
    text = text.strip()
    if not _PRINCIPAL.match(text) or text != visible_line(text):
        raise click.UsageError(f"{option}: must be an e-mail address or a name without spaces")
    return text.lower() if "@" in text else text


def owner(text: str | None, *, none: bool, of: str) -> str | None:
    """Who answers for the principal ``of``: a person; nobody for a person, or where the operator says so (``none``)."""
    is_agent = "@" not in of
    if text is None:
        if is_agent and not none:
            raise click.UsageError(
                "--owner: an agent needs one, a person who answers for it and may not approve its requests;"
                " or say --no-owner"
            )
        if none and not is_agent:
            raise click.UsageError("--no-owner: a person has no owner anyway")
        return None
    if none:
        raise click.UsageError("--owner and --no-owner: one or the other")
    named = principal(text, "--owner")
    if _same(named) == _same(of):
        raise click.UsageError("--owner: an agent's owner is somebody else than the agent")
    if "@" not in named:
        raise click.UsageError("--owner: must be a person's e-mail address")
    return named


def group(text: str) -> str:
    """The name of a group."""
    if not text or text != visible_line(text) or text != text.strip():
        raise click.UsageError("--group: must be a group's name")
    return text


def connections(texts: tuple[str, ...]) -> frozenset[str]:
    """Names of connections."""
    if any(not _CONNECTION.match(text) for text in texts):
        raise click.UsageError("--connection: must be a connection's name in the policy")
    return frozenset(texts)


def networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Networks in CIDR notation, each in its one spelling, in order, each once."""
    try:
        return tuple(dict.fromkeys(str(network(text.strip())) for text in texts))
    except ValueError as error:
        raise click.UsageError(f"--from: {error}; it is like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32") from None


def lifetime(text: str, option: str = "--expires") -> int | None:
    """``12h`` → milliseconds; ``never`` → None."""
    if text == "never":
        return None
    found = _LIFETIME.match(text)
    if found is None:
        raise click.UsageError(f"{option}: must be like 30m, 12h or 90d, or 'never'")
    return int(found[1]) * _UNITS_MS[found[2]]


def overlap(text: str) -> int:
    """``24h`` → milliseconds; ``0`` ends the old key at once."""
    found = _LIFETIME.match(text)
    ms = 0 if text == "0" else int(found[1]) * _UNITS_MS[found[2]] if found is not None else None
    if ms is None or ms > LONGEST_OVERLAP_MS:
        raise click.UsageError("--overlap: must be like 30m, 24h or 7d, at most 30d, or 0")
    return ms


def key_id(text: str) -> str:
    """The id of a key; of a whole key that was pasted in its place, no more than the id goes any further."""
    found = apikey.id_in(text)
    if found is None:
        raise click.UsageError("KEY_ID: must be a key's id, as `holdpoint keys list` shows it")
    return found


def _same(text: str) -> str:
    """As `policy.authority` compares people."""
    return unicodedata.normalize("NFKC", text).strip().casefold()
