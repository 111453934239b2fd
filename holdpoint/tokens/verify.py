"""One token, by one provider's keys → its claims, or a refusal. Pure: no clock, no network, nothing remembered.

The steps (RFC 7519 section 7.2, RFC 8725, RFC 9068, OpenID Connect Core 3.1.3.7):

1. a signed token in compact form, of at most 16 KB
2. its header: an algorithm that is allowed here, no extension that we would have to understand, a type that may be used so
3. the key: of the id that it names, of a type that fits the algorithm; where the set has no ids, the only one that fits
4. the signature
5. issued by the issuer, for one of the audiences
6. valid now, give or take a minute: ``exp``, ``nbf``, ``iat``
7. not bound to a key that whoever presents it would have to prove (RFC 7800): presented alone, it may be stolen

What a header says about keys (``jku``, ``jwk``, ``x5u``, ``x5c``) is never looked at. The caller owes the keys, which are
those of the issuer, and what the claims mean (`identity`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from jwt.algorithms import get_default_algorithms

from holdpoint.errors import BadToken, UnknownKeyId
from holdpoint.policy.issuers import Algorithm
from holdpoint.tokens.keys import Key

SKEW_MS = 60_000
MOST_CHARACTERS = 16 * 1024
_MOST_TRIED = 4  # keys of one id: a set should have one
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# What else is signed with the same keys is not for this use: logout tokens, security events, proofs of possession.
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_VERIFIERS = get_default_algorithms()


@dataclass(frozen=True, slots=True)
class Addressed:
    """What a token says of itself before anything is verified: only good to find out who has to verify it."""

    issuer: str
    audiences: frozenset[str]


def looks_like_token(text: str) -> bool:
    """Whether ``text`` could be a signed token: a Holdpoint key has no dots."""
    return "." in text


def addressed(token: str) -> Addressed:
    """Who says to have issued ``token``, and for whom. Raises BadToken when that cannot be read."""
    _, claims, _ = _segments(token)
    said = _object(claims)
    issuer = said.get("iss")
    if not isinstance(issuer, str):
        raise BadToken("names no issuer")
    return Addressed(issuer, _audiences(said))


def claims_of(
    token: str,
    keys: Sequence[Key],
    *,
    issuer: str,
    audiences: Collection[str],
    algorithms: Collection[Algorithm],
    now_ms: int,
) -> Mapping[str, Any]:
    """The claims of ``token``, if it counts.

    Raises:
        UnknownKeyId: by these keys it does not; it may by newer ones.
        BadToken: it does not.
    """
    head, body, signature = _segments(token)
    algorithm, kid = _head(_object(head), algorithms)
    keys = _candidates(kid, algorithm, keys)
    if not _is_signed(f"{head}.{body}".encode(), _decoded(signature), algorithm, keys):
        if kid is not None and all(key.kid is not None for key in keys):
            raise BadToken("not signed by the key that it names")
        raise UnknownKeyId("not signed by the only key that is known")
    claims = _object(body)
    if claims.get("iss") != issuer:
        raise BadToken("of another issuer")
    if _audiences(claims).isdisjoint(audiences):
        raise BadToken("for another audience")
    _check_times(claims, now_ms)
    if "cnf" in claims:
        raise BadToken("bound to a key that was not proved")
    return claims


def _segments(token: str) -> list[str]:
    """Step 1."""
    if len(token) > MOST_CHARACTERS:
        raise BadToken("too long")
    if not _COMPACT.fullmatch(token):
        raise BadToken("not a signed token")
    return token.split(".")


def _object(segment: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(_decoded(segment))
    except orjson.JSONDecodeError as error:
        raise BadToken("not readable") from error
    if not isinstance(value, dict):
        raise BadToken("not readable")
    return value


def _decoded(segment: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error as error:
        raise BadToken("not readable") from error


def _head(head: Mapping[str, Any], algorithms: Collection[Algorithm]) -> tuple[Algorithm, str | None]:
    """Step 2: the algorithm, and the id of the key."""
    alg, kid, kind = head.get("alg"), head.get("kid"), head.get("typ", "JWT")
    algorithm = next((each for each in algorithms if each == alg), None)
    if algorithm is None:
        raise BadToken("signed with an algorithm that is not allowed")
    if "crit" in head or head.get("b64", True) is not True:
        raise BadToken("with an extension that is not understood")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise BadToken("of a type that is not for this use")
    if kid is not None and not isinstance(kid, str):
        raise BadToken("with a key id that is no text")
    return algorithm, kid


def _candidates(kid: str | None, algorithm: Algorithm, keys: Sequence[Key]) -> Sequence[Key]:
    """Step 3."""
    fitting = [key for key in keys if algorithm in key.algorithms]
    named = [key for key in keys if key.kid == kid] if kid is not None else []
    if named:
        found = [key for key in named if algorithm in key.algorithms]
        if not found:
            raise BadToken("signed with an algorithm that is not its key's")
        return found[:_MOST_TRIED]
    # Without ids, a set must have one key of a kind: which one else would it be?
    alone = [key for key in fitting if kid is None or key.kid is None]
    if len(alone) != 1:
        raise UnknownKeyId("signed by a key that is not announced")
    return alone


def _is_signed(what: bytes, signature: bytes, algorithm: Algorithm, keys: Sequence[Key]) -> bool:
    """Step 4, without what else the library would do with a token: read its header a second time, in another way."""
    verifier = _VERIFIERS[algorithm]
    return any(verifier.verify(what, key.jwk.key, signature) for key in keys)


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    """For whom it is: one name, or a list of them. Anything else names nobody."""
    named = claims.get("aud")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list) and all(isinstance(each, str) for each in named):
        return frozenset(named)
    return frozenset()


def _check_times(claims: Mapping[str, Any], now_ms: int) -> None:
    """Step 6."""
    if "exp" not in claims:
        raise BadToken("without an end")
    if not now_ms < moment_ms(claims, "exp") + SKEW_MS:
        raise BadToken("expired")
    for name in ("nbf", "iat"):
        if name in claims and not moment_ms(claims, name) - SKEW_MS <= now_ms:
            raise BadToken("not valid yet")


def moment_ms(claims: Mapping[str, Any], name: str) -> int:
    """A NumericDate, in milliseconds. Raises BadToken when it is none."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise BadToken("with a time that is no time")
    return int(value * 1000)
