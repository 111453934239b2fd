"""The service provider of SAML 2.0: sends people to their identity provider, and takes them back. Web browser SSO profile.

::

    begin ─▶ the provider ─▶ posted: response ─ checked ─ once ─▶ ticket ─▶ finish: our browser? ─▶ who it is

The provider makes the browser post its response from another site, so no cookie of ours comes with it: what was posted
is checked and kept for a minute under a ticket, and counts once the browser that was sent off brings that ticket.
A response that nobody here asked for is refused before it is looked at. ``RelayState`` is the state of what was begun.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from bot.directory import UnknownKey
from bot.templates import render
from bot.web.oidc_checks import person_of, with_query
from bot.web.oidc_party import Vouchsafed
from bot.web.oidc_vouching import UNREFRESHED_MS
from bot.web.oidc_words import TOO_MANY, UNACCEPTABLE
from holdpoint.clock import Clock
from holdpoint.errors import BadToken, MissingGroups, SignInFailed
from holdpoint.live import Live
from holdpoint.policy.groups import Group
from holdpoint.policy.issuers import Issuer
from holdpoint.policy.saml import SamlProvider
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.store.as_json import to_json
from holdpoint.store.sessions import SignedIn, Vouched
from holdpoint.store.signing_in import Begun, digest
from holdpoint.tokens.identity import identity_of

if TYPE_CHECKING:
    from bot.web.saml_response import Assertion  # at run time it needs the extra

ACS_PATH = "/sign-in/saml/acs"
METADATA_PATH = "/sign-in/saml/metadata"
_SKEW_MS = 60_000
_OVERAGE = "http://schemas.microsoft.com/claims/groups.link"  # Entra names the groups elsewhere
_ENTRA_GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
# Where providers put addresses of the person.
_ADDRESSES = (
    "email", "mail", "emails", "upn", "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
)  # fmt: skip
_INSTALLED = importlib.util.find_spec("signxml") is not None

_log = logging.getLogger("bot.web.saml")


@dataclass(frozen=True, slots=True)
class SamlWay:
    """One provider to sign in at. ``id`` stands in links and sessions, and changes with everything that the policy says."""

    id: str
    provider: SamlProvider


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What was posted, until the browser comes for it."""

    state: str
    person: SignedIn
    until_ms: int


_ARRIVED = TypeAdapter(_Arrived)


