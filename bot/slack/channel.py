"""Where Slack shows cards: a `bot.platform.Channel` on top of the Web API.

Targets: ``slack:C0123`` is a channel, ``slack:dm:dana@example.com`` the requester's own DM. The intent of a post stands
in the message's metadata, which everybody in the workspace may read; it is random and means nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from bot.cards import card_view, plain_text
from bot.platform import AccessLost, Found, MessageGone, NobodyThere, Posted, Rendering, Reply
from bot.presence import moved_ms, off_sentence
from bot.slack import KIND
from bot.slack.bundled import bundle_rendering
from bot.slack.client import SlackClient, SlackRefused
from bot.slack.digest import MOST_LINES
from bot.slack.directory import People
from bot.slack.dm import dm_blocks, dm_text
from bot.slack.places import is_person, split
from bot.slack.render import CARD_CHARACTERS, card_blocks, card_text
from bot.slack.threads import Callers, reply_payload
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold
from holdpoint.store.bundles import Bundle

EVENT_TYPE = "holdpoint_card"
_DM = f"{KIND}:dm:"
_HISTORY_PAGE = 200
_HISTORY_PAGES = 10
_CLOCK_SKEW_S = 120  # between this machine and Slack's, when looking for a message by time
_UNKNOWN_RETRY_S = 2.0  # when to ask again who somebody is
_LOST_RETRY_S = 30.0  # how often a token that Slack does not accept is tried again
_LOST = frozenset(
    {"token_revoked", "invalid_auth", "account_inactive", "token_expired", "not_authed", "org_login_required"}
)

INERT: Mapping[str, Any] = {"parse": "none", "link_names": False}
NO_UNFURL: Mapping[str, Any] = {"unfurl_links": False, "unfurl_media": False}


class SlackChannel:
    """Posts, finds, updates and removes cards, and speaks in their threads."""

    kind = KIND
    most_listed = MOST_LINES

    def __init__(self, client: SlackClient, people: People, live: Live, *, link_base: str) -> None:
        self._client = client
        self._people = people
        self._live = live
        self._link_base = link_base
        self._callers = Callers(people, live)
        self._directs: dict[str, str] = {}  # user id to the id of the bot's DM with them, which never changes

    def render(self, hold: Hold, target: str) -> Rendering:
        """The card, or the requester's message. Times are Slack dates, so that nothing depends on the time."""
        view = card_view(
            hold,
            now_ms=hold.created_ms,
            link_base=self._link_base,
            masks=self._live.snapshot.policy.masks,
            limit=CARD_CHARACTERS,
            off=self._off(hold),
        )
        if target.startswith(_DM):
            payload: Mapping[str, Any] = {"text": dm_text(view), "blocks": dm_blocks(view)}
        else:
            payload = {"text": card_text(view), "blocks": card_blocks(view)}
        return Rendering(payload, plain_text(view))

    def render_bundle(self, bundle: Bundle, holds: Sequence[Hold]) -> Rendering:
        """See `bot.platform.Channel.render_bundle`."""
        masks = self._live.snapshot.policy.masks
        return bundle_rendering(bundle, holds, link_base=self._link_base, masks=masks, off=self._off)

    def _off(self, hold: Hold) -> str:
        return off_sentence(hold, self._live.snapshot, moved_ms(hold))

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """See `bot.platform.Channel.post`."""
        channel = await self._channel_of(target)
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"intent": intent}}
        said = await self._call(
            "chat.postMessage", channel=channel, metadata=metadata, **INERT, **NO_UNFURL, **rendering.payload
        )
        return Posted(said["channel"], said["ts"])

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """See `bot.platform.Channel.find`. Without the right to read the channel, nothing is found."""
        try:
            async for found in self._cards(target, since_ms=since_ms):
                if found.intent == intent:
                    return found.posted
        except SlackRefused:
            return None  # a second card is better than none
        return None

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        """See `bot.platform.Channel.list`. None, too, where there is more than can be read."""
        if target.startswith(_DM):
            return None
        try:
            return [found async for found in self._cards(target, since_ms=since_ms, whole=True)]
        except ChannelRefused:
            return None

    async def update(self, place: Posted, rendering: Rendering, *, urgent: bool) -> None:
        """See `bot.platform.Channel.update`."""
        await self._call(
            "chat.update", can_wait=not urgent, channel=place.channel, ts=place.message, **INERT, **rendering.payload
        )

    async def reply(self, place: Posted, reply: Reply) -> None:
        """See `bot.platform.Channel.reply`. Who is called must hear of it soon; the rest can wait."""
        try:
            mentions = await self._callers.mentions(reply.calls, place=split(place.channel)[0])
        except ChannelUnavailable as error:
            # Whom to call was not found out, so nothing was said: it may be said again.
            seconds = error.retry_after_seconds or _UNKNOWN_RETRY_S
            raise ChannelUnavailable(str(error), retry_after_seconds=seconds) from error
        if not reply.lines and not any(mentions.values()):
            return  # Slack knows nobody who could be called
        payload = reply_payload(reply, mentions)
        await self._call(
            "chat.postMessage", can_wait=not (reply.calls or reply.loud), channel=place.channel, thread_ts=place.message,
            reply_broadcast=reply.loud or None, **INERT, **NO_UNFURL, **payload,
        )  # fmt: skip

    async def remove(self, place: Posted) -> None:
        """See `bot.platform.Channel.remove`."""
        try:
            await self._call("chat.delete", can_wait=True, channel=place.channel, ts=place.message)
        except MessageGone:
            return

    async def _cards(self, target: str, *, since_ms: int, whole: bool = False) -> AsyncIterator[Found]:
        """Our cards of a channel, newest first. ``whole``: raise `ChannelRefused` rather than leave out the oldest."""
        channel = await self._channel_of(target)
        oldest = f"{since_ms // 1000 - _CLOCK_SKEW_S}.000000"
        cursor: str | None = None
        for _ in range(_HISTORY_PAGES):
            page = await self._call(
                "conversations.history", channel=channel, oldest=oldest, limit=_HISTORY_PAGE, cursor=cursor,
                include_all_metadata="true",
            )  # fmt: skip
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == EVENT_TYPE:
                    intent = str(metadata.get("event_payload", {}).get("intent", ""))
                    yield Found(Posted(channel, message["ts"]), intent)
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        if whole:
            raise ChannelRefused(f"{target} has too many messages to look through")

    async def _channel_of(self, target: str) -> str:
        """Slack's id of the channel, or of the bot's DM with the person: it takes posts for a person's id, but tells nothing."""
        if target.startswith(_DM):
            user_id = await self._people.id_of(target.removeprefix(_DM))
        else:
            user_id = target.removeprefix(f"{KIND}:")
            if not is_person(user_id):
                return user_id
        if user_id is None:
            raise NobodyThere("Slack knows nobody with the requester's e-mail address")
        if user_id not in self._directs:
            said = await self._call("conversations.open", users=user_id)
            self._directs[user_id] = said["channel"]["id"]
        return self._directs[user_id]

    async def _call(self, method: str, /, *, can_wait: bool = False, **arguments: Any) -> Mapping[str, Any]:
        try:
            return await self._client.call(method, can_wait=can_wait, **arguments)
        except SlackRefused as error:
            raise _meaning(error) from error


def _meaning(error: SlackRefused) -> ChannelError:
    """What a refusal means for a copy."""
    if error.word == "message_not_found":
        return MessageGone(str(error))
    if error.word in _LOST:
        return AccessLost(str(error), retry_after_seconds=_LOST_RETRY_S)
    return error
