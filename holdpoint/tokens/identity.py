"""The claims of a verified token → who it names, by what the policy says of its issuer. Pure.

1. It has what the issuer's entry requires.
2. It names a person or, where ``agents`` says so, an agent. A person's principal is an e-mail address, and an agent's
   name has no ``@``: neither can ever be taken for the other.
3. An address that its own provider calls unverified names nobody. Nor does one that is not plain ASCII: there are no two
   people whose addresses look alike.
4. Somebody answers for an agent: by a claim, or by the policy's own table.
5. Its groups are those that it names, and those of the policy whose ``claims`` it has. A provider that left them out
   because they were too many leaves nothing to go by.

Whom a claim may name is the issuer's word: who trusts an issuer trusts it for every value of the claim that it names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from holdpoint.errors import BadToken, MissingGroups
from holdpoint.mailbox import mailbox
from holdpoint.policy.groups import Group, is_group_name
from holdpoint.policy.issuers import AgentTerms, Issuer
from holdpoint.policy.patterns import Regex, encode, glob
from holdpoint.tokens.claims import claim, lacking, values_at
from holdpoint.tokens.verify import moment_ms
from holdpoint.visible import visible_line

LONGEST_NAME = 200
# Where providers put other addresses of the same person.
_ADDRESSES = ("email", "preferred_username", "upn", "unique_name", "emails")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token names. ``owner`` is the principal that answers for an agent; None for a person.

    ``groups`` are those that it brings along, without those that list the principal as a member. ``aliases`` are other
    addresses of the same person. ``auth_ms``: when they last signed in, and ``acr`` how, where the provider says so.
    """

    principal: str
    subject: str
    issuer: str
    name: str
    groups: frozenset[str]
    owner: str | None
    aliases: frozenset[str]
    expires_ms: int
    auth_ms: int | None
    acr: str


def identity_of(claims: Mapping[str, Any], issuer: Issuer, groups: Mapping[str, Group]) -> Identity:
    """Who has the token with these ``claims``. ``groups`` are the policy's.

    Raises:
        MissingGroups: nobody can say, because the groups were too many for the token.
        BadToken: it names nobody, or not as the policy wants it.
    """
    missing = lacking(claims, issuer.require)
    if missing is not None:
        raise BadToken(f"the claim {missing!r} has none of the values that the policy requires")
    agents = issuer.agents if issuer.agents is not None and lacking(claims, issuer.agents.when) is None else None
    if agents is None:
        principal, owner = _person(claims, issuer.requester), None
    else:
        principal, owner = _agent(claims, agents)
    return Identity(
        principal=principal,
        subject=_text(claims.get("sub")),
        issuer=issuer.issuer,
        name=visible_line(_text(claim(claims, issuer.name)))[:LONGEST_NAME],
        groups=_groups(claims, issuer, groups),
        owner=owner,
        aliases=frozenset() if agents is not None else _aliases(claims) - {principal},
        expires_ms=moment_ms(claims, "exp"),
        auth_ms=moment_ms(claims, "auth_time") if "auth_time" in claims else None,
        acr=_text(claims.get("acr")),
    )


def _person(claims: Mapping[str, Any], path: str) -> str:
    """Steps 2 and 3."""
    address = _address(claim(claims, path))
    if address is None:
        raise BadToken(f"the claim {path!r} holds no e-mail address in plain letters")
    around, _, last = path.rpartition(".")
    if last == "email":
        verified = claim(claims, f"{around}.email_verified" if around else "email_verified")
        if verified is not None and verified is not True and verified != "true":
            raise BadToken("its provider has not verified the e-mail address")
    return address


def _agent(claims: Mapping[str, Any], terms: AgentTerms) -> tuple[str, str]:
    """Steps 2 and 4: its name and its owner."""
    raw = claim(claims, terms.requester)
    if not isinstance(raw, str) or not _is_agents_name(raw):
        raise BadToken(f"the claim {terms.requester!r} holds no name for an agent")
    said = claim(claims, terms.owner) if terms.owner is not None else None
    if said is not None:
        owner = _address(said)
        if owner is None:
            raise BadToken(f"the claim {terms.owner!r} holds no e-mail address in plain letters")
        return raw.lower(), owner
    for pattern, person in terms.owners:
        if _glob(pattern).search(encode(raw)):
            return raw.lower(), person
    raise BadToken("nobody answers for this agent: no owner in the token, and none in the policy")


def _is_agents_name(text: str) -> bool:
    """Not what could be read as another one: no compatibility forms, nothing hidden, no blank ends, no address."""
    plain = unicodedata.normalize("NFKC", text) == text and visible_line(text) == text and text.strip() == text
    return plain and 0 < len(text) <= LONGEST_NAME and "@" not in text


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> Regex:
    return glob((pattern,))


def _address(value: Any) -> str | None:
    """An e-mail address in lower case; None for whatever else, and for one with other letters than ASCII's."""
    if not isinstance(value, str) or not value.isascii():
        return None
    found = mailbox(value)
    return found.lower() if found is not None else None


def _aliases(claims: Mapping[str, Any]) -> frozenset[str]:
    """Every other address of the person: whoever it belongs to may not decide on their requests."""
    found = (_address(value) for name in _ADDRESSES for value in values_at(claims, name))
    return frozenset(address for address in found if address is not None)


def _groups(claims: Mapping[str, Any], issuer: Issuer, groups: Mapping[str, Group]) -> frozenset[str]:
    """Step 5."""
    mapped = {name: group.claims for name, group in groups.items() if group.claims}
    looked_at = {path for wanted in mapped.values() for path in wanted}
    if issuer.groups is not None:
        looked_at.add(issuer.groups)
    _check_complete(claims, looked_at)
    named = _named_groups(claims, issuer.groups) if issuer.groups is not None else frozenset()
    return named | {
        name
        for name, wanted in mapped.items()
        if any(not values_at(claims, path).isdisjoint(values) for path, values in wanted.items())
    }


def _check_complete(claims: Mapping[str, Any], paths: Iterable[str]) -> None:
    """What would be looked at is in the token, and not somewhere else (OpenID Connect Core 5.6.2; Entra's overage)."""
    elsewhere = claims.get("_claim_names")
    away = set(elsewhere) if isinstance(elsewhere, Mapping) else set()
    if claims.get("hasgroups") not in (None, False, "false"):
        away.add("groups")
    if not away.isdisjoint(paths):
        raise MissingGroups("its groups were too many to be in it")


def _named_groups(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The groups that the token names itself. One that no policy could name is none."""
    value = claim(claims, path)
    names = [value] if isinstance(value, str) else value if value is not None else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadToken(f"the claim {path!r} is no list of groups")
    return frozenset(name for name in names if is_group_name(name))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
