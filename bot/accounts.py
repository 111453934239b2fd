"""Whom a chat platform says that a user of it is: believed for a minute where they are only shown something.

Where they act, the platform is asked again (docs/linking.md). Who that is to Holdpoint: `bot.directory`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from holdpoint.clock import Clock
from holdpoint.errors import HoldpointError
from holdpoint.linked import address_of

_REMEMBER_MS = 60_000
_MOST = 10_000
NO_ADDRESS = "Your account has no e-mail address that Holdpoint can see, so it cannot tell who you are."
ODD_ADDRESS = "Your account's e-mail address could be taken for another one, so Holdpoint cannot tell who you are."


class UnknownPerson(HoldpointError):
    """The platform does not say who this is. ``str()`` may be shown to the person."""


@dataclass(frozen=True, slots=True)
class PlatformUser:
    """What a platform vouches for. ``groups`` are Holdpoint groups that its own user groups stand for.

    ``aliases`` are other addresses of the person, under which a key or another platform may know them. ``place`` is the
    id of the workspace or tenant that the account belongs to. ``zone`` is the IANA name of their time zone, if it is known.
    """

    id: str
    email: str
    name: str
    groups: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    place: str = ""
    zone: str = ""


class Platform(Protocol):
    """One chat platform's directory."""

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        """The person behind ``user_id``; None when the platform does not know them or keeps their e-mail secret.

        ``fresh``: as the platform says after this call was made; else perhaps as it said within the last minute.

        Raises:
            UnknownPerson: they are nobody to Holdpoint; says why.
            ChannelError: the platform could not be asked.
        """
        ...


class Accounts:
    """What the platforms have said of people."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], tuple[int, PlatformUser]] = OrderedDict()

    async def look_up(self, platform: Platform, channel: str, user_id: str, *, fresh: bool) -> PlatformUser:
        """The user ``user_id`` of ``channel`` ("slack"), with an address in lower case. ``fresh``: see `Platform.look_up`.

        Raises:
            UnknownPerson: the platform does not know, or names no e-mail that could be told from others.
            ChannelError: it could not be asked.
        """
        now = self._clock()
        found = self._remembered.get((channel, user_id))
        if not fresh and found is not None and 0 <= now - found[0] < _REMEMBER_MS:
            return found[1]
        self.forget(channel, user_id)  # what cannot be asked now is not known any more
        user = await platform.look_up(user_id, fresh=fresh)
        if user is None or not user.email:
            raise UnknownPerson(NO_ADDRESS)
        address = address_of(user.email)
        if not address:
            raise UnknownPerson(ODD_ADDRESS)
        user = replace(user, email=address)
        self._remembered[channel, user_id] = (now, user)
        self._remembered.move_to_end((channel, user_id))
        while len(self._remembered) > _MOST:
            self._remembered.popitem(last=False)
        return user

    def forget(self, channel: str, user_id: str) -> None:
        """Ask the platform again the next time."""
        self._remembered.pop((channel, user_id), None)
