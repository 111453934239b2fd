"""Headers → requester, from what the process knows. Synchronous; the caller makes sure that it is fresh.

::

    authorization, x-api-key ─ one credential ─┬─ a Holdpoint key: by its digest, in the snapshot
                                               └─ a token: gateway.tokens; `KeysNeeded` when an issuer has to be asked first
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gateway.exchange import Exchange
from gateway.tokens import TokenCallers
from gateway.transport import Request
from holdpoint.errors import Refusal
from holdpoint.key_life import is_valid
from holdpoint.model import KeyRecord, RefusalCode, Requester
from holdpoint.snapshot import Snapshot
from holdpoint.tokens.providers import Providers
from holdpoint.tokens.verify import MOST_CHARACTERS, looks_like_token

_LONGEST_KEY = 512
_MOST_KNOWN = 10_000


class Identifier:
    """Who asks, remembered for as long as the snapshot does not change (keys) or the policy (tokens)."""

    def __init__(self, providers: Providers) -> None:
        self._tokens = TokenCallers(providers)
        self._snapshot: Snapshot | None = None
        self._known: dict[str, _KeyCaller] = {}  # by what ``authorization`` says

    def identify(self, exchange: Exchange, snapshot: Snapshot, now_ms: int) -> None:
        """Write into ``exchange`` who asks: ``requester`` and ``key`` or ``issuer``.

        Raises:
            KeysNeeded: a token, whose issuer has to be asked first: await `ask_issuer`.
            Refusal: 401; without a word on which of the reasons it was, but for a missing or a second credential.
        """
        if snapshot is not self._snapshot:
            self._snapshot, self._known = snapshot, {}
        request = exchange.request
        values = request.headers("authorization")
        alone = values[0] if len(values) == 1 and request.header("x-api-key") is None else ""
        found = self._known.get(alone)
        if found is None:
            is_usual = alone[:7] == "Bearer " and " " not in alone[7:]
            presented = alone[7:] if is_usual else _presented(request)
            if looks_like_token(presented):
                caller = self._tokens.find(presented, snapshot, now_ms)
                exchange.requester, exchange.key, exchange.issuer = caller.requester, "", caller.issuer
                return
            found = _look_up(presented, snapshot)
            if is_usual and len(self._known) < _MOST_KNOWN:  # one key can be said in as many other ways as one likes
                self._known[alone] = found
        if not is_valid(found.record, now_ms):
            raise unknown_key()
        exchange.requester, exchange.key, exchange.issuer = found.requester, found.record.digest, None

    async def ask_issuer(self, request: Request, snapshot: Snapshot, now_ms: int) -> None:
        """What `KeysNeeded` asks for: afterwards the same token can be identified, or refused.

        Raises:
            Refusal: 503, the issuer cannot be asked; 401.
        """
        await self._tokens.ask_issuer(_presented(request), snapshot, now_ms)


@dataclass(frozen=True, slots=True)
class _KeyCaller:
    record: KeyRecord
    requester: Requester


def _look_up(presented: str, snapshot: Snapshot) -> _KeyCaller:
    if len(presented) > _LONGEST_KEY:
        raise unknown_key()
    # Looking up the digest of a random key tells a clock nothing about the key, so no comparison in constant time.
    record = snapshot.keys.get(hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest())
    if record is None:
        raise unknown_key()
    requester = Requester(
        principal=record.principal,
        groups=snapshot.groups_of(record.principal, record.groups),
        owner=record.owner,
        name=record.name,
        key_id=record.id,
    )
    return _KeyCaller(record, requester)


def check_still_known(exchange: Exchange, snapshot: Snapshot, now_ms: int) -> None:
    """Who has waited may still have the answer: the key is valid, or the policy still takes the issuer's word as it did.

    A token that ends while its request waits ends nothing: who asks was established when it came, and on the same
    connection nobody else can have the answer. A new request needs a new token.

    Raises:
        Refusal: 401.
    """
    if exchange.issuer is not None:
        if exchange.issuer not in snapshot.policy.issuers:
            raise _unknown("The issuer of the token is no longer trusted as it was when the request came.")
    elif valid_key(snapshot, exchange.key, now_ms) is None:
        raise _unknown("The API key has expired or was revoked.")


def valid_key(snapshot: Snapshot, digest: str, now_ms: int) -> KeyRecord | None:
    """The key with this digest, when it may be used at ``now_ms``."""
    record = snapshot.keys.get(digest)
    return record if record is not None and is_valid(record, now_ms) else None


def _presented(request: Request) -> str:
    """The one credential that the request carries, as bearer token or as ``x-api-key``, or as both."""
    authorizations, api_keys = request.headers("authorization"), request.headers("x-api-key")
    if len(authorizations) > 1 or len(api_keys) > 1:
        raise _unknown("The request carries a header with its credential twice.")
    found = {value.strip() for value in api_keys}
    for value in authorizations:
        scheme, _, credential = value.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unknown("Use 'Authorization: Bearer' with a Holdpoint key or a token.")
        found.add(credential.strip())
    if not found:
        raise _unknown("Send a Holdpoint key or a token as 'Authorization: Bearer' or as 'x-api-key'.")
    if len(found) > 1:
        raise _unknown("The request carries two different credentials.")
    credential = found.pop()
    if not credential or len(credential) > MOST_CHARACTERS:
        raise unknown_key()
    return credential


def unknown_key() -> Refusal:
    return _unknown("The API key is not known here, has expired or was revoked.")


def _unknown(reason: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_API_KEY, reason, status=401)
