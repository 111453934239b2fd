"""The relying party of OpenID Connect: sends people to their provider, and takes them back.

::

    begin ─▶ the provider ─▶ finish: state ─ code ─ id token ─ claims ─▶ who it is

Whom the provider's tokens name, then and while they are signed in, is read in oidc_vouching.py.

The steps of `finish`, after OpenID Connect Core 1.0 (3.1.2.5 to 3.1.3.8), RFC 9700 and RFC 9207:

1. each parameter once at most
2. the state is one that we gave to this browser, at most ten minutes ago, and that did not come back before
3. the provider that answers is the one that was asked
4. it answers with a code, which its token endpoint takes with our secret and the verifier of the challenge (PKCE)
5. the id token is the provider's, for us, valid now, and has the nonce
6. it belongs to the access token beside it, where it says so
7. the person has shown who they are as recently, and in the way, that was asked for
8. the claims name a person (`holdpoint.tokens.identity`)
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.web.oidc_checks import Way, scope_of, way_of, with_query
from bot.web.oidc_vouching import Vouching
from bot.web.oidc_words import check_error, in_words, single
from holdpoint.clock import Clock
from holdpoint.errors import ConfigurationError, GrantRefused, ProviderUnavailable, SignInFailed
from holdpoint.live import Live
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import Store
from holdpoint.store.safe import Safe
from holdpoint.store.sessions import Session, SignedIn, Vouched
from holdpoint.store.signing_in import Begun, digest
from holdpoint.tasks import OnDeath
from holdpoint.tokens.grants import Client, Grants, Tokens, new_verifier
from holdpoint.tokens.providers import Endpoints, Providers

CALLBACK_PATH = "/sign-in/oidc/callback"

_log = logging.getLogger("bot.web.oidc")


@dataclass(frozen=True, slots=True)
class Vouchsafed:
    """A person, what their session needs beside them, and where they were going."""

    person: SignedIn
    vouched: Vouched
    target: str


class RelyingParty:
    """`start`, use, `aclose`."""

    def __init__(
        self, settings: Settings, store: Store, live: Live, *, clock: Clock, on_death: OnDeath | None = None
    ) -> None:
        """Asks nobody yet.

        Raises:
            ConfigurationError: HOLDPOINT_SECRET_KEY is no key.
        """
        self._store = store
        self._live = live
        self._clock = clock
        self._redirect_uri = settings.link_base + CALLBACK_PATH
        self._after_sign_out = settings.link_base + "/sign-in"
        # Without a key nothing that opens a provider's doors is kept, so nobody can be asked again.
        self._safe = Safe(settings.secret_key) if settings.secret_key is not None else None
        self._providers = Providers(clock=clock, on_death=on_death)
        self._grants = Grants()
        self.vouching = Vouching(self._providers, self._grants, self._safe, live, clock=clock)
        self._missing: set[str] = set()  # secrets that the log has named

    async def start(self) -> None:
        """Make ready to ask."""
        await self._providers.start()
        await self._grants.start()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._grants.aclose()
        await self._providers.aclose()

    def ways(self) -> Sequence[Way]:
        """Every way to sign in that the policy offers now, in its order. One whose secret is missing is none."""
        found = []
        for issuer in self._live.snapshot.policy.issuers:
            if issuer.sign_in is None:
                continue
            reference = issuer.sign_in.client_secret
            secret = resolve_credential(reference) if reference is not None else None
            if reference is None or secret is not None:
                found.append(Way(way_of(issuer), issuer, Client(issuer.sign_in.client_id, secret)))
            elif reference not in self._missing:
                self._missing.add(reference)
                _log.warning("nobody can sign in: %s is not set", reference, extra={"issuer": issuer.issuer})
        return found

    def way(self, way_id: str) -> Way | None:
        """The way with this id, while the policy offers it."""
        return next((way for way in self.ways() if way.id == way_id), None)

    async def begin(
        self, way: Way, *, target: str, browser: str, address: str, fresh_ms: int | None = None, acr: str = ""
    ) -> str:
        """The address to send the browser to, which has the cookie ``browser``.

        Raises:
            SignInFailed: the provider cannot be asked, or somebody begins all the time.
            StoreUnavailable: nothing can be begun.
        """
        endpoints = await self._endpoints(way)
        (verifier, challenge), nonce = new_verifier(), secrets.token_urlsafe(24)
        begun = Begun(way.id, target, digest(browser), self._clock(), nonce, verifier, fresh_ms, acr)
        state = await self._store.signing_in.begin(begun, address=address)
        if state is None:
            raise SignInFailed("Too many sign-ins were begun from here. Wait a minute, then try again.", status=429)
        fields = {
            "response_type": "code", "client_id": way.client.id, "redirect_uri": self._redirect_uri,
            "scope": scope_of(way.issuer, endpoints.scopes, refreshable=self._safe is not None), "state": state,
            "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        if fresh_ms is not None:
            fields["max_age"] = str(fresh_ms // 1000)
        if acr:
            fields["acr_values"] = acr
        return with_query(endpoints.authorization, fields)

    async def finish(self, answer: Mapping[str, Sequence[str]], *, browser: str) -> Vouchsafed:
        """Who has come back with ``answer``, the parameters of the callback, in the browser with the cookie ``browser``.

        Raises:
            SignInFailed: nobody, and a sentence for the person.
            StoreUnavailable: it cannot be known.
        """
        given = single(answer)
        begun = await self._store.signing_in.take(given.get("state", ""), browser=browser)
        if begun is None:
            raise SignInFailed("This sign-in is over, or was begun in another browser. Start again.")
        await self._live.ensure_fresh()
        way = self.way(begun.way)
        if way is None:
            raise SignInFailed("The policy does not offer this way to sign in any more.")
        endpoints = await self._endpoints(way)
        if given.get("iss") != way.issuer.issuer and ("iss" in given or endpoints.names_itself):
            _log.warning("a sign-in was answered by another provider", extra={"issuer": way.issuer.issuer})
            raise SignInFailed("Another identity provider than the one that was asked has answered. Start again.")
        check_error(given, way)
        tokens = await self._exchange(way, endpoints, given.get("code", ""), begun)
        person, identity = await self.vouching.person(way, tokens, begun)
        return Vouchsafed(person, self.vouching.vouched(way, tokens, identity), begun.target)

    async def sign_out_url(self, session: Session) -> str:
        """Where the person can sign out at their provider, too; empty when it offers nothing (RP-Initiated Logout 1.0)."""
        way = self.way(session.vouched.way) if session.vouched is not None else None
        if way is None or session.vouched is None:
            return ""
        try:
            endpoints = await self._providers.endpoints(way.issuer.issuer)
            hint = self._safe.open(session.vouched.hint) if self._safe and session.vouched.hint else None
        except (ProviderUnavailable, ConfigurationError):
            return ""
        if not endpoints.end_session:
            return ""
        fields = {"client_id": way.client.id, "post_logout_redirect_uri": self._after_sign_out}
        if hint is not None:
            fields["id_token_hint"] = hint.get_secret_value()
        return with_query(endpoints.end_session, fields)

    async def _endpoints(self, way: Way) -> Endpoints:
        try:
            endpoints = await self._providers.endpoints(way.issuer.issuer)
        except ProviderUnavailable as error:
            raise in_words(error, way) from error
        if not (endpoints.authorization and endpoints.token):
            raise SignInFailed("Your identity provider announces no way to sign in.", status=502)
        return endpoints

    async def _exchange(self, way: Way, endpoints: Endpoints, code: str, begun: Begun) -> Tokens:
        """Step 4."""
        try:
            return await self._grants.by_code(
                endpoints, way.client, code=code, verifier=begun.verifier, redirect_uri=self._redirect_uri
            )
        except (GrantRefused, ProviderUnavailable) as error:
            raise in_words(error, way) from error
