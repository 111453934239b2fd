"""The bot's own tokens: asked for with the app's secret, kept until shortly before they end, one question at a time.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow. Asked here and not by MSAL, which
blocks the event loop, and asks login.microsoftonline.com about every login URL that it does not know. The secret goes to
the login URL and nowhere else: over https, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from bot.platform import AccessLost
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError, ChannelUnavailable, ConfigurationError
from holdpoint.settings import Settings
from holdpoint.tokens.bodies import read_object
from holdpoint.urls import is_safe

TIMEOUT_S = 8.0
EARLY_MS = 5 * 60_000  # before its end a token is renewed
LOST_RETRY_S = 30.0  # how often a refusal is asked for again
RETRY_S = 5.0
MOST_BYTES = 64 * 1024

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_REASONS: Mapping[int, str] = {
    7000215: "MicrosoftAppPassword is wrong: it has to be the secret's value, not its id",
    7000218: "MicrosoftAppPassword is missing",
    7000222: "MicrosoftAppPassword has expired: make a new client secret and set it",
    700016: "MicrosoftAppId is not known in the tenant: check it, MicrosoftAppTenantId and MicrosoftAppType",
    90002: "MicrosoftAppTenantId names no tenant",
    900021: "MicrosoftAppTenantId names no tenant",
    500011: "the scope is not known: check ToChannelFromBotOAuthScope and TEAMS_GRAPH_URL",
    7000112: "the app of MicrosoftAppId is disabled",
}


@dataclass
class _Slot:
    """The token of one scope. ``asked`` counts the questions that are over, ``error`` is how the last one failed."""

    token: str = ""
    since_ms: int = 0
    fresh_until_ms: int = 0
    ends_ms: int = 0
    asked: int = 0
    error: ChannelUnavailable | None = None
    quiet_until_ms: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Credentials:
    """Tokens for the Bot Connector, and for other scopes by argument."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        """Asks for nothing yet.

        Raises:
            ConfigurationError: a setting of the bot is missing, or the login URL is neither https nor on this machine.
        """
        if settings.teams_app_password is None:
            raise ConfigurationError("MicrosoftAppPassword: must be set where MicrosoftAppId is")
        if settings.teams_app_type == "SingleTenant" and not settings.teams_tenant_id:
            raise ConfigurationError("MicrosoftAppTenantId: must be set for a SingleTenant bot")
        if not is_safe(settings.teams_login_url):
            raise ConfigurationError("ToChannelFromBotLoginUrl: must begin with https://")
        self._app_id = settings.teams_app_id
        self._password = settings.teams_app_password
        self._tenant = settings.teams_tenant_id
        self._is_shared = settings.teams_app_type == "MultiTenant"
        self._login_url = settings.teams_login_url.rstrip("/")
        self._scope = f"{settings.teams_oauth_scope.rstrip('/')}/.default"
        self._clock = clock
        self._slots: dict[str, _Slot] = {}

    async def token(self, scope: str | None = None) -> str:
        """A token that is valid for some minutes at least. ``scope`` with its ``/.default``; None: the Bot Connector's.

        Raises:
            AccessLost: the login service refuses; the text names the setting to look at.
            ChannelUnavailable: it cannot be asked now. Whatever the token was for has had no effect.
        """
        scope = scope or self._scope
        slot = self._slots.setdefault(scope, _Slot())
        asked = slot.asked
        if self._clock() < slot.fresh_until_ms:
            return slot.token
        async with slot.lock:
            now = self._clock()
            if now < slot.fresh_until_ms:
                return slot.token
            # Who waited for a question that failed does not ask it again; nor is a failure repeated at once.
            if slot.error is None or (slot.asked == asked and now >= slot.quiet_until_ms):
                await self._renew(scope, slot)
            if slot.error is not None and self._clock() >= slot.ends_ms:
                raise type(slot.error)(str(slot.error), retry_after_seconds=slot.error.retry_after_seconds)
            return slot.token

    def drop(self, token: str, scope: str | None = None) -> bool:
        """Somebody does not accept this token. Whether another one may help: not where this one is quite new."""
        slot = self._slots.get(scope or self._scope)
        if slot is None or slot.token != token:
            return True
        if 0 <= self._clock() - slot.since_ms < LOST_RETRY_S * 1000:
            return False
        slot.token, slot.fresh_until_ms, slot.ends_ms = "", 0, 0
        return True

    async def _renew(self, scope: str, slot: _Slot) -> None:
        try:
            token, life_ms = await self._ask(scope)
        except ChannelUnavailable as error:
            slot.error = error
            slot.quiet_until_ms = self._clock() + int((error.retry_after_seconds or RETRY_S) * 1000)
        else:
            now = self._clock()
            slot.token, slot.error = token, None
            slot.since_ms, slot.ends_ms = now, now + life_ms
            slot.fresh_until_ms = now + max(life_ms - EARLY_MS, life_ms // 2)
        slot.asked += 1

    async def _ask(self, scope: str) -> tuple[str, int]:
        """A new token and its life in milliseconds."""
        # A bot of many tenants belongs to none: the Bot Framework has one for them. Every other API is a tenant's own.
        tenant = "botframework.com" if self._is_shared and scope == self._scope else self._tenant
        if not tenant:
            raise AccessLost("MicrosoftAppTenantId is missing", retry_after_seconds=LOST_RETRY_S)
        form = {
            "grant_type": "client_credentials", "client_id": self._app_id,
            "client_secret": self._password.get_secret_value(), "scope": scope,
        }  # fmt: skip
        url = f"{self._login_url}/{quote(tenant, safe='')}/oauth2/v2.0/token"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            # One question an hour: no connection is worth keeping.
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.post(url, data=form, allow_redirects=False) as answer,
            ):
                status, said = answer.status, await read_object(answer, most_bytes=MOST_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _unavailable(type(error).__name__) from error
        if status != 200:
            raise _refusal(status, said)
        return _read(said)


def _read(said: Mapping[str, Any]) -> tuple[str, int]:
    token, life, kind = said.get("access_token"), said.get("expires_in"), said.get("token_type")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token or not token:
        raise _unavailable("no token in its answer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _unavailable("another kind of token")
    if isinstance(life, str) and life.isascii() and life.isdigit():
        life = int(life)
    if not isinstance(life, int) or isinstance(life, bool) or not 0 < life <= 7 * 86_400:
        raise _unavailable("a token without an end")
    return token, life * 1000


def _refusal(status: int, said: Mapping[str, Any]) -> ChannelError:
    """What another answer than a token means. Nothing that the service wrote is repeated: it may quote the secret."""
    codes = said.get("error_codes")
    numbers = [code for code in codes if isinstance(code, int)] if isinstance(codes, list) else []
    word = said.get("error")
    if status == 429 or not 400 <= status < 500 or not isinstance(word, str):
        return _unavailable(f"status {status}")
    reason = next((_REASONS[code] for code in numbers if code in _REASONS), None)
    if reason is None:
        code = f"AADSTS{numbers[0]}" if numbers else f"status {status}"
        reason = f"check MicrosoftAppId, MicrosoftAppPassword, MicrosoftAppTenantId and MicrosoftAppType ({code})"
    return AccessLost(f"Microsoft's login service gives the bot no token: {reason}", retry_after_seconds=LOST_RETRY_S)


def _unavailable(why: str) -> ChannelUnavailable:
    return ChannelUnavailable(f"Microsoft's login service cannot be asked: {why}", retry_after_seconds=RETRY_S)
