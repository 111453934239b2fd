"""What a request is found again by, when it comes back to its hold."""

from __future__ import annotations

import hashlib

from holdpoint.model import Requester


def fingerprint(requester: Requester, connection: str, what: str) -> str:
    """Who, to which model, and the digest or Idempotency-Key."""
    joined = "\x00".join((requester.principal, requester.owner or "", connection, what))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()
