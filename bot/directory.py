"""Who somebody is: a Holdpoint key, or a chat platform's user, turned into a `Reviewer` as of this moment.

Groups and roles are looked up at every decision (promise 5), from the process's live view, which is never more than a
second old. What a platform says of a person is remembered for a minute, because platforms ration such questions.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from holdpoint import apikey
from holdpoint.clock import Clock
from holdpoint.errors import HoldpointError
from holdpoint.live import Live
from holdpoint.model import KeyRecord, Reviewer

_REMEMBER_MS = 60_000
_MOST = 10_000


class UnknownKey(HoldpointError):
    """No such key, or it was revoked or has expired."""


class UnknownPerson(HoldpointError):
    """The platform does not say who this is. ``str()`` may be shown to the person."""


@dataclass(frozen=True, slots=True)
class PlatformUser:
    """What a platform vouches for. ``groups`` are Holdpoint groups that its own user groups stand for.

    ``aliases`` are other addresses of the person, under which a key or another platform may know them.
    """

    id: str
    email: str
    name: str
    groups: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()


class Platform(Protocol):
    """One chat platform's directory."""

    async def look_up(self, user_id: str) -> PlatformUser | None:
        """The person behind ``user_id``; None when the platform does not know them or keeps their e-mail secret.

        Raises:
            ChannelError: the platform could not be asked.
        """
        ...


class Directory:
    """Identities from keys and platforms."""

    def __init__(self, live: Live, *, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], tuple[int, PlatformUser]] = OrderedDict()

    async def by_key(self, text: str, *, channel: str, address: str = "") -> Reviewer:
        """Who holds the key ``text``.

        Raises:
            UnknownKey: nobody, or not any more.
            StoreUnavailable: the truth cannot be had.
        """
        return await self.by_key_digest(apikey.digest(text), channel=channel, address=address)

    async def by_key_digest(self, digest: str, *, channel: str, address: str = "") -> Reviewer:
        """The same by the key's digest, for a session that was opened with the key."""
        await self._live.ensure_fresh()
        record = self._live.snapshot.keys.get(digest)
        if record is None or not self._is_valid(record):
            raise UnknownKey("unknown, revoked or expired key")
        return self._reviewer(record, channel=channel, address=address)

    async def by_platform(self, platform: Platform, channel: str, user_id: str) -> Reviewer:
        """Who clicked on ``channel`` ("slack").

        Raises:
            UnknownPerson: the platform does not know, or names no e-mail.
            ChannelError: it could not be asked.
            StoreUnavailable: the truth cannot be had.
        """
        user = await self._look_up(platform, channel, user_id)
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        groups = snapshot.groups_of(user.email, user.groups)
        return Reviewer(
            user.email,
            groups,
            snapshot.roles_of(groups),
            channel,
            name=user.name,
            address=user.id,
            aliases=user.aliases,
        )

    def forget(self, channel: str, user_id: str) -> None:
        """Ask the platform again the next time (it said that the person changed)."""
        self._remembered.pop((channel, user_id), None)

    def _reviewer(self, record: KeyRecord, *, channel: str, address: str) -> Reviewer:
        # A key can do what it was made for, and no more: one that its owner gave to a program does not review.
        groups = self._live.snapshot.groups_of(record.principal, record.groups)
        return Reviewer(
            record.principal, groups, record.roles, channel, name=record.name, address=address, owner=record.owner
        )

    def _is_valid(self, record: KeyRecord) -> bool:
        return record.revoked_ms is None and (record.expires_ms is None or self._clock() < record.expires_ms)

    async def _look_up(self, platform: Platform, channel: str, user_id: str) -> PlatformUser:
        now = self._clock()
        found = self._remembered.get((channel, user_id))
        if found is not None and 0 <= now - found[0] < _REMEMBER_MS:
            return found[1]
        user = await platform.look_up(user_id)
        if user is None or not user.email:
            raise UnknownPerson(
                "Your account has no e-mail address that Holdpoint can see, so it cannot tell who you are."
            )
        user = replace(user, email=user.email.lower())
        self._remembered[channel, user_id] = (now, user)
        self._remembered.move_to_end((channel, user_id))
        while len(self._remembered) > _MOST:
            self._remembered.popitem(last=False)
        return user
