"""Chat accounts that were bound to a principal by a one-time link, and who is the same person by that. Pure.

An account is exactly one principal: that of its link, while the link is in force, else its own e-mail address. A link is
in force for the very account that was linked: the same workspace or tenant, and still the e-mail address of that moment.
One that is void gives no right any more; that its two sides were one person goes on to forbid.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdpoint.model import Account


@dataclass(frozen=True, slots=True)
class Link:
    """One account and its principal. ``by`` says how the person showed who they are ("key 3f2a…").

    ``email_then`` and ``name`` are the account's at the moment of linking.
    """

    platform: str
    place: str
    user_id: str
    principal: str
    email_then: str
    name: str
    at_ms: int
    by: str
    voided_ms: int | None = None

    @property
    def key(self) -> str:
        """What names the account: "slack:U0123"."""
        return account_key(self.platform, self.user_id)

    def is_of(self, account: Account) -> bool:
        """Whether ``account`` is still the one that was linked."""
        return (self.key, self.place, self.email_then) == (
            account_key(account.platform, account.user_id), account.place, account.email,
        )  # fmt: skip


class Linked:
    """All links of one moment. Principals are compared as they are: lower-case addresses (`address_of`)."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links: Mapping[str, Link] = {link.key: link for link in links}
        self._accounts: dict[str, list[Link]] = {}
        for link in self._links.values():
            if link.voided_ms is None:
                self._accounts.setdefault(link.principal, []).append(link)
        self._kin = _kin(self._links.values())

    def of(self, platform: str, user_id: str) -> Link | None:
        """The link of an account, void or not."""
        return self._links.get(account_key(platform, user_id))

    def accounts_of(self, principal: str, platform: str) -> tuple[Link, ...]:
        """The links in force that make accounts of ``platform`` be ``principal``."""
        return tuple(link for link in self._accounts.get(principal, ()) if link.platform == platform)

    def principal_of(self, account: Account) -> str:
        """Who the account is."""
        link = self._links.get(account_key(account.platform, account.user_id))
        return link.principal if link is not None and link.voided_ms is None and link.is_of(account) else account.email

    def kin(self, principals: Iterable[str]) -> frozenset[str]:
        """``principals``, and all that are the same person by links, over however many of them, in force or void."""
        return frozenset(other for each in principals for other in self._kin.get(each, (each,)))


def account_key(platform: str, user_id: str) -> str:
    """What an account is stored and recorded under."""
    return f"{platform}:{user_id}"


def address_of(text: str) -> str:
    """A platform's e-mail address as a principal: lower case. Empty where it is none, or could be taken for another one.

    Only letters without a second form may change their case: ``K`` (U+212A, the Kelvin sign) becomes ``k`` in lower
    case, and would make somebody else's address of one that a mail server takes for another.
    """
    text = text.strip()
    lower = text.lower()
    is_one = text.count("@") == 1 and not text.startswith("@") and not text.endswith("@")
    is_plain = lower.isprintable() and not any(each.isspace() for each in lower)
    is_stable = unicodedata.normalize("NFKC", text) == text and lower.casefold() == lower
    return lower if is_one and is_plain and is_stable else ""


def _kin(links: Iterable[Link]) -> dict[str, frozenset[str]]:
    """Principal → everybody whom chains of links make the same person, for those who have any."""
    groups: dict[str, set[str]] = {}
    for link in links:
        merged = groups.get(link.principal, {link.principal}) | groups.get(link.email_then, {link.email_then})
        for each in merged:
            groups[each] = merged
    return {each: frozenset(group) for each, group in groups.items()}
