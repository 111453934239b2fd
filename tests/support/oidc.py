"""An OpenID provider of the tests that signs everybody in at once, and can be made to lie at every step.

It checks what a provider has to: client, redirect address, that a code works once, PKCE. ``oidc-provider-mock`` and npm's
``oidc-provider`` are the real ones; this one sends what they never would.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus, urlencode

from aiohttp import web

from holdpoint.clock import now_ms
from tests.holdpoint.tokens.issuing import Json, jwk, signed

CLIENT, SECRET = "holdpoint-web", "s3cret: with % and +"


@dataclass
class OpenId:
    """``person`` is who signs in. The rest changes what is said, each until it is taken back.

    ``sends`` changes the parameters with which people are sent back, ``says`` the id token (None leaves a claim out),
    ``grants`` the answer of the token endpoint: a JSON value, bytes, or a status. ``away``: nobody answers; ``keys_away``: where
    the keys are.
    """

    person: Json = field(default_factory=lambda: {"sub": "u-sam", "email": "sam@example.com", "name": "Sam Person"})
    sends: Callable[[Json], Any] = lambda fields: fields
    says: Json = field(default_factory=dict)
    grants: Any = None
    metadata: Json = field(default_factory=dict)
    path: str = ""
    key: str = "k1"
    client: str = CLIENT
    secret: str | None = SECRET
    refreshes: bool = True
    refresh_says: Json | None = field(default_factory=dict)
    away: bool = False
    keys_away: bool = False
    lives_s: int = 600
    clock: Callable[[], int] = now_ms
    authenticated_s: int | None = 0  # so long before the token; None: it does not say
    port: int = 0
    asked: list[Json] = field(default_factory=list)
    exchanged: list[Json] = field(default_factory=list)
    codes: dict[str, Json] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def id_token(self, nonce: str | None, *, access_token: str = "", **said: Any) -> str:
        now = self.clock() // 1000
        said_at = None if self.authenticated_s is None else now - self.authenticated_s
        claims = {
            "iss": self.url, "aud": self.client, "iat": now, "exp": now + self.lives_s, "email_verified": True,
            "auth_time": said_at, "nonce": nonce, "at_hash": half_hash(access_token) if access_token else None,
        } | self.person | self.says | said  # fmt: skip
        return signed({name: value for name, value in claims.items() if value is not None}, self.key)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await self.gate.wait()
        if self.away or (self.keys_away and request.path.endswith("/keys")):
            return web.Response(status=503)
        match request.path.removeprefix(self.path):
            case "/.well-known/openid-configuration":
                return web.json_response(self._discovery)
            case "/keys":
                return web.json_response({"keys": [jwk(self.key)]})
            case "/authorize":
                return self._authorize(dict(request.query))
            case "/token":
                return self._granted(request, dict(await request.post()))
            case "/device":
                return web.json_response(
                    {
                        "device_code": "device-1", "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/activate",
                        "verification_uri_complete": f"{self.url}/activate?user_code=WDJB-MJHT", "expires_in": 60,
                        "interval": 1,
                    }
                )  # fmt: skip
        return web.Response(status=404)

    @property
    def _discovery(self) -> Json:
        said = {
            "issuer": self.url, "jwks_uri": f"{self.url}/keys", "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "end_session_endpoint": f"{self.url}/out",
            "device_authorization_endpoint": f"{self.url}/device",
            "scopes_supported": ["openid", "email", "profile", "groups", "offline_access"],
            "authorization_response_iss_parameter_supported": True,
        } | self.metadata  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}

    def _authorize(self, query: Json) -> web.Response:
        self.asked.append(query)
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        fields = self.sends({"code": code, "state": query["state"], "iss": self.url})
        pairs = fields if isinstance(fields, list) else [(name, value) for name, value in fields.items() if value]
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(pairs)}"})

    def _granted(self, request: web.BaseRequest, form: Json) -> web.Response:
        self.exchanged.append(form)
        if self.grants is not None:
            return _response(self.grants)
        if not self._knows(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        match form.get("grant_type"):
            case "authorization_code":
                asked = self.codes.pop(form["code"], None)
                if asked is None or asked["redirect_uri"] != form["redirect_uri"] or not _proves(asked, form):
                    return web.json_response({"error": "invalid_grant", "error_description": "no"}, status=400)
                return self._tokens(asked.get("nonce"), refreshes="offline_access" in asked["scope"].split())
            case "refresh_token":
                if form["refresh_token"] not in self.tokens:
                    return web.json_response({"error": "invalid_grant"}, status=400)
                self.tokens.discard(form["refresh_token"])
                return self._tokens(None, refreshes=True, said=self.refresh_says)
            case "urn:ietf:params:oauth:grant-type:device_code":
                if form["device_code"] not in self.approved:
                    return web.json_response({"error": "authorization_pending"}, status=400)
                return self._tokens(None, refreshes=False)
        return web.json_response({"error": "unsupported_grant_type"}, status=400)

    def _tokens(self, nonce: str | None, *, refreshes: bool, said: Json | None = None) -> web.Response:
        access = secrets.token_urlsafe(8)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 600}
        if said is not None or nonce is not None or not refreshes:
            answer["id_token"] = self.id_token(nonce, access_token=access, **(said or {}))
        if refreshes and self.refreshes:
            answer["refresh_token"] = secrets.token_urlsafe(8)
            self.tokens.add(answer["refresh_token"])
        return web.json_response(answer)

    def _knows(self, request: web.BaseRequest, form: Json) -> bool:
        """RFC 6749, section 2.3.1."""
        if self.secret is None:
            return "client_id" in form and "client_secret" not in form
        if "client_secret" in form:
            return form["client_secret"] == self.secret
        pair = base64.b64decode(request.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        name, _, secret = pair.partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (self.client, self.secret)


def half_hash(token: str) -> str:
    """``at_hash`` for RS256."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


def _proves(asked: Json, form: Json) -> bool:
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked.get("code_challenge_method") == "S256" and asked.get("code_challenge") == challenge


def _response(value: Any) -> web.Response:
    if isinstance(value, int):
        return web.Response(status=value)
    if isinstance(value, tuple):
        return web.json_response(value[1], status=value[0])
    if isinstance(value, bytes):
        return web.Response(body=value)
    return web.json_response(value)


@asynccontextmanager
async def running_openid(*, path: str = "", **more: Any) -> AsyncIterator[OpenId]:
    """A provider on a port of its own."""
    provider = OpenId(path=path, **more)
    provider.gate.set()
    runner = web.ServerRunner(web.Server(provider.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.port = runner.addresses[0][1]
    try:
        yield provider
    finally:
        provider.gate.set()
        await runner.cleanup()
