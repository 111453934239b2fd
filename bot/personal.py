"""Routes that lead to one person: while they are away, their delegate's own place stands in for theirs. Knows no platform."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from bot.accounts import UnknownPerson
from holdpoint.absence import Absence
from holdpoint.errors import ChannelRefused
from holdpoint.snapshot import Snapshot


class Personal(Protocol):
    """What a platform knows of people's own places: chats with the bot, mailboxes.

    Both raise `ChannelError` where the platform could not be asked, and `UnknownPerson` for who is nobody to Holdpoint.
    """

    async def whose(self, target: str) -> str:
        """The principal whose own place ``target`` is; empty where it is a channel, or nobody knows."""
        ...

    async def place_of(self, principal: str) -> str:
        """The target that is their own place; empty where they have none."""
        ...


async def redirected(targets: Sequence[str], personal: Personal, snapshot: Snapshot, now_ms: int) -> list[str]:
    """``targets``, but for the own places of people who are away: those of their delegates, or none.

    A delegate to whom nothing is handed on (`bot.absence`) gets no card either. Where nothing would be left, all of them as
    ever. Raises `ChannelUnavailable` where that cannot be found out now.
    """
    found: list[str] = []
    for target in targets:
        absence = snapshot.absences.of(await _asked(personal.whose(target)), now_ms)
        if absence is None:
            found.append(target)
        elif _stands_in(absence, snapshot, now_ms):
            found.append(await _asked(personal.place_of(absence.delegate)))
    return list(dict.fromkeys(filter(None, found))) or list(targets)


def _stands_in(absence: Absence, snapshot: Snapshot, now_ms: int) -> bool:
    """Whether the delegate is there, and may see what the absent person may by the policy's word."""
    is_there = bool(absence.delegate) and snapshot.absences.of(absence.delegate, now_ms) is None
    return is_there and bool(snapshot.groups_of(absence.principal))


async def _asked(question: Awaitable[str]) -> str:
    try:
        return await question
    except (ChannelRefused, UnknownPerson):
        return ""
