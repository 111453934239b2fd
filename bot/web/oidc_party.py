"""The relying party of OpenID Connect: sends people to their provider, takes them back, and asks about them again.

::

    begin ─▶ the provider ─▶ finish: state ─ code ─ id token ─ claims ─▶ who it is      … and while they are signed in
                                                                          checked: refresh token ─ claims ─▶ still so?

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
from dataclasses import dataclass, replace

from pydantic import SecretStr

from bot.web.oidc_checks import (
    Way,
    authenticated_ms,
    check_access_token,
    check_nonce,
    check_party,
    person_of,
    scope_of,
    terms_of,
    way_of,
    with_query,
)
from bot.web.oidc_words import check_error, in_words, single
from holdpoint.clock import Clock
from holdpoint.errors import (
    BadToken,
    ConfigurationError,
    GrantRefused,
    ProviderUnavailable,
    SignInFailed,
)
from holdpoint.live import Live
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import Store
from holdpoint.store.safe import Safe
from holdpoint.store.sessions import LONGEST_MS, Session, SignedIn, Vouched
from holdpoint.store.signing_in import Begun, digest
from holdpoint.tasks import OnDeath
from holdpoint.tokens.grants import Client, Grants, Tokens, new_verifier
from holdpoint.tokens.identity import Identity, identity_of
from holdpoint.tokens.providers import Endpoints, Providers

CALLBACK_PATH = "/sign-in/oidc/callback"
UNREFRESHED_MS = 3_600_000
"""The longest session at a provider that cannot be asked again."""

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
        person, identity = await self._person(way, tokens, begun)
        return Vouchsafed(person, self._vouched(way, tokens, identity), begun.target)

    async def read(self, way: Way, tokens: Tokens, *, nonce: str | None) -> tuple[Mapping[str, object], Identity]:
        """The claims of the id token in ``tokens``, and whom they name. ``nonce`` is None where none was sent.

        Raises:
            BadToken: it does not count, or names nobody who could sign in.
            ProviderUnavailable: nobody knows.
        """
        claims = await self._providers.claims(tokens.id_token, way.issuer, audiences={way.client.id})
        if nonce is not None:
            check_nonce(claims, nonce)
        check_party(claims, way.client.id)
        check_access_token(claims, tokens.id_token, tokens.access_token)
        identity = identity_of(claims, way.issuer, self._live.snapshot.policy.groups)
        if identity.owner is not None:
            raise BadToken("of a program, and not of a person")
        if not identity.subject:
            raise BadToken("without a subject")
        return claims, identity

    async def refreshed(self, way: Way, vouched: Vouched) -> tuple[Tokens, Vouched]:
        """What the provider gives for the refresh token of ``vouched``, which may be spent by that; and what to keep now.

        Raises:
            GrantRefused: nobody is vouched for any more.
            ConfigurationError: the token was locked with another key.
            ProviderUnavailable: nobody knows.
        """
        if self._safe is None:
            raise ConfigurationError("HOLDPOINT_SECRET_KEY: not set")
        token = self._safe.open(vouched.refresh).get_secret_value()
        endpoints = await self._providers.endpoints(way.issuer.issuer)
        tokens = await self._grants.by_refresh(endpoints, way.client, refresh_token=token)
        return tokens, replace(vouched, refresh=self._safe.lock(SecretStr(tokens.refresh_token)))

    async def named(self, way: Way, tokens: Tokens) -> tuple[Identity | None, Vouched]:
        """Whom ``tokens`` (of `refreshed`) name, and what to keep. None: the provider only says that all is well.

        Raises:
            BadToken: nobody any more.
            ProviderUnavailable: nobody knows.
        """
        if not tokens.id_token:
            return None, self._vouched(way, tokens, None)
        _, identity = await self.read(way, tokens, nonce=None)
        return identity, self._vouched(way, tokens, identity)

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

    async def _person(self, way: Way, tokens: Tokens, begun: Begun) -> tuple[SignedIn, Identity]:
        """Steps 5 to 8."""
        try:
            claims, identity = await self.read(way, tokens, nonce=begun.nonce)
            auth_ms = authenticated_ms(claims, fresh_ms=begun.fresh_ms, acr=begun.acr, now_ms=self._clock())
        except (BadToken, ProviderUnavailable) as error:
            raise in_words(error, way) from error
        return person_of(identity, auth_ms=auth_ms), identity

    def _vouched(self, way: Way, tokens: Tokens, identity: Identity | None) -> Vouched:
        now_ms, terms = self._clock(), terms_of(way.issuer, self._live.snapshot.policy.groups)
        if self._safe is None or not tokens.refresh_token:
            expires_ms = identity.expires_ms if identity is not None else now_ms
            return Vouched(min(expires_ms, now_ms + UNREFRESHED_MS), way.id, terms)
        refresh, hint = (self._safe.lock(SecretStr(token)) for token in (tokens.refresh_token, tokens.id_token))
        return Vouched(now_ms + LONGEST_MS, way.id, terms, refresh, hint if tokens.id_token else "")
