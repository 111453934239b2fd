"""Where keys are announced and the bot gets its own tokens: OpenID metadata, JWKS, Entra's token endpoint.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, the errors from
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import json
from typing import Any

import jwt
from aiohttp import web

from tests.fakes.teams.keys import ISSUER, KeyRing, private_key, public_pem
from tests.fakes.teams.things import APP_ID, APP_SECRET, TENANT, Json, Says

OPENID = "/v1/.well-known/openidconfiguration"
JWKS = "/v1/.well-known/keys"
SCOPE = "https://api.botframework.com"
GRAPH = "https://graph.microsoft.com"
ENTRA_KEY = "entra"
LIFE_S = 3599


def entra_error(error: str, code: int, message: str) -> Json:
    text = f"AADSTS{code}: {message} Trace ID: 00000000-0000-0000-0000-000000000000"
    return {"error": error, "error_description": text, "error_codes": [code], "trace_id": "0", "correlation_id": "0"}


class Login:
    """Grants for the app ``app_id`` with ``secret`` in ``tenants``."""

    def __init__(self) -> None:
        self.secret = APP_SECRET
        self.tenants = {TENANT, "botframework.com"}
        self.scopes = {SCOPE, GRAPH}
        self.life_s = LIFE_S
        self.revoked: set[str] = set()
        self.registered = True

    def grant(self, tenant: str, form: dict[str, str], now_s: float) -> tuple[int, Json]:
        """The answer of ``POST /{tenant}/oauth2/v2.0/token``."""
        scope = form.get("scope", "")
        resource = scope.removesuffix("/.default")
        if tenant not in self.tenants:
            return 400, entra_error("invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return 400, entra_error("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if form.get("client_id") != APP_ID:
            return 400, entra_error("unauthorized_client", 700016, "Application was not found in the directory.")
        if "client_secret" not in form:
            return 401, entra_error("invalid_client", 7000218, "The request body must contain client_secret.")
        if form["client_secret"] != self.secret:
            return 401, entra_error("invalid_client", 7000215, "Invalid client secret provided.")
        if not scope.endswith("/.default"):
            return 400, entra_error("invalid_scope", 1002012, "The provided value for scope is not valid.")
        if resource not in self.scopes:
            return 400, entra_error("invalid_resource", 500011, "The resource principal was not found in the tenant.")
        token = self.token(resource, tenant, now_s)
        body = {"token_type": "Bearer", "expires_in": self.life_s, "ext_expires_in": self.life_s}
        return 200, {**body, "access_token": token}

    def token(self, resource: str, tenant: str, now_s: float) -> str:
        said = {"aud": resource, "iss": f"https://sts.windows.net/{tenant}/", "appid": APP_ID, "tid": tenant}
        times = {"iat": int(now_s), "nbf": int(now_s), "exp": int(now_s) + self.life_s}
        return jwt.encode({**said, **times}, private_key(ENTRA_KEY), algorithm="RS256", headers={"kid": ENTRA_KEY})

    def check(self, header: str | None, resource: str, now_s: float) -> None:
        """Whether a call may be made; raises `Says` 401."""
        scheme, _, token = (header or "").partition(" ")
        try:
            if scheme != "Bearer" or token in self.revoked:
                raise jwt.InvalidTokenError
            options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
            said = jwt.decode(token, public_pem(ENTRA_KEY), algorithms=["RS256"], audience=resource, options=options)
            if not said["nbf"] <= now_s + 1 < said["exp"] + 1:
                raise jwt.ExpiredSignatureError
        except jwt.InvalidTokenError as error:
            raise Says(401, "Unauthorized", "Authorization has been denied for this request.") from error
        if not self.registered:
            raise Says(401, "BotNotRegistered", "No registration found for this bot.")


def metadata(base: str) -> Json:
    return {
        "issuer": ISSUER, "authorization_endpoint": "https://invalid.botframework.com", "jwks_uri": f"{base}{JWKS}",
        "id_token_signing_alg_values_supported": ["RS256"], "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    }  # fmt: skip


def tenant_metadata(base: str, tenant: str) -> Json:
    """What MSAL asks for before it asks for a token."""
    return {
        "issuer": f"{base}/{tenant}/v2.0", "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
        "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize", "jwks_uri": f"{base}/{tenant}/keys",
    }  # fmt: skip


async def form_of(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    return {name: str(value) for name, value in (await request.post()).items()}


def jwks_text(ring: KeyRing) -> str:
    return json.dumps(ring.jwks())
