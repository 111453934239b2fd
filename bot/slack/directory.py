"""Who a Slack user is: asked of Slack, refused on any doubt (promise 5). Answers are remembered for a minute; who acts is
asked for again, at most one call for each act.

A person is the lower-case e-mail of a full member of the workspace (or organisation) that the app is installed in.
Bots, guests, people of other workspaces, deactivated accounts and unconfirmed addresses decide nothing. Should two accounts
of a workspace have the same address, it is the one's that Slack names for it, and nobody's where it names neither. Slack's user
groups count as Holdpoint groups where the policy names them (``slack_usergroup``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from bot.accounts import PlatformUser, UnknownPerson
from bot.remembered import Remembered
from bot.slack import KIND
from bot.slack.client import Installation, SlackClient, SlackRefused
from bot.slack.places import local, split
from bot.slack.workspaces import NotInstalled
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError
from holdpoint.linked import address_of
from holdpoint.live import Live
from holdpoint.model import Account

MOST_OWNERS = 10_000
TWICE = "Another account of this Slack workspace has the same e-mail address, so Holdpoint cannot tell who you are."

_log = logging.getLogger(__name__)


class People:
    """Slack's users and user groups; a `bot.accounts.Platform`."""

    def __init__(self, client: SlackClient, live: Live, *, clock: Clock) -> None:
        self._client = client
        self._live = live
        self._users: Remembered[Mapping[str, Any] | None] = Remembered(clock)
        self._ids: Remembered[str | None] = Remembered(clock)
        self._usergroups: Remembered[frozenset[str]] = Remembered(clock)
        self._owners: OrderedDict[tuple[str, str], str] = OrderedDict()  # workspace and e-mail: who had it last

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        """The person behind ``user_id``, with the groups that Slack's user groups stand for; None without an e-mail.

        ``fresh``: as Slack says now; user groups, which Slack rations, within the last minute in any case.

        Raises:
            UnknownPerson: not a full member of this workspace; says what is wrong.
            ChannelError: Slack could not be asked.
        """
        user = await self._users.get(user_id, lambda: self._user(user_id), fresh=fresh)
        if user is None:
            return None
        installation = await self._client.installation_of(user_id)
        why = refusal(user, installation)
        if why:
            raise UnknownPerson(why)
        email, name = _email(user), _name(user)
        if not email:
            return None
        await self._refuse_second(user_id, email)
        groups, zone = await self._groups(user_id), str(user.get("tz") or "")
        return PlatformUser(user_id, email, name, groups, place=_place(installation), zone=zone)

    def forget(self, user_id: str) -> None:
        """Slack says that something about them has changed: ask again the next time."""
        self._users.forget(user_id)

    def forget_group(self, usergroup: str) -> None:
        """Slack says that the members of a user group (its id, without a workspace) have changed."""
        for group in self._live.snapshot.policy.groups.values():
            if group.slack_usergroup is not None and local(group.slack_usergroup) == local(usergroup):
                self._usergroups.forget(group.slack_usergroup)

    async def id_of(self, principal: str) -> str | None:
        """The id of the account that is ``principal``, for a DM: linked, or a full member with this e-mail; None for nobody."""
        linked = self._live.snapshot.linked
        for link in linked.accounts_of(principal, KIND):
            try:
                user = await self.look_up(link.user_id)
            except (UnknownPerson, NotInstalled):
                continue
            if user is not None and link.is_of(_account(user)):
                return link.user_id
        user_id = await self._ids.get(principal, lambda: self._id(principal))
        if user_id is None or linked.of(KIND, user_id) is None:
            return user_id
        # Whose address it is may be somebody else by a link; then it is not to them that this is to be said.
        user = await self.look_up(user_id)
        return user_id if user is not None and linked.principal_of(_account(user)) == principal else None

    async def knows(self, principal: str) -> bool:
        """Whether some account here is ``principal`` (ChannelError)."""
        return await self.id_of(principal) is not None

    async def _refuse_second(self, user_id: str, email: str) -> None:
        """Raise `UnknownPerson` where another account had this address, and it has not passed on to this one."""
        key = (split(user_id)[0], email)
        if self._owners.setdefault(key, user_id) != user_id:
            try:
                found = (await self._client.call_at(key[0], "users.lookupByEmail", email=email))["user"]
            except SlackRefused as error:
                raise UnknownPerson(TWICE) from error
            if found["id"] != user_id:
                raise UnknownPerson(TWICE)
            self._owners[key] = user_id
        self._owners.move_to_end(key)
        while len(self._owners) > MOST_OWNERS:
            self._owners.popitem(last=False)

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


def _email(user: Mapping[str, Any]) -> str:
    """Their address as a principal; empty for none, as it stands where it is no usable one (the directory refuses it)."""
    said = str((user.get("profile") or {}).get("email") or "")
    return address_of(said) or said


def _name(user: Mapping[str, Any]) -> str:
    return str((user.get("profile") or {}).get("display_name") or user.get("real_name") or "")


def _place(installation: Installation) -> str:
    """The organisation, where there is one: its people are the same in all of its workspaces."""
    return installation.enterprise_id or installation.team_id


def _account(user: PlatformUser) -> Account:
    return Account(KIND, user.place, user.id, user.name, user.email)


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
