"""One entry of a Teams roster → who that is, or why they are nobody to Holdpoint. Pure.

What an entry says: https://learn.microsoft.com/microsoftteams/platform/bots/how-to/get-teams-context#fetch-the-roster-or-user-profile.
What stays the same about a person is the pair of directory object and tenant; a display name anybody can have.

People of the home tenant are their **e-mail** address, as in Slack and in tokens, else their UPN: both are attributes that
only the tenant's own administrators set, and whoever sets them for others can be anybody here. Somebody of another tenant
is their **UPN** and nothing else: its domain is one that their tenant has proved to own, whereas their administrators may
write any address into the e-mail attribute, ours included. A guest's e-mail address is the one that was invited; their UPN
is made up (``#EXT#``) and never counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.units import clip
from holdpoint.policy.groups import TeamsTerms

STRANGER = "You belong to another Microsoft tenant, so you cannot decide here."
NO_TENANT = "Teams does not say which tenant you belong to, so Holdpoint cannot tell who you are."
GUEST = "Guests of this Microsoft tenant cannot decide."
ANONYMOUS = "Teams does not know who you are (an anonymous account), so you cannot decide."
ANOTHER = "Teams names somebody else than who clicked, so Holdpoint cannot tell who you are."
UNSAID = "Teams does not say what kind of account you have, so you cannot decide."
BOT = "Apps and bots cannot decide."

_ADDRESS = re.compile(r"[^\s@<>\"',;:\\]{1,200}@[^\s@<>\"',;:\\]{1,200}")
_EXTERNAL = "#ext#"
_NAME_UNITS = 200


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a roster. All lower case but ``id`` (``29:…``) and ``name``; empty where it does not say."""

    id: str
    object: str
    tenant: str
    name: str
    email: str
    upn: str
    role: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Member:
        """Read an entry, whatever its shape. Some clouds write ``objectId`` for ``aadObjectId``."""

        def text(name: str) -> str:
            value = entry.get(name)
            return value.strip() if isinstance(value, str) else ""

        return cls(
            id=text("id"), object=(text("aadObjectId") or text("objectId")).lower(), tenant=text("tenantId").lower(),
            name=clip(" ".join(text("name").split()), _NAME_UNITS), email=_address(text("email")),
            upn=_address(text("userPrincipalName")), role=text("userRole").lower(),
        )  # fmt: skip

    @property
    def user(self) -> str:
        """``<tenant>/<aadObjectId>``."""
        return f"{self.tenant}/{self.object}"

    @property
    def is_guest(self) -> bool:
        """Whether they were invited into the tenant from outside."""
        return self.role == "guest" or _EXTERNAL in self.upn or _EXTERNAL in self.email


def refusal(member: Member, *, home: str, terms: TeamsTerms) -> str:
    """Why this is nobody to Holdpoint; empty for who counts. ``home`` is the tenant whose people do."""
    if member.id.startswith("28:"):
        return BOT
    if member.role == "anonymous" or not member.object:
        return ANONYMOUS
    if not member.tenant:
        return NO_TENANT
    if member.tenant != home and member.tenant not in terms.tenants:
        return STRANGER
    if member.is_guest:
        return "" if terms.guests and member.tenant == home else GUEST
    # An older roster names no role; then the UPN has to be there to say that this is no guest.
    if member.role != "user" and (member.role or not member.upn):
        return UNSAID
    return ""


def principal(member: Member, *, home: str) -> str:
    """The lower-case address that ``member`` is everywhere in Holdpoint; empty for none (see the module)."""
    if member.tenant != home:
        return member.upn
    if member.is_guest:
        return "" if _EXTERNAL in member.email else member.email
    return member.email or member.upn


def aliases(member: Member) -> frozenset[str]:
    """Every address that an entry names. They give no right, so it does not matter who wrote them: a request that was
    sent under one of them, with a key that was made for it, is this person's own.
    """
    return frozenset(filter(None, (member.email, member.upn)))


def _address(text: str) -> str:
    return text.lower() if _ADDRESS.fullmatch(text) and text.isprintable() else ""
