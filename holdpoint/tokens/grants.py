"""A provider's token endpoint: a code, a refresh token or a device's code goes in, tokens come out.

RFC 6749 sections 2.3.1, 4.1.3, 5 and 6; RFC 7636 (PKCE); RFC 8628 (devices). Nothing of an answer is trusted here: who
takes an id token out of it has it verified.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from pydantic import SecretStr

from holdpoint.errors import GrantRefused, ProviderUnavailable
from holdpoint.tokens.bodies import read_object
from holdpoint.tokens.providers import Endpoints
from holdpoint.visible import visible_line

_TIMEOUT_S = 5.0
_MOST_BYTES = 256 * 1024
_MOST_WORDS = 200
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Client:
    """We, as the provider knows us. A public client has no secret."""

    id: str
    secret: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What was granted; empty where the provider sent none."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person types in where (``uri``; ``complete_uri`` has the code in it, or is empty), and when to ask how it went."""

    code: str = field(repr=False)
    user_code: str
    uri: str
    complete_uri: str
    lasts_s: float
    every_s: float


def new_verifier() -> tuple[str, str]:
    """A verifier and its S256 challenge (RFC 7636, section 4)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Grants:
    """`start`, ask, `aclose`. Every question raises `GrantRefused`, or `ProviderUnavailable` when nobody knows."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make ready to ask."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def by_code(
        self, endpoints: Endpoints, client: Client, *, code: str, verifier: str, redirect_uri: str
    ) -> Tokens:
        """For a code that somebody came back with."""
        fields = {
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri
        }  # fmt: skip
        return _tokens(await self._post(endpoints.token, endpoints, client, fields))

    async def by_refresh(self, endpoints: Endpoints, client: Client, *, refresh_token: str) -> Tokens:
        """For a refresh token. Where the answer has no new one, the old one goes on."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        tokens = _tokens(await self._post(endpoints.token, endpoints, client, fields))
        return tokens if tokens.refresh_token else Tokens(tokens.id_token, tokens.access_token, refresh_token)

    async def by_device(self, endpoints: Endpoints, client: Client, *, device_code: str) -> Tokens:
        """For a device's code: refused with ``authorization_pending`` or ``slow_down`` until the person has signed in."""
        fields = {"grant_type": DEVICE_GRANT, "device_code": device_code}
        return _tokens(await self._post(endpoints.token, endpoints, client, fields))

    async def device(self, endpoints: Endpoints, client: Client, *, scope: str) -> DeviceCode:
        """Begin a sign-in on another device."""
        answer = await self._post(endpoints.device, endpoints, client, {"scope": scope})
        code, user_code = _text(answer, "device_code"), visible_line(_text(answer, "user_code"))
        uri = _text(answer, "verification_uri") or _text(answer, "verification_url")  # Google's name
        if not (code and user_code and uri):
            raise ProviderUnavailable("the answer names no code")
        return DeviceCode(
            code, user_code, uri, _text(answer, "verification_uri_complete"),
            lasts_s=_seconds(answer, "expires_in", 600), every_s=_seconds(answer, "interval", 5),
        )  # fmt: skip

    async def _post(
        self, url: str, endpoints: Endpoints, client: Client, fields: Mapping[str, str]
    ) -> Mapping[str, Any]:
        if self._session is None or not url:
            raise ProviderUnavailable("there is no address to ask at")
        headers, form = _credentials(client, posts_secret=endpoints.posts_secret)
        try:
            # No redirects: they would carry a code, a token or our secret past the check of the address.
            async with self._session.post(
                url, data={**fields, **form}, headers=headers, allow_redirects=False
            ) as answer:
                body = await read_object(answer, most_bytes=_MOST_BYTES)
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProviderUnavailable(f"cannot be asked: {type(error).__name__}") from error
        if status == 200:
            return body
        code = _text(body, "error")
        if status == 429 or status >= 500 or not code:
            raise ProviderUnavailable(f"the server answers {status}")
        raise GrantRefused(_words(code), _words(_text(body, "error_description")))


def _credentials(client: Client, *, posts_secret: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and fields that say who we are (RFC 6749, section 2.3.1)."""
    if client.secret is None:
        return {}, {"client_id": client.id}
    secret = client.secret.get_secret_value()
    if posts_secret:
        return {}, {"client_id": client.id, "client_secret": secret}
    pair = f"{quote_plus(client.id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    return Tokens(_text(answer, "id_token"), _text(answer, "access_token"), _text(answer, "refresh_token"))


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    return found if isinstance(found, str) else ""


def _seconds(answer: Mapping[str, Any], name: str, usual: float) -> float:
    found = answer.get(name)
    return float(found) if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 86_400 else usual


def _words(text: str) -> str:
    return visible_line(text)[:_MOST_WORDS]
