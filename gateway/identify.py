"""Headers → requester, from what the process knows. Synchronous; the caller makes sure that it is fresh."""

from __future__ import annotations

import hashlib

from gateway.transport import Request
from holdpoint.errors import Refusal
from holdpoint.live import Snapshot
from holdpoint.model import KeyRecord, RefusalCode, Requester

_LONGEST_KEY = 512
_MOST_KNOWN = 10_000


class Identifier:
    """Key → requester, remembered for as long as the snapshot does not change; only keys that are known are."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._known: dict[str, tuple[KeyRecord, Requester]] = {}  # by what ``authorization`` says

    def identify(self, request: Request, snapshot: Snapshot, now_ms: int) -> tuple[Requester, str]:
        """The requester, and the digest of the key.

        Raises:
            Refusal: 401; without a word on which of the reasons it was, but for a missing or a second key.
        """
        if snapshot is not self._snapshot:
            self._snapshot, self._known = snapshot, {}
        values = request.headers("authorization")
        alone = values[0] if len(values) == 1 and request.header("x-api-key") is None else ""
        found = self._known.get(alone)
        if found is None:
            found = self._look_up(request, snapshot)
            if alone and len(self._known) < _MOST_KNOWN:
                self._known[alone] = found
        record, requester = found
        if not _is_valid(record, now_ms):
            raise _unknown("The API key is not known here, has expired or was revoked.")
        return requester, record.digest

    def _look_up(self, request: Request, snapshot: Snapshot) -> tuple[KeyRecord, Requester]:
        # Looking up the digest of a random key tells a clock nothing about the key, so no comparison in constant time.
        record = snapshot.keys.get(hashlib.sha256(_presented(request)).hexdigest())
        if record is None:
            raise _unknown("The API key is not known here, has expired or was revoked.")
        requester = Requester(
            principal=record.principal,
            groups=snapshot.groups_of(record.principal, record.groups),
            owner=record.owner,
            name=record.name,
            key_id=record.id,
        )
        return record, requester


def valid_key(snapshot: Snapshot, digest: str, now_ms: int) -> KeyRecord | None:
    """The key with this digest, when it may be used at ``now_ms``."""
    record = snapshot.keys.get(digest)
    return record if record is not None and _is_valid(record, now_ms) else None


def _is_valid(record: KeyRecord, now_ms: int) -> bool:
    return record.revoked_ms is None and (record.expires_ms is None or now_ms < record.expires_ms)


def _presented(request: Request) -> bytes:
    """The one key that the request carries, as bearer token or as ``x-api-key``."""
    keys = {value.strip() for value in request.headers("x-api-key")}
    for value in request.headers("authorization"):
        scheme, _, key = value.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unknown("Use 'Authorization: Bearer' with a Holdpoint key.")
        keys.add(key.strip())
    if not keys:
        raise _unknown("Send a Holdpoint key as 'Authorization: Bearer' or as 'x-api-key'.")
    if len(keys) > 1:
        raise _unknown("The request carries two different API keys.")
    key = keys.pop()
    if not key or len(key) > _LONGEST_KEY:
        raise _unknown("The API key is not known here, has expired or was revoked.")
    return key.encode("utf-8", "surrogateescape")


def _unknown(reason: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_API_KEY, reason, status=401)
