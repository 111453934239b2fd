"""Where Slack shows cards: a `bot.drawer.Channel` on top of the Web API.

Targets: ``slack:C0123`` is a channel, ``slack:dm:dana@example.com`` the requester's own DM. The intent of a post stands
in the message's metadata, which everybody in the workspace may read; it is random and means nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.cards import card_view, plain_text
from bot.drawer import NobodyThere, Posted, Rendering
from bot.slack import KIND
from bot.slack.client import SlackClient, SlackRefused
from bot.slack.directory import People
from bot.slack.render import CARD_CHARACTERS, card_blocks, card_text, dm_blocks, dm_text
from holdpoint.live import Live
from holdpoint.model import Hold

EVENT_TYPE = "holdpoint_card"
_DM = f"{KIND}:dm:"
_HISTORY_PAGE = 200
_HISTORY_PAGES = 10
_CLOCK_SKEW_S = 120  # between this machine and Slack's, when looking for a message by time

INERT = {"parse": "none", "link_names": False}
NO_UNFURL = {"unfurl_links": False, "unfurl_media": False}


class SlackChannel:
    """Posts, finds and updates cards."""

    kind = KIND

    def __init__(self, client: SlackClient, people: People, live: Live, *, link_base: str) -> None:
        self._client = client
        self._people = people
        self._live = live
        self._link_base = link_base

    def render(self, hold: Hold, target: str) -> Rendering:
        """The card, or the requester's message. Times are Slack dates, so that nothing depends on the time."""
        view = card_view(
            hold,
            now_ms=hold.created_ms,
            link_base=self._link_base,
            masks=self._live.snapshot.policy.masks,
            limit=CARD_CHARACTERS,
        )
        if target.startswith(_DM):
            payload: Mapping[str, Any] = {"text": dm_text(view), "blocks": dm_blocks(view)}
        else:
            payload = {"text": card_text(view), "blocks": card_blocks(view)}
        return Rendering(payload, plain_text(view))

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """See `bot.drawer.Channel.post`."""
        channel = await self._channel_of(target)
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"intent": intent}}
        said = await self._client.call(
            "chat.postMessage", channel=channel, metadata=metadata, **INERT, **NO_UNFURL, **rendering.payload
        )
        return Posted(said["channel"], said["ts"])

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """See `bot.drawer.Channel.find`. Without the right to read the channel, nothing is found."""
        channel = await self._channel_of(target)
        oldest = f"{since_ms // 1000 - _CLOCK_SKEW_S}.000000"
        cursor: str | None = None
        for _ in range(_HISTORY_PAGES):
            try:
                page = await self._client.call(
                    "conversations.history", channel=channel, oldest=oldest, limit=_HISTORY_PAGE, cursor=cursor,
                    include_all_metadata="true",
                )  # fmt: skip
            except SlackRefused:
                return None  # a second card is better than none
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                if (
                    metadata.get("event_type") == EVENT_TYPE
                    and metadata.get("event_payload", {}).get("intent") == intent
                ):
                    return Posted(channel, message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
        return None

    async def update(self, place: Posted, rendering: Rendering) -> None:
        """See `bot.drawer.Channel.update`."""
        await self._client.call("chat.update", channel=place.channel, ts=place.message, **INERT, **rendering.payload)

    async def _channel_of(self, target: str) -> str:
        """Slack's id of the channel, or of the bot's DM with the person."""
        if not target.startswith(_DM):
            return target.removeprefix(f"{KIND}:")
        user_id = await self._people.id_of(target.removeprefix(_DM))
        if user_id is None:
            raise NobodyThere("Slack knows nobody with the requester's e-mail address")
        said = await self._client.call("conversations.open", users=user_id)
        channel_id: str = said["channel"]["id"]
        return channel_id
