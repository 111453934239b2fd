"""Who is signed in to the web inbox. A cookie names a session; the session names the key that it was opened with.

Only the SHA-256 of a cookie is stored, so that whoever reads Redis cannot take over a session. A session gives no right
of its own: at every request its key is looked up again, and a revoked key ends it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass

import orjson

from holdpoint.clock import Clock
from holdpoint.store import keys
from holdpoint.store.client import Client

_FAILURES_WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Session:
    """``key_digest`` names the Holdpoint key; ``csrf`` is what every form of this session has to carry."""

    key_digest: str
    csrf: str
    started_ms: int


class Sessions:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def start(self, key_digest: str, *, ttl_ms: int) -> tuple[str, Session]:
        """A new session: the cookie's value, which is stored nowhere, and the session."""
        cookie = secrets.token_urlsafe(32)
        session = Session(key_digest, secrets.token_urlsafe(24), self._clock())
        await self._client.command("SET", _key(cookie), orjson.dumps(asdict(session)), "PX", ttl_ms)
        return cookie, session

    async def get(self, cookie: str) -> Session | None:
        """The session that a cookie names, while it lasts."""
        raw = await self._client.command("GET", _key(cookie))
        return Session(**orjson.loads(raw)) if raw else None

    async def end(self, cookie: str) -> None:
        """Sign out."""
        await self._client.command("DEL", _key(cookie))

    async def failures(self, address: str) -> int:
        """Failed sign-ins from ``address`` within the running minute."""
        return int(await self._client.command("GET", keys.sign_in_failures(address)) or 0)

    async def failed(self, address: str) -> None:
        """Count one more; the minute starts again."""
        key = keys.sign_in_failures(address)
        await self._client.pipeline([("INCR", key), ("PEXPIRE", key, _FAILURES_WINDOW_MS)])


def _key(cookie: str) -> str:
    return keys.session(hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest())
