"""What a set of JSON Web Keys holds for us (RFC 7517, RFC 7518 section 6, RFC 8037). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from holdpoint.policy.issuers import Algorithm

LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 16_384  # a larger one costs more time than it is worth
_MOST_KEYS = 200
_MOST_KID = 256

_RSA = frozenset({Algorithm.RS256, Algorithm.RS384, Algorithm.RS512, Algorithm.PS256, Algorithm.PS384, Algorithm.PS512})
# Key type and curve → what it can verify. Whatever stands here is asymmetric: a public key is never a shared secret.
_ALGORITHMS: Mapping[tuple[str, str], frozenset[Algorithm]] = {
    ("RSA", ""): _RSA,
    ("EC", "P-256"): frozenset({Algorithm.ES256}),
    ("EC", "P-384"): frozenset({Algorithm.ES384}),
    ("EC", "P-521"): frozenset({Algorithm.ES512}),
    ("OKP", "Ed25519"): frozenset({Algorithm.EDDSA}),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One public key for signatures. ``kid`` is None where its set gives it no id. ``algorithms``: what it may verify."""

    kid: str | None
    jwk: jwt.PyJWK
    algorithms: frozenset[Algorithm]


def usable_keys(keys: object) -> tuple[Key, ...]:
    """The public keys for signatures among ``keys``; whatever else is there is passed over."""
    values = keys[:_MOST_KEYS] if isinstance(keys, list) else []
    found = (_read(value) for value in values if isinstance(value, dict))
    return tuple(key for key in found if key is not None)


def _read(value: Mapping[str, Any]) -> Key | None:
    kid, crv = value.get("kid"), value.get("crv", "")
    algorithms = _algorithms(value.get("kty"), crv, value.get("alg"))
    if not algorithms or not _is_for_signatures(value):
        return None
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MOST_KID):
        return None
    try:
        jwk = jwt.PyJWK(dict(value), algorithm=min(algorithms))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithms <= _RSA and not LEAST_RSA_BITS <= jwk.key.key_size <= _MOST_RSA_BITS:
        return None
    return Key(kid, jwk, algorithms)


def _algorithms(kty: object, crv: object, alg: object) -> frozenset[Algorithm]:
    """What a key of this type verifies: the one that it names itself, or all of its type; none for any other type."""
    if not isinstance(kty, str) or not isinstance(crv, str):
        return frozenset()
    known = _ALGORITHMS.get((kty, crv), frozenset())
    return known if alg is None else frozenset(each for each in known if each == alg)


def _is_for_signatures(value: Mapping[str, Any]) -> bool:
    """Not for encryption, and no private key that somebody published: everybody could sign with that."""
    operations = value.get("key_ops", ["verify"])
    return (
        value.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in value
    )
