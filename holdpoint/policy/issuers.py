"""``issuers``: who may issue tokens, and what their claims mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from yaml.nodes import Node

from holdpoint.mailbox import mailbox
from holdpoint.policy.claims import claim_paths, one_or_many, read_wanted
from holdpoint.policy.reading import Reader, line_of
from holdpoint.urls import is_safe

_LONGEST = 1000
_FIELDS = (
    "issuer", "audience", "requester", "name", "groups", "require", "algorithms", "jwks", "agents", "sign_in",
)  # fmt: skip
_AGENT_FIELDS = ("when", "requester", "owner", "owners")


class Algorithm(StrEnum):
    """How a token may be signed (RFC 7518, RFC 8037): asymmetric all of them, so that who verifies cannot sign."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


USUAL_ALGORITHMS = frozenset({Algorithm.RS256, Algorithm.ES256, Algorithm.PS256, Algorithm.EDDSA})


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """Which tokens of an issuer are programs' (``when``: claim → one of the values; empty: all), and who answers for them.

    ``requester`` is the claim that names the agent, ``owner`` the one that names its owner; ``owners`` pairs a glob over
    the agent's name with a principal, and the first that fits counts where there is no such claim.
    """

    requester: str
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: str | None = None
    owners: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SignIn:
    """As whom the web inbox lets people sign in at an issuer. ``client_secret`` is ``env:NAME``; None for a public client."""

    client_id: str
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may issue tokens, for which audiences (none: for signing in only), and where their claims say what.

    Paths of claims lead into nested objects by dots. ``groups`` is None where no claim names groups. ``jwks`` is where the
    keys are when the issuer has no discovery.
    """

    issuer: str
    audiences: frozenset[str]
    requester: str = "email"
    name: str = "name"
    groups: str | None = None
    require: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    algorithms: frozenset[Algorithm] = USUAL_ALGORITHMS
    jwks: str | None = None
    agents: AgentTerms | None = None
    sign_in: SignIn | None = None


def read_issuers(reader: Reader, node: Node | None) -> tuple[Issuer, ...]:
    """``issuers``: one entry for each issuer and audience."""
    found: list[Issuer] = []
    first: dict[tuple[str, str], int] = {}
    for item in reader.items(node, "issuers") or ():
        issuer = _read_issuer(reader, item)
        if issuer is None:
            continue
        for audience in sorted(issuer.audiences):
            place = issuer.issuer, audience
            if issuer.issuer and place in first:
                reader.problem(
                    item,
                    f"issuer {issuer.issuer!r} stands twice for the audience {audience!r} (first in line {first[place]})",
                )
            first.setdefault(place, line_of(item))
        if issuer.sign_in is not None and any(_signs_in_alike(issuer, each) for each in found):
            reader.problem(item, f"issuer {issuer.issuer!r} has sign_in twice for the same client_id")
        found.append(issuer)
    return tuple(found)


def _signs_in_alike(issuer: Issuer, other: Issuer) -> bool:
    if issuer.issuer != other.issuer or issuer.sign_in is None or other.sign_in is None:
        return False
    return issuer.sign_in.client_id == other.sign_in.client_id


def _read_issuer(reader: Reader, item: Node) -> Issuer | None:
    fields = reader.fields(item, "an issuer", _FIELDS, required=("issuer",))
    if fields is None:
        return None
    name = reader.parsed(fields.get("issuer"), "issuer", _parse_issuer, shown=False) or ""
    what = f"issuer {name!r}" if name else "an issuer"
    audiences = one_or_many(reader, fields.get("audience"), f"{what}: audience")
    if "audience" not in fields and "sign_in" not in fields:
        reader.problem(item, f"{what} lacks 'audience'")
    path = claim_paths(reader, what, fields)
    algorithms = [
        reader.word(each, f"{what}: algorithms", Algorithm)
        for each in reader.items(fields.get("algorithms"), f"{what}: algorithms") or ()
    ]
    return Issuer(
        issuer=name,
        audiences=frozenset(audiences),
        requester=path("requester") or "email",
        name=path("name") or "name",
        groups=path("groups"),
        require=read_wanted(reader, fields.get("require"), f"{what}: require") or {},
        algorithms=frozenset(each for each in algorithms if each is not None) or USUAL_ALGORITHMS,
        jwks=reader.parsed(fields.get("jwks"), f"{what}: jwks", parse_address, shown=False),
        agents=_read_agents(reader, fields.get("agents"), f"{what}: agents"),
        sign_in=_read_sign_in(reader, fields.get("sign_in"), f"{what}: sign_in"),
    )


def _read_agents(reader: Reader, node: Node | None, what: str) -> AgentTerms | None:
    fields = reader.fields(node, what, _AGENT_FIELDS)
    if fields is None or node is None:
        return None
    owners = []
    for pattern, key, value in reader.entries(fields.get("owners"), f"{what}: owners") or ():
        if not pattern.strip():
            reader.problem(key, f"{what}: owners: an agent's name is empty")
        owner = reader.parsed(value, f"{what}: owners", _parse_person)
        if owner is not None:
            owners.append((pattern, owner))
    path = claim_paths(reader, what, fields)
    if "owner" not in fields and "owners" not in fields:
        reader.problem(node, f"{what}: nobody answers for them: name owner (a claim) or owners")
    return AgentTerms(
        requester=path("requester") or "sub",
        when=read_wanted(reader, fields.get("when"), f"{what}: when") or {},
        owner=path("owner"),
        owners=tuple(owners),
    )


def _read_sign_in(reader: Reader, node: Node | None, what: str) -> SignIn | None:
    fields = reader.fields(node, what, ("client_id", "client_secret"), required=("client_id",))
    if fields is None:
        return None
    return SignIn(
        reader.text(fields.get("client_id"), f"{what}: client_id", longest=_LONGEST) or "",
        reader.parsed(fields.get("client_secret"), f"{what}: client_secret", parse_secret, shown=False),
    )


def _parse_issuer(text: str) -> str:
    """As it stands in ``iss``, to the last letter: with the slash at its end, or without."""
    if urlsplit(parse_address(text)).query:
        raise ValueError("may have a path, but no query")
    return text


def parse_address(text: str) -> str:
    """An address that may be trusted with people and keys. Raises ValueError."""
    if not is_safe(text) or len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must begin with https:// (or be on this machine)")
    url = urlsplit(text)
    if url.username is not None or url.password is not None or url.fragment:
        raise ValueError("may have no credential and no fragment")
    return text


def _parse_person(text: str) -> str:
    found = mailbox(text) if text.isascii() else None
    if found is None:
        raise ValueError("is not one e-mail address, such as dana@example.com")
    return found.lower()


def parse_secret(text: str) -> str:
    """``env:NAME``. Raises ValueError."""
    name = text.removeprefix("env:")
    if name == text or not name.isidentifier() or not name.isascii():
        raise ValueError("must be env:NAME, the name of an environment variable")
    return text
