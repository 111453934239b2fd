"""What the connector takes as an activity of the bot.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference (Activity) and
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-messages (sizes, mentions)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.teams.cards import card_problems
from tests.fakes.teams.reading import texts_of
from tests.fakes.teams.things import ADAPTIVE, BOT, BotsFault, Json, Place, Says, bare
from tests.fakes.teams.world import World

TYPES = frozenset({"message", "typing"})
FIELDS = frozenset({
    "type", "id", "timestamp", "localTimestamp", "localTimezone", "serviceUrl", "channelId", "from", "conversation",
    "recipient", "textFormat", "attachmentLayout", "text", "speak", "inputHint", "summary", "suggestedActions",
    "attachments", "entities", "channelData", "replyToId", "importance", "locale", "value", "valueType", "callerId",
    "deliveryMode", "expiration",
})  # fmt: skip
TEXTS = ("text", "summary", "locale", "replyToId", "channelId", "serviceUrl", "speak", "id")
OTHER_ATTACHMENTS = frozenset({
    "application/vnd.microsoft.card.hero", "application/vnd.microsoft.card.thumbnail", "text/html", "image/png",
    "application/vnd.microsoft.teams.card.list", "application/vnd.microsoft.teams.card.o365connector",
})  # fmt: skip


def bad(message: str) -> Says:
    return BotsFault(400, "BadSyntax", message)


def utf16_bytes(value: Any) -> int:
    """The size of a JSON value as Teams counts it: UTF-16."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-16-le", "surrogatepass"))


def check(world: World, place: Place, activity: Any) -> None:
    """Raise `Says` 400 or 413 for what Teams would not take or not show."""
    if not isinstance(activity, dict):
        raise bad("the body is not an activity")
    problem = next(_problems(world, place, activity), None)
    if problem is not None:
        raise bad(problem)
    most = world.channel_bytes if place.kind == "channel" else world.chat_bytes
    if utf16_bytes(activity) > most:
        raise BotsFault(413, "MessageSizeTooBig", "Message size too large.")


def _problems(world: World, place: Place, activity: Json) -> Iterator[str]:
    if activity.get("type") not in TYPES:
        yield f"type is {activity.get('type')!r}"
    unknown = activity.keys() - FIELDS
    if unknown:
        yield f"an activity has no {', '.join(sorted(unknown))}"
    for name in TEXTS:
        if not isinstance(activity.get(name, ""), str):
            yield f"{name} is no text"
    if activity.get("textFormat", "markdown") not in {"plain", "markdown", "xml"}:
        yield f"textFormat is {activity['textFormat']!r}"
    yield from _addressing(place, activity)
    attachments = activity.get("attachments", [])
    if not isinstance(attachments, list):
        yield "attachments is no list"
        return
    if activity.get("type") == "message" and not activity.get("text") and not attachments:
        yield "a message has neither text nor attachments"
    if "value" in activity:
        yield "the bot sends no value"
    yield from _mentions(world, place, activity.get("entities", []), str(activity.get("text", "")), "the text")
    for attachment in attachments:
        yield from _attachment(world, place, attachment)


def _addressing(place: Place, activity: Json) -> Iterator[str]:
    sender = activity.get("from", {})
    if not isinstance(sender, dict) or sender.get("id", BOT) != BOT:
        yield "from is not the bot"
    conversation = activity.get("conversation", {})
    if not isinstance(conversation, dict) or bare(str(conversation.get("id", place.id))) != place.id:
        yield "conversation is another one than the address"


def _attachment(world: World, place: Place, attachment: Any) -> Iterator[str]:
    if not isinstance(attachment, dict):
        yield "an attachment is no object"
        return
    kind = attachment.get("contentType")
    if kind == ADAPTIVE:
        card = attachment.get("content")
        yield from card_problems(card)
        if isinstance(card, dict):
            yield from refresh_problems(world, place, card)
            entities = (card.get("msteams") or {}).get("entities", [])
            yield from _mentions(world, place, entities, "\n".join(texts_of(card)), "the card")
    elif kind not in OTHER_ATTACHMENTS:
        yield f"contentType is {kind!r}"


def refresh_problems(world: World, place: Place, card: Json) -> Iterator[str]:
    """userIds must be members, by 29:…; without them every member refreshes, which is only done for up to 60."""
    refresh = card.get("refresh")
    if not isinstance(refresh, dict):
        return
    members = {person.id for person in world.roster(place)}
    if "userIds" in refresh:
        strangers = [each for each in refresh["userIds"] if each not in members]
        if strangers:
            yield f"refresh.userIds: {strangers[0]!r} is not in the roster"
    elif len(members) > 60:
        yield "refresh without userIds in a conversation of more than 60"


def _mentions(world: World, place: Place, entities: Any, text: str, where: str) -> Iterator[str]:
    if not isinstance(entities, list):
        yield "entities is no list"
        return
    ids = {person.id for person in world.roster(place)} | {BOT}
    for entity in entities:
        if not isinstance(entity, dict) or entity.get("type") != "mention":
            continue
        mentioned, words = entity.get("mentioned"), entity.get("text")
        if not isinstance(mentioned, dict) or not mentioned.get("id") or not mentioned.get("name"):
            yield "a mention says not whom"
        elif not isinstance(words, str) or not (words.startswith("<at>") and words.endswith("</at>")):
            yield "a mention's text is not <at>…</at>"
        elif words not in text:
            yield f"the mention {words} is not in {where}"
        elif mentioned["id"] not in ids:
            yield f"who is mentioned is not in the roster: {mentioned['id']}"
