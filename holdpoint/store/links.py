"""Which chat accounts are bound to which principal, and links that somebody has begun.

A link that is begun is two secrets, of which only digests are stored: the address that the chat account was shown, and
the code that who is signed in was shown. See `bot.linking` for who gets to see which.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict
from holdpoint.linked import Link, account_key
from holdpoint.model import Account, EventKind
from holdpoint.store import identity_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script
from holdpoint.store.config import configure

TOKEN_MS = 10 * 60_000
CODE_MS = 5 * 60_000
MOST_WRONG = 5

_PUT_CODE = Script("put_link_code")
_TAKE_CODE = Script("take_link_code")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a code would bind: ``account`` to ``principal``, who has signed in as ``by`` says.

    ``key_digest`` is that of the Holdpoint key that they signed in with; empty for a sign-in at an identity provider.
    ``session`` is the id of the session in which they were shown the code.
    """

    account: Account
    principal: str
    by: str
    key_digest: str
    session: str = ""


class WrongCode(Conflict):
    """Not the code that the page showed; it may be typed again."""


_LINK = TypeAdapter(Link)
_ACCOUNT = TypeAdapter(Account)
_OFFER = TypeAdapter(Offer)


class Links:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def all(self) -> list[Link]:
        """All of them, void ones too, in the order in which they were made."""
        links = [_LINK.validate_json(raw) for raw in await self._client.command("HVALS", keys.LINKS)]
        return sorted(links, key=lambda link: (link.at_ms, link.key))

    async def get(self, platform: str, user_id: str) -> Link | None:
        """The link of one account, void or not."""
        raw = await self._client.command("HGET", keys.LINKS, account_key(platform, user_id))
        return _LINK.validate_json(raw) if raw else None

    async def make(self, link: Link) -> None:
        """Bind an account that is not bound; a void link of it is replaced.

        Raises:
            Conflict: it is bound, or somebody else binds it at this moment.
        """
        before = await self.get(link.platform, link.user_id)
        if before is not None and before.voided_ms is None:
            raise Conflict("this account is linked already; unlink it first")
        await self._put(link, seen=before, value=to_json(link), kind=EventKind.LINK_MADE, by=link.principal)

    async def void(self, link: Link, *, by: str) -> None:
        """``link``, as it was read, makes nobody of its account any more.

        Raises:
            Conflict: it was changed meanwhile.
        """
        voided = replace(link, voided_ms=self._clock())
        await self._put(voided, seen=link, value=to_json(voided), kind=EventKind.LINK_VOIDED, by=by)

    async def remove(self, link: Link, *, by: str) -> None:
        """Forget ``link``, as it was read.

        Raises:
            Conflict: it was changed meanwhile.
        """
        await self._put(link, seen=link, value=b"", kind=EventKind.LINK_REMOVED, by=by)

    async def begin(self, token: str, account: Account) -> None:
        """``account`` was shown an address with ``token``, a secret that works once within ten minutes."""
        await self._client.command("SET", keys.linking(_digest(token)), to_json(account), "PX", TOKEN_MS)

    async def begun(self, token: str) -> Account | None:
        """The account that was shown ``token``, while it works. Looking does not use it up."""
        raw = await self._client.command("GET", keys.linking(_digest(token)))
        return _ACCOUNT.validate_json(raw) if raw else None

    async def offer(self, token: str, offer: Offer, *, code: str) -> bool:
        """Use ``token`` up: within five minutes ``code``, from the account itself, binds. False: it was used before."""
        place = account_key(offer.account.platform, offer.account.user_id)
        answer = await self._client.script(
            _PUT_CODE,
            [keys.linking(_digest(token)), keys.link_code(place)],
            [to_json(offer.account), _digest(f"{place} {code}"), to_json(offer), CODE_MS],
        )
        return bool(answer == b"ok")

    async def take(self, account: Account, *, code: str) -> Offer | None:
        """What ``code`` would bind ``account`` to, once; None when nothing was offered, or not any more.

        Raises:
            WrongCode: another code was shown.
        """
        place = account_key(account.platform, account.user_id)
        word, *value = await self._client.script(
            _TAKE_CODE, [keys.link_code(place)], [_digest(f"{place} {code}"), MOST_WRONG]
        )
        if word == b"wrong":
            raise WrongCode("this is not the code that the page shows")
        return _OFFER.validate_json(value[0]) if word == b"ok" else None

    async def _put(self, link: Link, *, seen: Link | None, value: bytes, kind: EventKind, by: str) -> None:
        await configure(
            self._client, keys.LINKS, link.key, to_json(seen) if seen is not None else b"", value,
            now_ms=self._clock(), kind=kind, subject=link.key, data=identity_events.link_changed(link, by=by),
        )  # fmt: skip


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
