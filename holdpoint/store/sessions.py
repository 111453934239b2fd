"""Who is signed in to the web inbox. A cookie names a session; the session names the key or the person it was opened by.

Only the SHA-256 of a cookie is stored, so that whoever reads Redis cannot take over a session. A session gives no right
of its own: at every request its key is looked up again, or its person's groups and issuer (`bot.directory`).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.model import EventKind
from holdpoint.policy.people import canonical
from holdpoint.store import identity_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script

KEY_MS = 12 * 3_600_000
LONGEST_MS = 12 * 3_600_000
IDLE_MS = 3_600_000
_FAILURES_WINDOW_MS = 60_000
_RENEWED_EVERY_MS = 60_000
_CHECK_ALONE_MS = 20_000

_OPEN = Script("open_session")
_END = Script("end_session")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody whom an identity provider vouches for.

    ``groups`` are Holdpoint groups, as the provider's word was read at sign-in; the policy's own are added at every
    request. ``aliases`` are other principals of the same person. ``auth_ms`` is when they last showed the provider that
    it is them, ``acr`` how, in the provider's word.
    """

    principal: str
    name: str
    groups: frozenset[str]
    aliases: frozenset[str]
    issuer: str
    subject: str
    method: str  # "oidc" or "saml"
    auth_ms: int
    acr: str = ""


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider's session needs beside the person.

    ``until_ms`` is the latest end. ``way`` is how they signed in (`bot.web.oidc_checks.Way`), ``terms`` a fingerprint of
    what the policy said of the issuer as the claims were read. ``refresh`` (to ask again) and ``hint`` (to sign out
    there) are locked tokens, or empty.
    """

    until_ms: int
    way: str = ""
    terms: str = ""
    refresh: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """``csrf`` is what every form of this session has to carry. ``id`` names it on pages and on the record; no secret.

    Opened by the Holdpoint key ``key_digest``, or by ``person``. ``idle_ms`` is how long it outlives its last use, 0: it
    does not end by idleness. ``checked_ms`` is when the provider last said that the person is still who they were.
    """

    csrf: str
    started_ms: int
    key_digest: str = ""
    person: SignedIn | None = None
    id: str = ""
    principal: str = ""  # empty in sessions that an older version opened
    ends_ms: int = 0
    idle_ms: int = 0
    checked_ms: int = 0
    address: str = ""
    vouched: Vouched | None = None


_SESSION = TypeAdapter(Session)


class Sessions:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def start(
        self,
        *,
        key_digest: str = "",
        principal: str = "",
        person: SignedIn | None = None,
        vouched: Vouched | None = None,
        address: str = "",
    ) -> tuple[str, Session]:
        """A new session, and its event: the cookie's value, which is stored nowhere, and the session.

        By a key of ``principal``, or by ``person``, as ``vouched``.
        """
        now_ms, cookie = self._clock(), secrets.token_urlsafe(32)
        until_ms = now_ms + (KEY_MS if vouched is None else min(max(vouched.until_ms - now_ms, 1), LONGEST_MS))
        idle_ms = 0 if person is None else IDLE_MS
        session = Session(
            secrets.token_urlsafe(24), now_ms, key_digest, person, id=_digest(cookie)[:16],
            principal=person.principal if person else principal, ends_ms=until_ms, idle_ms=idle_ms, checked_ms=now_ms,
            address=address, vouched=vouched,
        )  # fmt: skip
        await self._client.script(
            _OPEN,
            [_key(cookie), keys.sessions_of(canonical(session.principal)), keys.EVENTS],
            [
                now_ms, to_json(session), _lifetime(session, now_ms), _digest(cookie), until_ms,
                EventKind.SESSION_OPENED, session.id, identity_events.session_opened(session),
            ],
        )  # fmt: skip
        return cookie, session

    async def get(self, cookie: str, *, active: bool = True) -> Session | None:
        """The session that a cookie names, while it lasts. ``active``: somebody uses it, so it is not idle."""
        key = _key(cookie)
        raw, left_ms = await self._client.pipeline([("GET", key), ("PTTL", key)])
        session = _SESSION.validate_json(raw) if raw else None
        now_ms = self._clock()
        if session is None or _is_over(session, now_ms):
            return None
        if active and session.idle_ms:
            lifetime_ms = _lifetime(session, now_ms)
            if lifetime_ms - int(left_ms) > _RENEWED_EVERY_MS:
                await self._client.command("PEXPIRE", key, lifetime_ms)
        return session

    async def check_alone(self, session: Session) -> bool:
        """Whether the caller may ask the provider about the person now: one at a time, and not twice in a moment."""
        answer = await self._client.command("SET", keys.session_check(session.id), 1, "NX", "PX", _CHECK_ALONE_MS)
        return answer is not None

    async def checked(self, cookie: str, session: Session) -> Session:
        """Store what the provider said of the person now. A session that was ended meanwhile stays ended.

        Nobody has used it by that: an idle one ends when it would have.
        """
        session = replace(session, checked_ms=self._clock())
        await self.keep(cookie, session)
        await self._client.command("DEL", keys.session_check(session.id))
        return session

    async def keep(self, cookie: str, session: Session) -> None:
        """Store ``session`` as it is by now, for as long as it would have lasted. One that was ended stays ended."""
        await self._client.command("SET", _key(cookie), to_json(session), "XX", "KEEPTTL")

    async def end(self, cookie: str, *, by: str = "", reason: str = "") -> bool:
        """End a session, with its event. False when it is over already. ``by`` is empty for its own person."""
        return await self._end(_digest(cookie), by=by, reason=reason)

    async def of(self, principal: str) -> list[Session]:
        """The open sessions of ``principal``, the newest first."""
        found = [session for _, session in await self._of(principal)]
        return sorted(found, key=lambda session: -session.started_ms)

    async def end_one(self, principal: str, session_id: str, *, by: str, reason: str) -> bool:
        """End the session ``session_id`` of ``principal``. False when there is no such session."""
        for digest, session in await self._of(principal):
            if session.id == session_id:
                return await self._end(digest, by=by, reason=reason)
        return False

    async def end_all(self, principal: str, *, by: str, reason: str) -> int:
        """End all sessions of ``principal``; how many there were."""
        return sum([await self._end(digest, by=by, reason=reason) for digest, _ in await self._of(principal)])

    async def failures(self, address: str) -> int:
        """Failed sign-ins from ``address`` within the running minute."""
        return int(await self._client.command("GET", keys.sign_in_failures(address)) or 0)

    async def failed(self, address: str) -> None:
        """Count one more; the minute starts again."""
        key = keys.sign_in_failures(address)
        await self._client.pipeline([("INCR", key), ("PEXPIRE", key, _FAILURES_WINDOW_MS)])

    async def _of(self, principal: str) -> list[tuple[str, Session]]:
        """Digest and session, of those that are open."""
        members = await self._client.command("ZRANGE", keys.sessions_of(canonical(principal)), 0, -1)
        digests = [member.decode() for member in members]
        rows = await self._client.pipeline([("GET", keys.session(digest)) for digest in digests]) if digests else []
        found = [(digest, _SESSION.validate_json(raw)) for digest, raw in zip(digests, rows, strict=True) if raw]
        return [(digest, session) for digest, session in found if not _is_over(session, self._clock())]

    async def _end(self, digest: str, *, by: str, reason: str) -> bool:
        raw = await self._client.command("GET", keys.session(digest))
        if raw is None:
            return False
        session = _SESSION.validate_json(raw)
        data = identity_events.session_ended(session, by=by or session.principal, reason=reason)
        answer = await self._client.script(
            _END,
            [keys.session(digest), keys.sessions_of(canonical(session.principal)), keys.EVENTS],
            [self._clock(), digest, EventKind.SESSION_ENDED, session.id, data],
        )
        return bool(answer == b"ok")


def _is_over(session: Session, now_ms: int) -> bool:
    """Whether its end has come, though Redis may have it yet."""
    return 0 < session.ends_ms <= now_ms


def _lifetime(session: Session, now_ms: int) -> int:
    """Milliseconds from now on, unless it is used again."""
    left_ms = max(session.ends_ms - now_ms, 1)
    return min(left_ms, session.idle_ms) if session.idle_ms else left_ms


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _key(cookie: str) -> str:
    return keys.session(_digest(cookie))
