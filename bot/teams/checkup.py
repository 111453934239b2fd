"""Does Teams work, and if not, what is to be done? Settings, token, signing keys, conversations, teams, Graph.

::

    settings ─ nothing can be asked? that is all there is to say
      └─▶ signing keys ─ token ─ refused? ─▶ routed conversations ─ groups by team ─ groups by Graph

Only questions are asked; nothing is posted, and nobody notices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bot.platform import AccessLost
from bot.teams import KIND
from bot.teams.channels import Channels
from bot.teams.connector import Connector
from bot.teams.credentials import Credentials
from bot.teams.graph import PERMISSION, Graph, GraphRefused
from bot.teams.openid import SigningKeys
from bot.teams.roster import Member
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.settings import Settings

REACH = "can this machine reach Microsoft? See proxies, and https://status.cloud.microsoft"
ADD = (
    "add the app to its team, or to the chat (Apps → Holdpoint → Add to a team, or to a chat); in a team that serves every "
    "standard channel, but no private or shared one; or correct the route"
)
NOBODY = "00000000-0000-0000-0000-000000000000"

_CONVERSATION = re.compile(r"19:[\w.-]{1,150}@[a-z0-9.]{1,40}|a:[\w-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is looked at. ``graph`` is None where Graph is not asked."""

    settings: Settings
    live: Live
    credentials: Credentials
    keys: SigningKeys
    connector: Connector
    channels: Channels
    graph: Graph | None


async def check_up(parts: Parts) -> list[Finding]:
    """All findings, the most basic first."""
    findings = [*_settings(parts.settings), await _keys(parts.keys)]
    token = await _token(parts.credentials)
    findings.append(token)
    if token.grade is Grade.FAIL:
        return findings  # nothing can be asked of Teams
    snapshot = parts.live.snapshot
    routed = {channel for route in (*snapshot.policy.routes, *snapshot.routes) for channel in route.channels}
    targets = sorted(channel for channel in routed if channel.startswith(f"{KIND}:"))
    findings += [await _conversation(parts, target) for target in targets]
    groups = sorted(snapshot.policy.groups.items())
    teams = {name: group.teams_team for name, group in groups if group.teams_team is not None}
    findings += [await _team(parts, name, team) for name, team in teams.items()]
    entra = {name: group.entra_group for name, group in groups if group.entra_group is not None}
    return [*findings, *await _graph(parts, entra)]


def _settings(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
    if settings.teams_tenant_id:
        findings.append(Finding("teams tenant", Grade.OK, f"people of {settings.teams_tenant_id}"))
    else:
        advice = "set MicrosoftAppTenantId to the tenant of your people, or name tenants under teams in the policy"
        findings.append(Finding("teams tenant", Grade.WARN, "no tenant is home, so nobody counts", advice))
    endpoint = f"{settings.link_base}/api/messages"
    if settings.link_base.startswith("https://"):
        findings.append(
            Finding("teams callbacks", Grade.OK, f"the Azure bot's messaging endpoint has to be {endpoint}")
        )
    else:
        advice = "put the bot behind https, and set HOLDPOINT_PUBLIC_URL to its address there"
        findings.append(
            Finding("teams callbacks", Grade.WARN, f"Teams calls https addresses only, not {endpoint}", advice)
        )
    return findings


async def _keys(keys: SigningKeys) -> Finding:
    check = "teams signing keys"
    try:
        count = await keys.count()
    except ChannelUnavailable as error:
        return Finding(check, Grade.FAIL, str(error), f"callbacks are refused without them; {REACH}")
    return Finding(check, Grade.OK, f"{count} known")


async def _token(credentials: Credentials) -> Finding:
    try:
        await credentials.token()
    except ChannelError as error:
        return Finding("teams", Grade.FAIL, str(error), _advice(error))
    return Finding("teams", Grade.OK, "Microsoft gives the bot its token")


async def _conversation(parts: Parts, target: str) -> Finding:
    """Whether cards can be posted at ``target``."""
    conversation = target.removeprefix(f"{KIND}:")
    if not _CONVERSATION.fullmatch(conversation):
        advice = "write its id, such as 19:…@thread.tacv2; in the channel itself: @Holdpoint route here <group>"
        return Finding(target, Grade.FAIL, "not the id of a conversation", advice)
    try:
        known = await parts.channels.find(conversation)
        if known is None:
            return Finding(target, Grade.FAIL, "the app is not there, and in no team that has such a channel", ADD)
        count = len(await parts.connector.members(conversation))
    except (ChannelError, StoreUnavailable) as error:
        return Finding(target, Grade.FAIL, str(error), ADD if isinstance(error, ChannelRefused) else _advice(error))
    return Finding(target, Grade.OK, f"the app is in {known.name or 'it'}, with {count} people")


async def _team(parts: Parts, name: str, team: str) -> Finding:
    """Whether the members of a team can be asked for, and whether Teams says who they are."""
    check = f"teams group {name}"
    try:
        members = [Member.of(entry) for entry in await parts.connector.members(team)]
    except (ChannelError, StoreUnavailable) as error:
        advice = f"add the app to that team, or correct teams_team of {name}; until then nobody is a member by it"
        return Finding(
            check, Grade.FAIL, f"{team}: {error}", advice if isinstance(error, ChannelRefused) else _advice(error)
        )
    count = sum(bool(member.object and member.tenant) for member in members)
    if not count:
        return Finding(check, Grade.WARN, f"{team} has no members", "add people to the team")
    return Finding(check, Grade.OK, f"{count} in {team}")


async def _graph(parts: Parts, groups: Mapping[str, str]) -> list[Finding]:
    """Whether Graph answers about the Entra groups that the policy names. It is asked about nobody: 404 is an answer."""
    if parts.graph is None:
        advice = "set TEAMS_GRAPH_URL=https://graph.microsoft.com; until then nobody is a member by it"
        said = "Graph is not asked"
        return [Finding(f"teams group {name}", Grade.WARN, said, advice) for name in groups]
    if not groups:
        return []
    try:
        await parts.graph.groups_of(NOBODY, sorted(set(groups.values())))
    except GraphRefused as error:
        if error.status == 404:
            return [Finding("teams graph", Grade.OK, f"answers about {', '.join(groups)}")]
        return [Finding("teams graph", Grade.FAIL, str(error), PERMISSION)]
    except ChannelError as error:
        return [Finding("teams graph", Grade.FAIL, str(error), _advice(error))]
    return [Finding("teams graph", Grade.OK, f"answers about {', '.join(groups)}")]


def _advice(error: Exception) -> str:
    match error:
        case StoreUnavailable():
            return "conversations are in Redis: holdpoint doctor"
        case AccessLost():
            return "correct it, and see docs/teams.md"
        case ChannelUnavailable():
            return REACH
        case _:
            return "see docs/teams.md"
