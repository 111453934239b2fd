"""Whom a provider of OpenID Connect vouches for: its tokens → a person, and what to keep to ask about them again.

::

    at sign-in      tokens ─▶ person (steps 5 to 8 of `oidc_party`) ─▶ vouched: the refresh token, locked
    while signed in vouched ─▶ refreshed: tokens, and what to keep now ─▶ named: still the same person?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import SecretStr

from bot.web.oidc_checks import (
    Way,
    authenticated_ms,
    check_access_token,
    check_nonce,
    check_party,
    person_of,
    terms_of,
)
from bot.web.oidc_words import in_words
from holdpoint.clock import Clock
from holdpoint.errors import BadToken, ConfigurationError, ProviderUnavailable
from holdpoint.live import Live
from holdpoint.store.safe import Safe
from holdpoint.store.sessions import LONGEST_MS, SignedIn, Vouched
from holdpoint.store.signing_in import Begun
from holdpoint.tokens.grants import Grants, Tokens
from holdpoint.tokens.identity import Identity, identity_of
from holdpoint.tokens.providers import Providers

UNREFRESHED_MS = 3_600_000
"""The longest session at a provider that cannot be asked again."""


class Vouching:
    """``safe`` is None where nothing that opens a provider's doors may be kept, so that nobody can be asked again."""

    def __init__(self, providers: Providers, grants: Grants, safe: Safe | None, live: Live, *, clock: Clock) -> None:
        self._providers = providers
        self._grants = grants
        self._safe = safe
        self._live = live
        self._clock = clock

    async def person(self, way: Way, tokens: Tokens, begun: Begun) -> tuple[SignedIn, Identity]:
        """Steps 5 to 8 of `bot.web.oidc_party`: whom ``tokens`` name, who began as ``begun`` says.

        Raises:
            SignInFailed: nobody, and a sentence for the person.
        """
        try:
            claims, identity = await self.read(way, tokens, nonce=begun.nonce)
            auth_ms = authenticated_ms(claims, fresh_ms=begun.fresh_ms, acr=begun.acr, now_ms=self._clock())
        except (BadToken, ProviderUnavailable) as error:
            raise in_words(error, way) from error
        return person_of(identity, auth_ms=auth_ms), identity

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
            return None, self.vouched(way, tokens, None)
        _, identity = await self.read(way, tokens, nonce=None)
        return identity, self.vouched(way, tokens, identity)

    def vouched(self, way: Way, tokens: Tokens, identity: Identity | None) -> Vouched:
        """What to keep of ``tokens``, which name ``identity``; None: nobody, but all is well."""
        now_ms, terms = self._clock(), terms_of(way.issuer, self._live.snapshot.policy.groups)
        if self._safe is None or not tokens.refresh_token:
            expires_ms = identity.expires_ms if identity is not None else now_ms
            return Vouched(min(expires_ms, now_ms + UNREFRESHED_MS), way.id, terms)
        refresh, hint = (self._safe.lock(SecretStr(token)) for token in (tokens.refresh_token, tokens.id_token))
        return Vouched(now_ms + LONGEST_MS, way.id, terms, refresh, hint if tokens.id_token else "")
