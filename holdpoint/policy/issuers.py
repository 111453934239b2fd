"""``issuers`` (who may issue tokens, and what their claims mean), and the claims of ``groups``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from yaml.nodes import Node, ScalarNode

from holdpoint.mailbox import mailbox
from holdpoint.policy.document import USUAL_ALGORITHMS, AgentTerms, Algorithm, Issuer, SignIn
from holdpoint.policy.reading import Reader, line_of
from holdpoint.urls import is_safe

LONGEST_GROUP = 200
_LONGEST = 1000
_DEEPEST = 8  # names of a claim's path
_FIELDS = (
    "issuer", "audience", "requester", "name", "groups", "require", "algorithms", "jwks", "agents", "sign_in",
)  # fmt: skip
_AGENT_FIELDS = ("when", "requester", "owner", "owners")


def is_group_name(text: str) -> bool:
    """Whether a policy can name a group so; ``*`` is everybody else."""
    return text != "*" and bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_GROUP


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
    audiences = _one_or_many(reader, fields.get("audience"), f"{what}: audience")
    if "audience" not in fields and "sign_in" not in fields:
        reader.problem(item, f"{what} lacks 'audience'")
    path = _paths(reader, what, fields)
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
    path = _paths(reader, what, fields)
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


def read_wanted(reader: Reader, node: Node | None, what: str) -> Mapping[str, tuple[str, ...]] | None:
    """Claim → the values of which it should have one: ``{tid: [11111111-…]}``, ``{idtyp: app}``. None for none."""
    entries = reader.entries(node, what)
    if node is None or entries is None:
        return None
    if not entries:
        reader.problem(node, f"{what} names no claim: name one or leave it out")
    found = {}
    for name, key, value in entries:
        if not _is_path(name):
            reader.problem(key, f"{what}: {name!r} is no path of a claim, such as realm_access.roles")
        found[name] = _one_or_many(reader, value, f"{what}.{name}")
    return found


def _one_or_many(reader: Reader, node: Node | None, what: str) -> tuple[str, ...]:
    if isinstance(node, ScalarNode):
        text = reader.text(node, what, longest=_LONGEST)
        return (text,) if text is not None else ()
    return reader.texts(node, what) or ()


def _paths(reader: Reader, what: str, fields: Mapping[str, Node]) -> Callable[[str], str | None]:
    """``path(field)``: the path of a claim that stands there."""

    def path(field: str) -> str | None:
        text = reader.text(fields.get(field), f"{what}: {field}", longest=_LONGEST)
        if text is not None and not _is_path(text):
            reader.problem(fields[field], f"{what}: {field} {text!r} is no path of a claim, such as realm_access.roles")
        return text

    return path


def _is_path(text: str) -> bool:
    # SAML names attributes by object identifiers, whose dots lead nowhere.
    short = text.startswith("urn:") or len(text.split(".")) <= _DEEPEST
    return text.isprintable() and text.strip() == text and short and bool(text)


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
