"""Who is in a conversation, which channels a team has, and conversations that the bot opens itself."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from tests.fakes.teams import activities
from tests.fakes.teams.activities import bad
from tests.fakes.teams.things import BOT, BotsFault, Json, Place, Says, personal_id
from tests.fakes.teams.world import World

USUAL_PAGE, MOST_PAGE = 200, 500


def read(world: World, place: Place, operation: str, request: web.Request) -> Json | list[Json]:
    """``member``, ``members`` (all at once, deprecated), ``pagedmembers``, or a team's ``channels``."""
    match operation:
        case "channels":
            return {"conversations": [_channel(each) for each in world.channels(place.team)]}
        case "member":
            person = world.member(place, request.match_info["member"])
            if person is None:
                raise Says(404, "MemberNotFoundInConversation", "Member not found in conversation.")
            return person.member(old=world.old_rosters)
        case "members":
            return [person.member(old=world.old_rosters) for person in world.roster(place)]
        case _:
            return _page(world, place, request.query.get("pageSize"), request.query.get("continuationToken"))


def _channel(place: Place) -> Json:
    """General has no name: https://learn.microsoft.com/microsoftteams/platform/bots/how-to/get-teams-context"""
    return {"id": place.id, "name": None if place.id == place.team else place.name, "type": place.sort}


def _page(world: World, place: Place, size: str | None, token: str | None) -> Json:
    """Chats answer everything at once. https://learn.microsoft.com/microsoftteams/platform/resources/team-chat-member-api-changes"""
    entries = [person.member(old=world.old_rosters) for person in world.roster(place)]
    if size is not None and not size.isdecimal():
        raise bad("pageSize")
    asked = int(size) if size else USUAL_PAGE
    if asked < world.least_page or asked > MOST_PAGE:
        raise BotsFault(400, "BadArgument", f"pageSize must be between {world.least_page} and {MOST_PAGE}")
    start = 0
    if token:
        if not re.fullmatch(r"page-\d+", token):
            raise bad("continuationToken")
        start = int(token.removeprefix("page-"))
    if place.kind != "channel":
        return {"members": entries}
    page: Json = {"members": entries[start : start + asked]}
    if start + asked < len(entries):
        page["continuationToken"] = f"page-{start + asked}"
    return page


def create(world: World, body: Any, region: str) -> Json:
    """A personal chat, or a new thread in a channel; nothing else can be opened."""
    if not isinstance(body, dict):
        raise bad("the body is no object")
    if body.get("isGroup") not in {True, False}:
        raise bad("isGroup")
    bot = body.get("bot", {})
    if not isinstance(bot, dict) or bot.get("id", BOT) not in {BOT, BOT.removeprefix("28:")}:
        raise bad("bot")
    return _thread(world, body, region) if body["isGroup"] else _personal(world, body, region)


def _personal(world: World, body: Json, region: str) -> Json:
    members = body.get("members")
    if not isinstance(members, list) or len(members) != 1 or not isinstance(members[0], dict):
        raise bad("exactly one member")
    member = members[0].get("id")
    data = body.get("channelData") or {}
    tenant = body.get("tenantId") or (data.get("tenant") or {}).get("id")
    if not isinstance(tenant, str) or not tenant:
        raise bad("tenantId is required")
    if not isinstance(member, str) or not member:
        raise bad("the member's id")
    person = next((p for p in world.people.values() if member in {p.id, p.aad} - {""}), None)
    if person is None or person.is_bot:
        raise Says(400, "BadSyntax", "Invalid user identity in provided tenant")
    if person.tenant != tenant:
        raise Says(400, "BadSyntax", "Invalid user identity in provided tenant")
    if person.disabled or not person.installed or person.blocked:
        raise Says(403, "ForbiddenOperationException", "Bot is not installed in user's personal scope.")
    place = world.places[personal_id(person.key)]
    if place.region != region:
        raise Says(404, "ConversationNotFound", "Conversation not found.")
    answer: Json = {"id": place.id}
    if body.get("activity") is not None:
        activities.check(world, place, body["activity"])
        answer["activityId"] = world.put(place.id, body["activity"]).id
    return answer


def _thread(world: World, body: Json, region: str) -> Json:
    channel = ((body.get("channelData") or {}).get("channel") or {}).get("id")
    place = world.places.get(channel) if isinstance(channel, str) else None
    if place is None or place.kind != "channel" or place.region != region or body.get("activity") is None:
        raise bad("Incorrect conversation creation parameters")
    if not place.bot_in:
        raise Says(403, "BotNotInConversationRoster", "The bot is not part of the conversation roster.")
    activities.check(world, place, body["activity"])
    message = world.put(place.id, body["activity"])
    return {"id": f"{place.id};messageid={message.id}", "activityId": message.id}
