"""What an id token has to be beside signed and valid, and what is asked of a provider. Pure.

The numbers are the steps of `bot.web.oidc_party`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from holdpoint.errors import BadToken, SignInFailed
from holdpoint.policy.groups import Group
from holdpoint.policy.issuers import Issuer
from holdpoint.store.as_json import to_json
from holdpoint.store.sessions import SignedIn
from holdpoint.tokens.grants import Client
from holdpoint.tokens.identity import Identity
from holdpoint.tokens.verify import SKEW_MS, moment_ms

_SCOPES = ("openid", "email", "profile")
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign in: at ``issuer``, as the client that its entry names. ``id`` stands in links."""

    id: str
    issuer: Issuer
    client: Client


def way_of(issuer: Issuer) -> str:
    """A short name of an issuer and of us there, for links and sessions."""
    client = issuer.sign_in.client_id if issuer.sign_in is not None else ""
    return hashlib.sha256(f"{issuer.issuer}\n{client}".encode()).hexdigest()[:16]


def terms_of(issuer: Issuer, groups: Mapping[str, Group]) -> str:
    """A fingerprint of everything by which the policy reads the claims of ``issuer``."""
    claims = {name: group.claims for name, group in groups.items() if group.claims}
    return hashlib.sha256(to_json([issuer, dict(sorted(claims.items()))])).hexdigest()[:16]


def scope_of(issuer: Issuer, announced: Collection[str], *, refreshable: bool) -> str:
    """What to ask for: who it is, and of what the provider announces, groups and a way to ask again."""
    more = ["groups"] if issuer.groups is not None and "groups" in announced else []
    if refreshable and "offline_access" in announced:
        more.append("offline_access")
    return " ".join([*_SCOPES, *more])


def with_query(url: str, fields: Mapping[str, str]) -> str:
    """``url`` with ``fields`` behind what its query has already."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(fields)}"


def check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    """Step 5. Raises BadToken."""
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode("utf-8", "replace"), nonce.encode()):
        raise BadToken("with another nonce")


def check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """Step 5: issued to us, and not to another client that may name us, too (Core 3.1.3.7, 4 and 5). Raises BadToken."""
    audiences, party = claims.get("aud"), claims.get("azp")
    several = isinstance(audiences, list) and len(audiences) > 1
    if (party is not None or several) and party != client_id:
        raise BadToken("issued to another client")


def check_access_token(claims: Mapping[str, Any], id_token: str, access_token: str) -> None:
    """Step 6, for an id token that is verified already (Core 3.1.3.8). Raises BadToken."""
    said = claims.get("at_hash")
    if said is None:
        return
    head = orjson.loads(base64.urlsafe_b64decode(id_token.partition(".")[0] + "=="))
    # EdDSA names no hash; providers take that of Ed25519 itself.
    make = _HASHES.get(str(head["alg"])[-3:], hashlib.sha512)
    half = make(access_token.encode()).digest()
    wanted = base64.urlsafe_b64encode(half[: len(half) // 2]).rstrip(b"=").decode()
    if not isinstance(said, str) or not hmac.compare_digest(said.encode("utf-8", "replace"), wanted.encode()):
        raise BadToken("with another access token")


def authenticated_ms(claims: Mapping[str, Any], *, fresh_ms: int | None, acr: str, now_ms: int) -> int | None:
    """Step 7: when the person showed who they are; None when the provider does not say and nobody asked.

    Raises:
        SignInFailed: it is longer ago than ``fresh_ms``, or was done in another way than ``acr``.
        BadToken: the time is none.
    """
    at_ms = moment_ms(claims, "auth_time") if "auth_time" in claims else None
    if fresh_ms is not None and at_ms is None:
        raise SignInFailed(
            "Your identity provider does not say when you last signed in there, so this cannot confirm it."
        )
    if fresh_ms is not None and at_ms is not None and now_ms - at_ms > fresh_ms + SKEW_MS:
        raise SignInFailed("Your identity provider did not ask you to sign in again. Sign out there, then try again.")
    if acr and claims.get("acr") not in acr.split():
        raise SignInFailed("Your identity provider did not sign you in in the way that is needed here.")
    return at_ms


def person_of(identity: Identity, *, auth_ms: int | None) -> SignedIn:
    """Who is signed in. ``auth_ms`` 0 stands for a time that the provider does not tell: never a recent one."""
    return SignedIn(
        identity.principal, identity.name, identity.groups, identity.aliases, identity.issuer, identity.subject,
        "oidc", auth_ms or 0, identity.acr,
    )  # fmt: skip
