"""What a set of JSON Web Keys holds for us (RFC 7517, section 5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

LEAST_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key. ``endorsements`` are the channels that it may speak for ("msteams")."""

    jwk: jwt.PyJWK
    endorsements: frozenset[str]


def usable_keys(keys: object) -> dict[str, SigningKey]:
    """The RSA keys among ``keys`` that are for signatures, by id; whatever else is there is passed over."""
    found: dict[str, SigningKey] = {}
    for value in keys if isinstance(keys, list) else []:
        key = _read(value) if isinstance(value, dict) else None
        if key is not None:
            found[value["kid"]] = key
    return found


def _read(value: Mapping[str, Any]) -> SigningKey | None:
    kid, endorsements = value.get("kid"), value.get("endorsements")
    if not isinstance(kid, str) or not kid or value.get("kty") != "RSA" or value.get("use", "sig") != "sig":
        return None
    if value.get("alg", "RS256") != "RS256" or "d" in value:
        return None
    try:
        jwk = jwt.PyJWK(dict(value), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if jwk.key.key_size < LEAST_BITS:
        return None
    channels = endorsements if isinstance(endorsements, list) else []
    return SigningKey(jwk, frozenset(each for each in channels if isinstance(each, str)))
