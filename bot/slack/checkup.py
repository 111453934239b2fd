"""Does Slack work, and if not, what is to be done? Token, scopes, the way in, user groups, and every routed channel.

::

    token ─ refused or away? that is all there is to say
      └─▶ scopes ─ socket ─ other workspaces ─ user groups ─ channels

Only questions are asked; nothing is posted, and nobody notices.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from bot.slack import KIND
from bot.slack.client import SlackClient, SlackRefused
from bot.slack.places import HOME, local
from bot.slack.scopes import BOT_SCOPES
from holdpoint.errors import ChannelError, ChannelUnavailable, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live

INVITE = "in the channel: /invite @Holdpoint"
INSTALL_AGAIN = "install the app again from manifests/slack.json, set its token"
REACH = "can this machine reach Slack? See SLACK_API_URL, proxies and https://status.slack.com"

# Without these Holdpoint works, but for one thing.
OPTIONAL = {
    "channels:history": "a card may appear twice after a crash",
    "groups:history": "a card may appear twice after a crash, in private channels",
    "im:history": "a requester's message may appear twice after a crash",
    "channels:read": "this command cannot look at channels",
    "groups:read": "this command cannot look at private channels",
    "files:write": "statistics come without their picture",
}
_CHANNEL = re.compile(r"(?:[TE][A-Z0-9]+/)?[CG][A-Z0-9]+")


async def check_up(client: SlackClient, live: Live, *, app_client: SlackClient | None = None) -> list[Finding]:
    """All findings, the most basic first. ``app_client`` has the app-level token, where Socket Mode is used."""
    findings = [finding async for finding in _places(client)]
    if app_client is not None:
        findings.append(await _socket(app_client))
    if not any(finding.grade is Grade.OK for finding in findings):
        return findings  # nothing can be asked of Slack
    policy, routes = live.snapshot.policy, live.snapshot.routes
    for name, group in sorted(policy.groups.items()):
        if group.slack_usergroup is not None:
            findings.append(await _user_group(client, name, group.slack_usergroup))
    routed = {channel for route in (*policy.routes, *routes) for channel in route.channels}
    targets = sorted(channel for channel in routed if channel.startswith(f"{KIND}:"))
    return [*findings, *[await _channel(client, target) for target in targets]]


async def _places(client: SlackClient) -> AsyncIterator[Finding]:
    """Token and scopes of every workspace."""
    try:
        places = await client.places()
    except StoreUnavailable as error:
        yield Finding("slack", Grade.FAIL, str(error), "the other workspaces are in Redis: holdpoint doctor")
        places = (HOME,) if client.has_home else ()
    for place in places:
        name = f"slack {place}" if place else "slack"
        try:
            said = await client.call_at(place, "auth.test")
        except ChannelError as error:
            yield Finding(name, Grade.FAIL, str(error), _advice(error))
            continue
        yield Finding(name, Grade.OK, f"{said.get('user', '?')} in {said.get('team', '?')} ({local(said['team_id'])})")
        yield _scopes(f"{name} scopes", await client.scopes_at(place))


def _scopes(check: str, granted: frozenset[str]) -> Finding:
    missing, extra = sorted(BOT_SCOPES - granted), sorted(granted - BOT_SCOPES)
    if not granted:
        return Finding(check, Grade.WARN, "Slack does not name them", "compare them with manifests/slack.json")
    needed = [scope for scope in missing if scope not in OPTIONAL]
    if needed:
        return Finding(check, Grade.FAIL, f"missing: {', '.join(needed)}", INSTALL_AGAIN)
    if missing:
        effects = dict.fromkeys(OPTIONAL[scope] for scope in missing)
        return Finding(check, Grade.WARN, f"missing: {', '.join(missing)} ({'; '.join(effects)})", INSTALL_AGAIN)
    if extra:
        advice = "take them from the app and install it again: a token should not be able to do more than it does"
        return Finding(check, Grade.WARN, f"not used: {', '.join(extra)}", advice)
    return Finding(check, Grade.OK, f"all {len(granted)}, and no other")


async def _socket(app_client: SlackClient) -> Finding:
    """Whether Slack would open a Socket Mode connection."""
    try:
        await app_client.call("apps.connections.open")
    except SlackRefused as error:
        advice = {
            "missing_scope": "give the app-level token the scope connections:write",
            "not_allowed_token_type": "SLACK_APP_TOKEN must be the app-level token (xapp-…), not the bot's",
            "forbidden_team": "the app-level token belongs to an app of another workspace",
        }.get(error.word, "correct SLACK_APP_TOKEN: Basic Information → App-Level Tokens; is Socket Mode switched on?")
        return Finding("slack socket", Grade.FAIL, str(error), advice)
    except ChannelUnavailable as error:
        return Finding("slack socket", Grade.FAIL, str(error), REACH)
    return Finding("slack socket", Grade.OK, "Slack opens connections for callbacks")


async def _user_group(client: SlackClient, name: str, user_group: str) -> Finding:
    check = f"slack group {name}"
    try:
        members = (await client.call("usergroups.users.list", usergroup=user_group))["users"]
    except SlackRefused as error:
        advice = f"correct slack_usergroup of {name} in the policy; until then nobody is a member by it"
        return Finding(check, Grade.FAIL, f"{user_group}: {error}", advice)
    except ChannelError as error:
        return Finding(check, Grade.FAIL, f"{user_group}: {error}", _advice(error))
    if not members:
        return Finding(check, Grade.WARN, f"{user_group} has no members", "add people to the user group in Slack")
    return Finding(check, Grade.OK, f"{len(members)} in {user_group}")


async def _channel(client: SlackClient, target: str) -> Finding:
    """Whether cards can be posted at ``target``."""
    channel = target.removeprefix(f"{KIND}:")
    if not _CHANNEL.fullmatch(channel):
        advice = "write the channel's id: in Slack, View channel details, at the bottom"
        return Finding(target, Grade.FAIL, "not the id of a channel", advice)
    try:
        said = (await client.call("conversations.info", channel=channel))["channel"]
    except SlackRefused as error:
        if error.word == "missing_scope":
            advice = "add channels:read and groups:read to the app, or look whether it is in the channel"
            return Finding(target, Grade.WARN, "cannot be looked at", advice)
        advice = f"{INVITE} if it is private; or correct the route" if error.word == "channel_not_found" else ""
        return Finding(target, Grade.FAIL, str(error), advice or _advice(error))
    except ChannelError as error:
        return Finding(target, Grade.FAIL, str(error), _advice(error))
    name = f"#{said.get('name', '?')}"
    if said.get("is_archived"):
        return Finding(target, Grade.FAIL, f"{name} is archived", "unarchive it, or remove its routes")
    if not said.get("is_member"):
        return Finding(target, Grade.FAIL, f"the app is not in {name}", INVITE)
    return Finding(target, Grade.OK, f"the app is in {name}")


def _advice(error: Exception) -> str:
    if isinstance(error, ChannelUnavailable):
        return "ask again later" if error.retry_after_seconds is not None else REACH
    word = error.word if isinstance(error, SlackRefused) else ""
    if word in (
        "invalid_auth",
        "not_authed",
        "not_allowed_token_type",
        "account_inactive",
        "token_revoked",
        "token_expired",
    ):
        return "set SLACK_BOT_TOKEN to the Bot User OAuth Token (xoxb-…); install the app again if it was removed"
    return INSTALL_AGAIN if word == "missing_scope" else "see docs/slack.md"
