"""Passkeys of people (public keys and counters), invitations to add one, and what passkeys are asked to sign.

A credential id belongs to one person for as long as it is stored. A challenge is given out for one purpose and one
person, and taken once, whatever comes of it. Adding, removing, inviting and refusing are recorded with the change.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import EventKind
from holdpoint.store import identity_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script
from holdpoint.store.events import Entry
from holdpoint.store.outbox import Outbox

MOST = 20  # of one person
CHALLENGE_MS = 5 * 60_000
INVITATION_MS = 24 * 3_600_000
_LONGEST_TOKEN = 64

_ADD = Script("add_passkey")
_REMOVE = Script("remove_passkey")
_USE = Script("use_passkey")
_INVITE = Script("invite_passkey")


@dataclass(frozen=True, slots=True)
class Passkey:
    """One credential. ``id`` and ``public_key`` (COSE) are base64url; ``uses`` is the authenticator's own counter."""

    id: str
    principal: str
    public_key: str
    uses: int
    name: str
    created_ms: int
    used_ms: int | None = None
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invitation:
    """``principal`` may add one passkey without a fresh sign-in: ``by``, an admin, vouches for them."""

    principal: str
    by: str


@dataclass(frozen=True, slots=True)
class _Challenge:
    about: str
    by: str


_PASSKEY = TypeAdapter(Passkey)
_INVITATION = TypeAdapter(Invitation)
_CHALLENGE = TypeAdapter(_Challenge)


class Passkeys:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._outbox = Outbox(client)

    async def all(self, principal: str) -> list[Passkey]:
        """Those of one person, oldest first."""
        found = [_PASSKEY.validate_json(raw) for raw in await self._client.command("HVALS", keys.passkeys(principal))]
        return sorted(found, key=lambda each: (each.created_ms, each.id))

    async def get(self, principal: str, credential: str) -> Passkey:
        """One of a person's.

        Raises:
            NotFound: it is not theirs, or nobody's.
        """
        raw = await self._client.command("HGET", keys.passkeys(principal), credential)
        if raw is None:
            raise NotFound("the person has no such passkey")
        return _PASSKEY.validate_json(raw)

    async def add(self, passkey: Passkey, *, invitation: str = "") -> None:
        """Add one, by spending ``invitation`` (the link's secret) where that is what allows for it.

        Raises:
            Conflict: the passkey is somebody's already, the person has too many, or the invitation was used.
        """
        allowed, invited_by = b"", ""
        if invitation:
            allowed, invited = await self._invited(invitation)
            if invited is None or invited.principal != passkey.principal:
                raise Conflict(_WHY[b"gone"])
            invited_by = invited.by
        data = identity_events.passkey_changed(
            principal=passkey.principal, credential=passkey.id, name=passkey.name, invited_by=invited_by
        )
        own = keys.passkeys(passkey.principal)
        answer = await self._client.script(
            _ADD,
            [own, keys.PASSKEY_OWNERS, keys.EVENTS, _invitation_key(invitation) if invitation else own],
            [self._clock(), passkey.id, passkey.principal, to_json(passkey), MOST, allowed, EventKind.PASSKEY_ADDED, data],
        )  # fmt: skip
        if answer != b"ok":
            raise Conflict(_WHY[answer])

    async def remove(self, principal: str, credential: str) -> Passkey:
        """Remove one of a person's.

        Raises:
            NotFound: it is not theirs, or not any more.
        """
        passkey = await self.get(principal, credential)
        data = identity_events.passkey_changed(principal=principal, credential=credential, name=passkey.name)
        answer = await self._client.script(
            _REMOVE,
            [keys.passkeys(principal), keys.PASSKEY_OWNERS, keys.EVENTS],
            [self._clock(), credential, principal, EventKind.PASSKEY_REMOVED, data],
        )
        if answer != b"ok":
            raise NotFound("the person has no such passkey")
        return passkey

    async def used(self, passkey: Passkey, *, uses: int) -> Passkey:
        """Note a use, after which its counter stands at ``uses``.

        Raises:
            Conflict: it was removed, or used by another request, since it was read.
        """
        after = replace(passkey, uses=uses, used_ms=self._clock())
        own = keys.passkeys(passkey.principal)
        seen = await self._client.command("HGET", own, passkey.id)
        is_same = seen is not None and _PASSKEY.validate_json(seen) == passkey
        if not is_same or await self._client.script(_USE, [own], [passkey.id, seen, to_json(after)]) != b"ok":
            raise Conflict("the passkey was used by another request")
        return after

    async def refused(self, passkey: Passkey) -> None:
        """Record that its counter did not move: there may be a copy of it."""
        data = identity_events.passkey_changed(principal=passkey.principal, credential=passkey.id, name=passkey.name)
        entry = Entry("events", EventKind.PASSKEY_REFUSED, passkey.principal, self._clock(), data)
        await self._outbox.append([entry])

    async def invite(self, invitation: Invitation) -> str:
        """The secret of a link with which the person may add one passkey within a day. Only its SHA-256 is stored."""
        token = secrets.token_urlsafe(24)
        await self._client.script(
            _INVITE,
            [_invitation_key(token), keys.EVENTS],
            [self._clock(), invitation.principal, to_json(invitation), EventKind.PASSKEY_INVITED, INVITATION_MS,
             identity_events.passkey_invited(principal=invitation.principal, by=invitation.by)],
        )  # fmt: skip
        return token

    async def invitation(self, token: str) -> Invitation:
        """Whom a link invites.

        Raises:
            NotFound: it was used, has lapsed, or never was one.
        """
        _, invited = await self._invited(token)
        if invited is None:
            raise NotFound("there is no such invitation")
        return invited

    async def _invited(self, token: str) -> tuple[bytes, Invitation | None]:
        """An invitation as it is stored, and what it says; None for none."""
        raw = await self._client.command("GET", _invitation_key(token)) if len(token) <= _LONGEST_TOKEN else None
        return (raw, _INVITATION.validate_json(raw)) if raw else (b"", None)

    async def challenge(self, *, about: str, by: str) -> bytes:
        """32 random bytes for a passkey of ``by`` to sign within five minutes, for one purpose. Only their SHA-256 is stored."""
        made = secrets.token_bytes(32)
        await self._client.command("SET", _challenge_key(made), to_json(_Challenge(about, by)), "PX", CHALLENGE_MS)
        return made

    async def take_challenge(self, challenge: bytes, *, about: str, by: str) -> bool:
        """Whether ``challenge`` was given out for exactly this, and did not come back before. It is spent either way."""
        raw = await self._client.command("GETDEL", _challenge_key(challenge))
        return raw is not None and _CHALLENGE.validate_json(raw) == _Challenge(about, by)


_WHY = {
    b"known": "this passkey is known already",
    b"full": f"nobody has more than {MOST} passkeys: remove one first",
    b"gone": "this invitation was used, or has lapsed",
}


def _invitation_key(token: str) -> str:
    return keys.passkey_invitation(hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest())


def _challenge_key(challenge: bytes) -> str:
    return keys.challenge(hashlib.sha256(challenge).hexdigest())
