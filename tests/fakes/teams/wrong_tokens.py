"""Every token that a bot must not take, and some that look odd but are right, for tables of tests.

``WRONG[name]`` says what is wrong with it: ``UNKNOWN`` (nobody vouches for the sender: 401) or ``FORBIDDEN`` (Microsoft
signed it, but not for this: 403). See https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt

from tests.fakes.teams.keys import ISSUER, KeyRing, SigningKey, claims, private_key, public_pem, signed
from tests.fakes.teams.things import Json

UNKNOWN = 401
FORBIDDEN = 403

Header = str | None


@dataclass(frozen=True)
class Case:
    """``header`` makes the Authorization header (None: there is none) for an activity with that service URL."""

    header: Callable[[KeyRing, str], Header]
    status: int
    prepare: Callable[[KeyRing], None] = lambda _ring: None


def _bearer(ring: KeyRing, said: Json, *, key: str = "", headers: Json | None = None) -> str:
    return f"Bearer {signed(said, key or ring.current.kid, headers=headers)}"


def _with(**changes: object) -> Callable[[KeyRing, str], Header]:
    """The right claims but for these; None leaves one out; numbers are seconds from now."""

    def make(ring: KeyRing, url: str) -> Header:
        said = claims(url)
        for name, value in changes.items():
            said.pop(name, None)
            if value is not None:
                said[name] = int(time.time()) + value if isinstance(value, int) else value
        return _bearer(ring, said)

    return make


def _signed_by(key: str, kid: str | None) -> Callable[[KeyRing, str], Header]:
    def make(ring: KeyRing, url: str) -> Header:
        return _bearer(ring, claims(url), key=key, headers={"kid": kid if kid is not None else ring.current.kid})

    return make


def _no_kid(ring: KeyRing, url: str) -> Header:
    return "Bearer " + jwt.encode(claims(url), private_key(ring.current.kid), algorithm="RS256")


def _unsigned(ring: KeyRing, url: str) -> Header:
    head = _segment({"alg": "none", "typ": "JWT", "kid": ring.current.kid})
    return f"Bearer {head.decode()}.{_segment(claims(url)).decode()}."


def _segment(value: Json) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def _hs256(ring: KeyRing, url: str) -> Header:
    """Signed with the public key as if it were a secret (by hand: PyJWT refuses to make one)."""
    kid = ring.current.kid
    text = _segment({"alg": "HS256", "typ": "JWT", "kid": kid}) + b"." + _segment(claims(url))
    mac = hmac.new(public_pem(kid), text, hashlib.sha256).digest()
    return "Bearer " + (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def _rs384(ring: KeyRing, url: str) -> Header:
    kid = ring.current.kid
    return "Bearer " + jwt.encode(claims(url), private_key(kid), algorithm="RS384", headers={"kid": kid})


def _tampered(ring: KeyRing, url: str) -> Header:
    head, body, mac = signed(claims(url), ring.current.kid).split(".")
    changed = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"exp": int(time.time()) + 9_999}
    return f"Bearer {head}.{_segment(changed).decode()}.{mac}"


def _dropped(ring: KeyRing, url: str) -> Header:
    """The right signature of a key that is not announced any more."""
    return _bearer(ring, claims(url), key="k-dropped")


def _endorse(channels: list[str] | None) -> Callable[[KeyRing], None]:
    def prepare(ring: KeyRing) -> None:
        ring.keys = [SigningKey(ring.current.kid, channels)]

    return prepare


def _always(header: Header) -> Callable[[KeyRing, str], Header]:
    return lambda _ring, _url: header


def _prefixed(prefix: str) -> Callable[[KeyRing, str], Header]:
    return lambda ring, url: prefix + ring.token(url)


WRONG: Mapping[str, Case] = {
    "no header": Case(_always(None), UNKNOWN),
    "an empty header": Case(_always(""), UNKNOWN),
    "a bearer without a token": Case(_always("Bearer "), UNKNOWN),
    "no scheme": Case(_prefixed(""), UNKNOWN),
    "another scheme": Case(_prefixed("Basic "), UNKNOWN),
    "two tokens": Case(lambda ring, url: f"Bearer {ring.token(url)} {ring.token(url)}", UNKNOWN),
    "garbage": Case(_always("Bearer x.y.z"), UNKNOWN),
    "not three parts": Case(_always("Bearer abc"), UNKNOWN),
    "characters that no token has": Case(_always("Bearer é.ü.ß"), UNKNOWN),
    "a very long one": Case(_always("Bearer " + "a" * 6_000), UNKNOWN),
    "expired": Case(_with(exp=-600), UNKNOWN),
    "no exp": Case(_with(exp=None), UNKNOWN),
    "exp that is no number": Case(_with(exp="tomorrow"), UNKNOWN),
    "not valid yet": Case(_with(nbf=3600), UNKNOWN),
    "another issuer": Case(_with(iss="https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"), UNKNOWN),
    "no issuer": Case(_with(iss=None), UNKNOWN),
    "another audience": Case(_with(aud="99999999-2222-4333-8444-555555555555"), UNKNOWN),
    "the connector as audience": Case(_with(aud=ISSUER), UNKNOWN),
    "no audience": Case(_with(aud=None), UNKNOWN),
    "another key under a known kid": Case(_signed_by("stranger", None), UNKNOWN),
    "an unknown kid": Case(_signed_by("stranger", "k-unknown"), UNKNOWN),
    "no kid": Case(_no_kid, UNKNOWN),
    "a key that is announced no more": Case(_dropped, UNKNOWN),
    "unsigned": Case(_unsigned, UNKNOWN),
    "HS256 with the public key": Case(_hs256, UNKNOWN),
    "RS384": Case(_rs384, UNKNOWN),
    "claims changed after signing": Case(_tampered, UNKNOWN),
    "for another service URL": Case(_with(serviceurl="https://evil.example/amer/"), FORBIDDEN),
    "for no service URL": Case(_with(serviceurl=None), FORBIDDEN),
    "a service URL that is no text": Case(_with(serviceurl=["https://evil.example/"]), FORBIDDEN),
    "a channel that the key does not vouch for": Case(KeyRing.bearer, FORBIDDEN, _endorse(["webchat"])),
    "a key that vouches for nobody": Case(KeyRing.bearer, FORBIDDEN, _endorse([])),
    "a key without endorsements": Case(KeyRing.bearer, FORBIDDEN, _endorse(None)),
}

RIGHT: Mapping[str, Case] = {
    "as Teams sends it": Case(KeyRing.bearer, 200),
    "expired within the five minutes that clocks may differ": Case(_with(exp=-200), 200),
    "valid in a moment": Case(_with(nbf=200), 200),
    "a new key": Case(KeyRing.bearer, 200, lambda ring: ring.keys.append(SigningKey("k2"))),
    "a scheme in small letters": Case(_prefixed("bearer "), 200),
}
