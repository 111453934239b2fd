"""Who asks, who decides, and by which key or account. See `holdpoint.model`."""

from __future__ import annotations

from dataclasses import dataclass

from holdpoint.model.words import Role


@dataclass(frozen=True, slots=True)
class Requester:
    """Who sent the request. ``principal`` is a lower-case e-mail for a person, a name for an agent.

    ``owner`` is the principal that answers for an agent; None for a person. ``key_id`` names the Holdpoint key used,
    ``issuer`` who issued the token that was. ``aliases`` are other principals that are the same person (a token's
    other addresses): they forbid, and give no right.
    """

    principal: str
    groups: frozenset[str]
    owner: str | None = None
    name: str = ""
    key_id: str | None = None
    issuer: str | None = None
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StandIn:
    """Somebody who is away until ``until_ms`` and has asked another person to decide in their place, in ``groups``."""

    principal: str
    groups: frozenset[str]
    until_ms: int
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's account on a chat platform ("slack"), as the platform describes it at this moment.

    ``place`` is the id of the workspace or tenant that it belongs to, ``email`` its address as a principal.
    """

    platform: str
    place: str
    user_id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, as verified by a channel. ``groups`` and ``roles`` are those at the moment of the decision."""

    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    channel: str  # "slack", "web", "api": where the decision was made
    name: str = ""
    address: str = ""  # the platform's own id or the network address, for the record
    owner: str | None = None  # who answers for it, when the identity is an agent's key: agents do not decide
    aliases: frozenset[str] = frozenset()  # other principals that are this person; they forbid, and give no right
    stands_in_for: tuple[StandIn, ...] = ()  # at the moment of the decision
    auth_ms: int | None = None  # when they last showed an identity provider that it is them; None: not in this session
    account: Account | None = None  # by which they act, where that is a chat platform
    zone: str = ""  # IANA name of their time zone, where the platform tells it


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One Holdpoint key, as stored. ``digest`` is the SHA-256 of the whole key, in hex; the key itself is never stored.

    ``connections`` are those that it may be used for; empty: all. ``networks`` are those that it may be used from, in
    CIDR notation; empty: everywhere. ``replaces`` is the key that it was made from by a rotation, ``replaced_by`` the
    one that was made from it.
    """

    id: str
    digest: str
    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    created_ms: int
    expires_ms: int | None
    owner: str | None = None
    name: str = ""
    revoked_ms: int | None = None
    connections: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    replaces: str | None = None
    replaced_by: str | None = None
