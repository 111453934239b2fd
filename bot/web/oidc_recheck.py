"""While somebody is signed in by OpenID Connect: does their provider still vouch for them, and for which groups?

Asked every five minutes in which they do something, with the refresh token of their session. A provider that does not
answer is waited for, until fifteen minutes after its last good word. Where nobody can be asked, the session is short.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from bot.directory import UnknownKey
from bot.web.oidc_checks import Way, person_of, terms_of
from bot.web.oidc_party import RelyingParty
from bot.web.oidc_vouching import UNREFRESHED_MS
from bot.web.saml_party import ServiceProvider
from holdpoint.errors import BadToken, ConfigurationError, GrantRefused, ProviderUnavailable
from holdpoint.live import Live
from holdpoint.store.sessions import Session, Sessions, SignedIn, Vouched

EVERY_MS = 5 * 60_000
AWAY_MS = 15 * 60_000
_LOOK_EVERY_S = 0.1
_LOOKS = 60  # as long as a question may take

_log = logging.getLogger("bot.web.oidc")


class Rechecks:
    """Looks at sessions that an identity provider has opened; those by key pass."""

    def __init__(self, party: RelyingParty, saml: ServiceProvider, sessions: Sessions, live: Live) -> None:
        self._party = party
        self._saml = saml
        self._sessions = sessions
        self._live = live

    async def checked(self, cookie: str, session: Session, *, now_ms: int) -> Session:
        """``session`` as the provider's last word has it; asked for now where that is due.

        Raises:
            UnknownKey: it is over; ``str()`` says why, for the record.
            StoreUnavailable: the truth cannot be had.
        """
        person, vouched = session.person, session.vouched
        if person is None or vouched is None:
            return session
        await self._live.ensure_fresh()
        if person.method == "saml":
            self._saml.check(vouched)  # nobody can be asked; the session is as short
            return session
        way = self._party.way(vouched.way)
        if way is None:
            raise UnknownKey("the policy does not offer this way to sign in any more")
        terms = terms_of(way.issuer, self._live.snapshot.policy.groups)
        changed = vouched.terms != terms
        if not changed and (not vouched.refresh or now_ms - session.checked_ms < EVERY_MS):
            return session
        if not vouched.refresh:
            raise UnknownKey("the policy reads the claims of this provider in another way now")
        overdue = now_ms - session.checked_ms >= AWAY_MS
        if await self._sessions.check_alone(session):
            asked = await self._asked(way, vouched, cookie, session, person)
        else:
            asked = await self._told(cookie, session) if changed or overdue else None
        if asked is not None and asked.vouched is not None and asked.vouched.terms == terms:
            return asked
        if overdue:
            raise UnknownKey("the identity provider has not answered for a quarter of an hour")
        # What the claims meant under the earlier policy gives nobody a right under this one.
        return replace(session, person=replace(person, groups=frozenset())) if changed else session

    async def _asked(
        self, way: Way, vouched: Vouched, cookie: str, session: Session, person: SignedIn
    ) -> Session | None:
        """The session as the provider says now; None when it does not answer."""
        now = await self._sessions.get(cookie, active=False)
        if now is None:
            raise UnknownKey("it was ended")
        if now.checked_ms != session.checked_ms:
            return now  # somebody has just asked: the refresh token that we know was spent
        vouched = now.vouched or vouched
        try:
            tokens, vouched = await self._party.vouching.refreshed(way, vouched)
            # The token before may be spent: whatever becomes of the rest, the next question is asked with this one.
            await self._sessions.keep(cookie, replace(session, vouched=vouched))
            identity, newer = await self._party.vouching.named(way, tokens)
        except ProviderUnavailable as error:
            _log.warning("a person cannot be asked about: %s", error, extra={"issuer": way.issuer.issuer})
            return None
        except (GrantRefused, BadToken) as error:
            _log.warning("a person is not vouched for any more: %s", error, extra={"issuer": way.issuer.issuer})
            raise UnknownKey("the identity provider does not vouch for the person any more") from error
        except ConfigurationError as error:
            raise UnknownKey("HOLDPOINT_SECRET_KEY was changed") from error
        if identity is None:
            # It says nothing of groups: as good as one that cannot be asked.
            until_ms = min(session.ends_ms, session.started_ms + UNREFRESHED_MS)
            if vouched.terms != newer.terms:
                raise UnknownKey("the policy reads the claims of this provider in another way now")
            kept = replace(vouched, refresh="", until_ms=until_ms)
            return await self._sessions.checked(cookie, replace(session, vouched=kept, ends_ms=until_ms))
        if (identity.subject, identity.principal) != (person.subject, person.principal):
            raise UnknownKey("the identity provider names somebody else")
        # When they showed who they are does not change by being asked about (Core 12.2).
        again = replace(person_of(identity, auth_ms=person.auth_ms), acr=person.acr)
        kept = replace(newer, until_ms=vouched.until_ms, hint=newer.hint or vouched.hint)
        return await self._sessions.checked(cookie, replace(session, person=again, vouched=kept))

    async def _told(self, cookie: str, session: Session) -> Session | None:
        """What somebody else learns who asks at this moment; None when that takes too long."""
        for _ in range(_LOOKS):
            now = await self._sessions.get(cookie, active=False)
            if now is None:
                raise UnknownKey("it was ended")
            if now.checked_ms != session.checked_ms:
                return now
            await asyncio.sleep(_LOOK_EVERY_S)
        return None
