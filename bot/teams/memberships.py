"""The policy's groups that somebody in Teams is in by a list of Microsoft's: a team's roster, an Entra group.

What cannot be asked is no membership. Rosters are remembered for a minute, and asked for again when somebody leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from bot.teams.roster import Member
from bot.teams.rosters import RosterBook
from holdpoint.errors import ChannelError
from holdpoint.live import Live

_log = logging.getLogger(__name__)


class EntraGroups(Protocol):
    """What is asked of `bot.teams.graph.Graph`."""

    async def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of ``groups`` (object ids) that the person of that object id is in."""
        ...


class Memberships:
    """Which groups with ``teams_team`` or ``entra_group`` have whom."""

    def __init__(self, book: RosterBook, live: Live, *, home: str, entra: EntraGroups | None) -> None:
        """``home`` is the (lower-case) id of the tenant whose Graph is asked."""
        self._book = book
        self._live = live
        self._home = home
        self._entra = entra

    async def of(self, member: Member) -> frozenset[str]:
        """The policy's groups whose team, or Entra group, has this member now."""
        groups = self._live.snapshot.policy.groups
        teams = {name: group.teams_team for name, group in groups.items() if group.teams_team is not None}
        entra = {name: group.entra_group for name, group in groups.items() if group.entra_group is not None}
        in_entra, *in_teams = await asyncio.gather(
            self._entra_ids(member, sorted(set(entra.values()))), *(self._team(team) for team in teams.values())
        )
        by_team = {name for name, users in zip(teams, in_teams, strict=True) if member.user in users}
        return frozenset(by_team | {name for name, group in entra.items() if group in in_entra})

    async def _team(self, team: str) -> frozenset[str]:
        try:
            return frozenset(
                member.user for member in await self._book.members(team) if member.object and member.tenant
            )
        except ChannelError as error:
            _log.warning("Teams team %s counts as empty: %s", team, error)
            return frozenset()

    async def _entra_ids(self, member: Member, groups: Sequence[str]) -> frozenset[str]:
        # Graph knows the objects of its own tenant; another's person may only be called the same.
        if self._entra is None or not groups or member.tenant != self._home:
            return frozenset()
        try:
            return await self._entra.groups_of(member.object, groups)
        except ChannelError as error:
            _log.warning("Entra groups count as empty: %s", error)
            return frozenset()
