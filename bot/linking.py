"""Binding a chat account to a principal, so that neither side can be talked into it. Knows no platform and no page.

::

    chat   /holdpoint link         ─▶ an address, shown to who typed it: begin
    web    the address, signed in  ─▶ which account, which principal; nothing has happened: look
           "This is my account"    ─▶ the address is used up; a code, shown on this page alone: confirm
    chat   /holdpoint link <code>  ─▶ typed from that very account: finish

An address may be forwarded: then an attacker's account would act as whoever follows it. Therefore who follows it and says
yes has bound nothing yet: they are shown a code that the account has to type, and it is they who would have to hand it
over. It works from that account alone, once, for five minutes, and not after five wrong ones. The account is looked at
again when the code is typed, and so are the session in which it was shown and the key that had opened it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from bot.directory import Directory, UnknownKey
from holdpoint.clock import Clock
from holdpoint.errors import HoldpointError, NotFound
from holdpoint.linked import Link, address_of
from holdpoint.live import Live
from holdpoint.model import Account, Reviewer
from holdpoint.store import Store
from holdpoint.store.links import Offer

_CODE_DIGITS = 8
_TOKEN_BYTES = 32  # 43 characters in an address

ALREADY = "This account is linked already. Type unlink first."
GONE = "This address was used already, or ten minutes have passed. Type link in chat again."
NO_OFFER = "There is no code for this account, or not any more. Type link in chat again, and follow the address."


class MayNotLink(HoldpointError):
    """An account is not bound. ``str()`` is a sentence for the person."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who follows an address, as of this request. ``by`` says for the record how they showed who they are.

    ``key_digest`` is that of the Holdpoint key that they signed in with, empty for a sign-in at an identity provider.
    ``session`` is the id of their session; empty for one that an older version opened.
    """

    reviewer: Reviewer
    by: str
    key_digest: str = ""
    session: str = ""


class Linking:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, store: Store, live: Live, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._directory = Directory(live, clock=clock)

    async def begin(self, account: Account) -> str:
        """The path of an address, for the person behind ``account`` alone.

        Raises:
            MayNotLink: the account is linked already.
        """
        await self._refuse_linked(account)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        await self._store.links.begin(token, account)
        return f"/link/{token}"

    async def look(self, token: str, who: SignedIn) -> Account:
        """The account that an address would bind to ``who``.

        Raises:
            NotFound: the address was used, or has lapsed, or never was one.
            MayNotLink: not to this one.
        """
        account = await self._store.links.begun(token)
        if account is None:
            raise NotFound(GONE)
        await self._refuse_linked(account)
        await self._live.ensure_fresh()
        self._refuse(account, who.reviewer, who.key_digest)
        return account

    async def confirm(self, token: str, who: SignedIn) -> tuple[Account, str]:
        """Use an address up: the account, and the code that it has to type; both for ``who`` alone.

        Raises:
            NotFound, MayNotLink: as `look`.
        """
        account = await self.look(token, who)
        code = f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}}"
        offer = Offer(account, who.reviewer.principal, who.by, who.key_digest, who.session)
        if not await self._store.links.offer(token, offer, code=code):
            raise NotFound(GONE)
        return account, f"{code[:4]}-{code[4:]}"

    async def finish(self, account: Account, code: str) -> Link:
        """Bind ``account``, which was looked at just now, to who was shown ``code``.

        Raises:
            MayNotLink: nothing was offered, the account has changed meanwhile, or the session or its key is over.
            Conflict: a wrong code, or the account was linked at this moment.
        """
        offer = await self._store.links.take(account, code="".join(each for each in code if each.isalnum()))
        if offer is None:
            raise MayNotLink(NO_OFFER)
        if (offer.account.place, offer.account.email) != (account.place, account.email):
            raise MayNotLink("Your account has changed since. Type link again.")
        if offer.session and offer.session not in {each.id for each in await self._store.sessions.of(offer.principal)}:
            raise MayNotLink("You have been signed out since the code was shown. Type link again.")
        if offer.key_digest:
            try:
                now = await self._directory.by_key_digest(offer.key_digest, channel=account.platform)
            except UnknownKey as error:
                raise MayNotLink("The key that you had signed in with is not valid any more.") from error
            self._refuse(account, now, offer.key_digest)
        link = Link(
            account.platform, account.place, account.user_id, offer.principal, account.email, account.name,
            self._clock(), offer.by,
        )  # fmt: skip
        await self._store.links.make(link)
        await self._live.look()
        return link

    async def remove(self, link: Link, *, by: str) -> None:
        """End a link.

        Raises:
            Conflict: it was changed at this moment.
        """
        await self._store.links.remove(link, by=by)
        await self._live.look()

    async def _refuse_linked(self, account: Account) -> None:
        link = await self._store.links.get(account.platform, account.user_id)
        if link is not None and link.voided_ms is None:
            raise MayNotLink(ALREADY)

    def _refuse(self, account: Account, reviewer: Reviewer, key_digest: str) -> None:
        """Raise `MayNotLink` where ``account`` cannot become ``reviewer``'s."""
        if reviewer.owner is not None:
            raise MayNotLink("This is an agent's key. Only people have chat accounts: sign in as yourself.")
        if address_of(reviewer.principal) != reviewer.principal:
            raise MayNotLink("You are signed in under a name that is no e-mail address, so no account can be yours.")
        if reviewer.principal == account.email:
            raise MayNotLink("This account is you already, by its e-mail address. Nothing needs to be linked.")
        # In chat they will have all roles that the policy gives them; a key that was made for less must not get there.
        snapshot = self._live.snapshot
        key = snapshot.keys.get(key_digest)
        is_limited = key is not None and bool(key.networks or key.connections)
        if is_limited or not snapshot.roles_of(snapshot.groups_of(reviewer.principal)) <= reviewer.roles:
            raise MayNotLink(
                "The key that you signed in with may do less than you may. Sign in as yourself, with all of your roles."
            )
