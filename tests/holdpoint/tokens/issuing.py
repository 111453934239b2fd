"""An identity provider of the tests: keys of every type, tokens right and wrong, and a server that can lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Json = dict[str, Any]

ISSUER = "https://login.example.com"
AUDIENCE = "holdpoint"


@cache
def private_key(name: str) -> Any:
    """The key of that name, whose first word says its type; made once a process, as they are dear."""
    match name.split(" ", maxsplit=1)[0]:
        case "weak":
            return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is what has to be refused
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "k256":
            return ec.generate_private_key(ec.SECP256K1())
        case "ed":
            return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(name: str, **changes: Any) -> Json:
    """The public key as a JSON Web Key with its name as ``kid``, but for ``changes``; None leaves a member out."""
    key = private_key(name).public_key()
    algorithm = {"p256": ECAlgorithm, "p384": ECAlgorithm, "k256": ECAlgorithm, "ed": OKPAlgorithm}.get(
        name.split(" ", maxsplit=1)[0], RSAAlgorithm
    )
    described = json.loads(algorithm.to_jwk(key))
    described.pop("key_ops", None)
    described |= {"kid": name, "use": "sig"} | changes
    return {member: value for member, value in described.items() if value is not None}


def claims(now_ms: int, **changes: Any) -> Json:
    """What a person's token says, but for ``changes``; None leaves a claim out."""
    now = now_ms // 1000
    said = {
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, "sub": "u1",
        "email": "dana@example.com", "email_verified": True, "name": "Dana",
    } | changes  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def signed(
    said: Mapping[str, Any] | bytes, key: str = "k1", *, alg: str = "RS256", head: Mapping[str, Any] | None = None
) -> str:
    """A token with any body, which `jwt.encode` would not make. None in ``head`` leaves a member out."""
    body = said if isinstance(said, bytes) else json.dumps(dict(said)).encode()
    wanted = {"kid": key, "typ": "JWT"} | dict(head or {})
    if wanted["kid"] is None:
        del wanted["kid"]
    return jwt.PyJWS().encode(body, private_key(key), algorithm=alg, headers=wanted)


@dataclass
class Provider:
    """``metadata`` and ``jwks`` replace an answer: a JSON value, bytes, or a status. ``keys`` are those that it announces."""

    keys: list[Json] = field(default_factory=lambda: [jwk("k1")])
    metadata: Any = None
    jwks: Any = None
    discovered: int = 0
    fetched: int = 0
    waiting: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    way: asyncio.Event = field(default_factory=asyncio.Event)  # that an answer takes, as it was when it was made
    port: int = 0
    path: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def right_metadata(self) -> Json:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def token(self, now_ms: int, key: str = "k1", *, alg: str = "RS256", head: Json | None = None, **said: Any) -> str:
        return signed(claims(now_ms, **({"iss": self.url} | said)), key, alg=alg, head=head)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == f"{self.path.rstrip('/')}/.well-known/openid-configuration":
            self.discovered += 1
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
            return _response(self.right_metadata if self.metadata is None else self.metadata)
        if request.path.endswith("/keys"):
            self.fetched += 1
            answer = _response({"keys": self.keys} if self.jwks is None else self.jwks)
            await self.way.wait()
            return answer
        return web.Response(status=404)


def _response(value: Any) -> web.Response:
    if isinstance(value, int):
        return web.Response(status=value, headers={"Location": "/keys"} if value // 100 == 3 else {})
    if isinstance(value, bytes):
        return web.Response(body=value)
    return web.json_response(value)


@asynccontextmanager
async def running_provider(*, port: int = 0, path: str = "", **more: Any) -> AsyncIterator[Provider]:
    """A provider on a port of its own, whose issuer has ``path``."""
    provider = Provider(path=path, **more)
    provider.gate.set()
    provider.way.set()
    runner = web.ServerRunner(web.Server(provider.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    provider.port = runner.addresses[0][1]
    try:
        yield provider
    finally:
        provider.gate.set()
        provider.way.set()
        await runner.cleanup()
