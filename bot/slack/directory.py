"""Who a Slack user is: asked of Slack, remembered for a minute, refused on any doubt (promise 5).

A person is the lower-case e-mail of a full member of the workspace (or organisation) that the app is installed in.
Bots, guests, people of other workspaces, deactivated accounts and unconfirmed addresses decide nothing. Slack's user
groups count as Holdpoint groups where the policy names them (``slack_usergroup``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from bot.directory import PlatformUser, UnknownPerson
from bot.remembered import Remembered
from bot.slack.client import Installation, SlackClient, SlackRefused
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError
from holdpoint.live import Live

_log = logging.getLogger(__name__)


class People:
    """Slack's users and user groups; a `bot.directory.Platform`."""

    def __init__(self, client: SlackClient, live: Live, *, clock: Clock) -> None:
        self._client = client
        self._live = live
        self._users: Remembered[Mapping[str, Any] | None] = Remembered(clock)
        self._ids: Remembered[str | None] = Remembered(clock)
        self._usergroups: Remembered[frozenset[str]] = Remembered(clock)

    async def look_up(self, user_id: str) -> PlatformUser | None:
        """The person behind ``user_id``, with the groups that Slack's user groups stand for; None without an e-mail.

        Raises:
            UnknownPerson: not a full member of this workspace; says what is wrong.
            ChannelError: Slack could not be asked.
        """
        user = await self._users.get(user_id, lambda: self._user(user_id))
        if user is None:
            return None
        why = refusal(user, await self._client.installation_of(user_id))
        if why:
            raise UnknownPerson(why)
        profile = user.get("profile") or {}
        email = str(profile.get("email") or "")
        name = str(profile.get("display_name") or user.get("real_name") or "")
        return PlatformUser(user_id, email.lower(), name, await self._groups(user_id)) if email else None

    async def id_of(self, email: str) -> str | None:
        """The id of the full member with this e-mail, for a DM; None when there is nobody."""
        return await self._ids.get(email, lambda: self._id(email))

    async def _user(self, user_id: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = (await self._client.call("users.info", user=user_id))["user"]
        except SlackRefused as error:
            if error.word in ("user_not_found", "user_not_visible"):
                return None
            raise
        return found

    async def _id(self, email: str) -> str | None:
        for place in await self._client.places():
            try:
                user = (await self._client.call_at(place, "users.lookupByEmail", email=email))["user"]
            except SlackRefused as error:
                if error.word == "users_not_found":
                    continue
                raise
            if not refusal(user, await self._client.installation_of(user["id"])):
                return str(user["id"])
        return None

    async def _groups(self, user_id: str) -> frozenset[str]:
        """The policy's groups whose Slack user group has this member now. What cannot be asked is no membership."""
        linked = {
            name: group.slack_usergroup
            for name, group in self._live.snapshot.policy.groups.items()
            if group.slack_usergroup is not None
        }
        members = await asyncio.gather(*(self._members(usergroup) for usergroup in linked.values()))
        return frozenset(name for name, people in zip(linked, members, strict=True) if user_id in people)

    async def _members(self, usergroup: str) -> frozenset[str]:
        try:
            return await self._usergroups.get(usergroup, lambda: self._list(usergroup))
        except ChannelError as error:
            _log.warning("Slack user group %s counts as empty: %s", usergroup, error)
            return frozenset()

    async def _list(self, usergroup: str) -> frozenset[str]:
        return frozenset((await self._client.call("usergroups.users.list", usergroup=usergroup))["users"])


def refusal(user: Mapping[str, Any], installation: Installation) -> str:
    """Why this Slack user is nobody to Holdpoint; empty for a full member of this workspace or organisation."""
    if user.get("is_bot") or user.get("id") == "USLACKBOT":
        return "Apps and bots cannot decide."
    if user.get("deleted"):
        return "This Slack account is deactivated."
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return "Guests of this Slack workspace cannot decide."
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    is_ours = user.get("team_id") == installation.team_id or (
        installation.enterprise_id is not None and enterprise == installation.enterprise_id
    )
    if user.get("is_stranger") or not is_ours:
        return "You belong to another Slack workspace, so you cannot decide here."
    if user.get("is_email_confirmed") is False:
        return "Your e-mail address is not confirmed in Slack."
    return ""