class ServiceProvider:
    """Asks nobody itself: browsers carry everything."""

    def __init__(self, settings: Settings, store: Store, live: Live, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._acs_url = settings.link_base + ACS_PATH
        self._entity_id = settings.link_base + METADATA_PATH
        self._has_complained = False

    def ways(self) -> Sequence[SamlWay]:
        """Every provider that the policy names now, in its order; none where the extra ``saml`` is not installed."""
        providers = self._live.snapshot.policy.saml
        if providers and not _INSTALLED:
            if not self._has_complained:
                _log.error("nobody can sign in by SAML: install holdpoint[saml]")
            self._has_complained = True
            return ()
        claims = {name: group.claims for name, group in self._live.snapshot.policy.groups.items() if group.claims}
        return [
            SamlWay(hashlib.sha256(to_json(["saml", each, dict(sorted(claims.items()))])).hexdigest()[:16], each)
            for each in providers
        ]

    def way(self, way_id: str) -> SamlWay | None:
        """The way with this id, while the policy offers it."""
        return next((way for way in self.ways() if way.id == way_id), None)

    def metadata(self) -> str:
        """What a provider has to know of us (SAML 2.0 Metadata)."""
        return render("web/saml_metadata.xml", entity_id=self._entity_id, acs_url=self._acs_url)

    def check(self, vouched: Vouched) -> None:
        """Raise UnknownKey when the policy does not offer ``vouched.way`` any more, or reads its attributes otherwise."""
        if self.way(vouched.way) is None:
            raise UnknownKey("the policy does not offer this way to sign in any more")

    async def begin(
        self, way: SamlWay, *, target: str, browser: str, address: str, fresh_ms: int | None = None, acr: str = ""
    ) -> str:
        """The address to send the browser to, which has the cookie ``browser`` (HTTP redirect binding).

        Raises:
            SignInFailed: somebody begins all the time.
            StoreUnavailable: nothing can be begun.
        """
        begun = Begun(way.id, target, digest(browser), self._clock(), fresh_ms=fresh_ms, acr=acr)
        state = await self._store.signing_in.begin(begun, address=address)
        if state is None:
            raise SignInFailed("Too many sign-ins were begun from here. Wait a minute, then try again.", status=429)
        request = render(
            "web/saml_request.xml", id=_request_id(state), at_s=self._clock() // 1000, acs_url=self._acs_url,
            destination=way.provider.sso_url, entity_id=self._entity_id, force=fresh_ms is not None,
            methods=acr.split(),
        )  # fmt: skip
        packed = base64.b64encode(zlib.compress(request.encode(), wbits=-15)).decode()
        return with_query(way.provider.sso_url, {"SAMLRequest": packed, "RelayState": state})

    async def posted(self, response: str, relay_state: str) -> str:
        """The ticket for what a provider's page has made the browser post.

        Raises:
            SignInFailed, StoreUnavailable: nobody is signed in by it.
        """
        begun = await self._store.signing_in.begun(relay_state)
        if begun is None:
            raise SignInFailed("Nobody here asked for this sign-in, or it is over. Begin it on Holdpoint's own page.")
        await self._live.ensure_fresh()
        way = self.way(begun.way)
        if way is None:
            raise SignInFailed("The policy does not offer this way to sign in any more.")
        try:
            found = self._read(way.provider, response, relay_state)
            person = self._person(way.provider, found)
        except BadToken as error:
            _log.warning("a response was refused: %s", error, extra={"issuer": way.provider.entity_id})
            raise SignInFailed(TOO_MANY if isinstance(error, MissingGroups) else UNACCEPTABLE) from error
        once = hashlib.sha256(f"{way.provider.entity_id}\n{found.id}".encode()).hexdigest()
        if not await self._store.seen.first("saml", once, ttl_ms=found.ends_ms - self._clock()):
            raise SignInFailed("This sign-in was used already. Start again.")
        return await self._store.signing_in.arrive(to_json(_Arrived(relay_state, person, found.until_ms)))

    async def finish(self, ticket: str, *, browser: str) -> Vouchsafed:
        """Who has come back, in the browser with the cookie ``browser``.

        Raises:
            SignInFailed, StoreUnavailable: see `RelyingParty.finish`.
        """
        raw = await self._store.signing_in.arrived(ticket)
        arrived = _ARRIVED.validate_json(raw) if raw else None
        begun = await self._store.signing_in.take(arrived.state, browser=browser) if arrived is not None else None
        if arrived is None or begun is None:
            raise SignInFailed("This sign-in is over, or was begun in another browser. Start again.")
        now_ms, person = self._clock(), arrived.person
        if begun.fresh_ms is not None and now_ms - person.auth_ms > begun.fresh_ms + _SKEW_MS:
            raise SignInFailed(
                "Your identity provider did not ask you to sign in again. Sign out there, then try again."
            )
        if begun.acr and person.acr not in begun.acr.split():
            raise SignInFailed("Your identity provider did not sign you in in the way that is needed here.")
        # Nobody can be asked again, so the session is short.
        until_ms = min(arrived.until_ms or now_ms + UNREFRESHED_MS, now_ms + UNREFRESHED_MS)
        return Vouchsafed(person, Vouched(until_ms, begun.way), begun.target)

    def _read(self, provider: SamlProvider, response: str, state: str) -> Assertion:
        """What the provider says. Raises BadToken."""
        from bot.web import saml_response  # noqa: PLC0415 - it needs the extra

        expected = saml_response.Expected(provider.entity_id, self._entity_id, self._acs_url, _request_id(state))
        return saml_response.read(response, provider.certificates, expected, now_ms=self._clock())

    def _person(self, provider: SamlProvider, found: Assertion) -> SignedIn:
        """Who is named, by what the policy says of the provider. Raises BadToken."""
        said, groups = found.attributes, self._live.snapshot.policy.groups
        if _OVERAGE in said and _misses_groups(provider, said, groups):
            raise MissingGroups("its groups were too many to be in it")
        addresses = said.get(provider.requester, ()) if provider.requester is not None else (found.name_id,)
        if len(addresses) != 1:
            raise BadToken("it does not name exactly one e-mail address")
        # Whole names count before paths, so that no attribute stands in for what is meant here.
        claims = {
            **said,
            "saml.requester": addresses[0],
            "saml.name": "".join(said.get(provider.name or "", ())[:1]),
            "saml.groups": list(said.get(provider.groups or "", ())),
            "emails": [found.name_id, *(value for name in _ADDRESSES for value in said.get(name, ()))],
            "sub": found.name_id, "exp": self._clock() // 1000, "acr": found.method,
        }  # fmt: skip
        reading = Issuer(
            provider.entity_id, frozenset(), requester="saml.requester", name="saml.name",
            groups="saml.groups" if provider.groups is not None else None,
        )  # fmt: skip
        return replace(person_of(identity_of(claims, reading, groups), auth_ms=found.auth_ms), method="saml")


def _misses_groups(provider: SamlProvider, said: Mapping[str, Sequence[str]], groups: Mapping[str, Group]) -> bool:
    """Whether anything is looked for among the groups that Entra left out. An admin may have given them another name."""
    by_claims = any(_ENTRA_GROUPS in group.claims for group in groups.values() if group.claims)
    return by_claims or (provider.groups is not None and provider.groups not in said)


def _request_id(state: str) -> str:
    """What our request is called. An XML id begins with a letter; the state itself stays with the browser."""
    return "r" + hashlib.sha256(f"saml request\n{state}".encode()).hexdigest()
