"""Where Teams shows cards: a `bot.platform.Channel` on top of the Bot Connector.

Targets: ``teams:19:…@thread.tacv2`` is a conversation, ``teams:dm:dana@example.com`` the requester's own chat with the
app. A channel that nobody has heard from is looked for before it is refused. A bot cannot search Teams, so a post that was cut off in the middle cannot be found again: a second card may appear
then. The first one, if somebody presses it, is adopted, and both are kept true.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bot.cards import card_view, plain_text
from bot.platform import Found, MessageGone, Posted, Rendering, Reply
from bot.presence import moved_ms, off_sentence
from bot.shared_views import DIGEST_LINES
from bot.teams import KIND
from bot.teams.bundled import bundle_rendering
from bot.teams.connector import Connector
from bot.teams.render import CARD_CHARACTERS, card, dm_card, dm_summary, summary
from bot.teams.threads import ADAPTIVE, Callers, Roster, reply_activity
from bot.teams.viewers import Viewers, viewers_of, with_viewers
from holdpoint.errors import ChannelError
from holdpoint.live import Live
from holdpoint.model import Hold
from holdpoint.store.bundles import Bundle
from holdpoint.store.conversations import Conversation

_DM = f"{KIND}:dm:"

_log = logging.getLogger(__name__)


class Acquaintances(Roster, Protocol):
    """What is asked of `bot.teams.people.People`."""

    async def personal(self, principal: str) -> Conversation:
        """The 1:1 chat with somebody, opened if need be.

        Raises:
            NobodyThere: they do not have the app.
            ChannelUnavailable: not now.
        """
        ...


class Finds(Protocol):
    """What is asked of `bot.teams.channels.Channels`; see there for what it raises."""

    async def find(self, conversation: str) -> Conversation | None:
        """The conversation, where the bot is in it."""
        ...


class TeamsChannel:
    """Posts, updates and removes cards, and speaks in their threads."""

    kind = KIND
    most_listed = DIGEST_LINES

    def __init__(
        self, connector: Connector, people: Acquaintances, channels: Finds, live: Live, *, link_base: str
    ) -> None:
        self._connector = connector
        self._channels = channels
        self._people = people
        self._live = live
        self._link_base = link_base
        self._callers = Callers(people, live)

    def render(self, hold: Hold, target: str) -> Rendering:
        """See `bot.platform.Channel.render`. ``payload``: card, summary, and the people who see a view of their own."""
        view = card_view(
            hold,
            now_ms=hold.created_ms,
            link_base=self._link_base,
            masks=self._live.snapshot.policy.masks,
            limit=CARD_CHARACTERS,
            off=self._off(hold),
        )
        if target.startswith(_DM):
            payload: Mapping[str, Any] = {"card": dm_card(view), "summary": dm_summary(view), "people": {}}
        else:
            payload = {"card": card(view), "summary": summary(view), "people": self._viewers([hold])}
        return Rendering(payload, plain_text(view))

    def render_bundle(self, bundle: Bundle, holds: Sequence[Hold]) -> Rendering:
        """See `bot.platform.Channel.render_bundle`."""
        masks = self._live.snapshot.policy.masks
        people = self._viewers(holds)
        return bundle_rendering(bundle, holds, link_base=self._link_base, masks=masks, people=people, off=self._off)

    def _off(self, hold: Hold) -> str:
        return off_sentence(hold, self._live.snapshot, moved_ms(hold))

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """See `bot.platform.Channel.post`. Nothing in Teams would keep the ``intent`` for `find`."""
        del intent
        if target.startswith(_DM):
            conversation = (await self._people.personal(target.removeprefix(_DM))).id
            # https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages
            more: Mapping[str, Any] = {"channelData": {"notification": {"alert": True}}}
        else:
            conversation, more = target.removeprefix(f"{KIND}:"), {}
        activity = await self._activity(conversation, rendering, **more)
        return Posted(conversation, await self._connector.post(conversation, activity))

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """None: a bot may not read what is said in Teams, its own messages included."""
        del target, intent, since_ms
        return None

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        """None: see `find`. A deleted card is noticed when it is updated."""
        del target, since_ms
        return None

    async def update(self, place: Posted, rendering: Rendering, *, urgent: bool) -> None:
        """See `bot.platform.Channel.update`."""
        activity = await self._activity(place.channel, rendering)
        await self._connector.update(place.channel, place.message, activity, can_wait=not urgent)

    async def reply(self, place: Posted, reply: Reply) -> None:
        """See `bot.platform.Channel.reply`. A reply moves its thread to the channel's end, so that all of them see it."""
        mentions = await self._callers.mentions(reply.calls, conversation=place.channel)
        if not reply.lines and not any(mentions.values()):
            return  # nobody who could be called is here
        can_wait = not (reply.calls or reply.loud)
        activity = reply_activity(reply, mentions)
        await self._connector.reply(place.channel, place.message, activity, can_wait=can_wait)

    async def remove(self, place: Posted) -> None:
        """See `bot.platform.Channel.remove`."""
        try:
            await self._connector.delete(place.channel, place.message)
        except MessageGone:
            return

    async def _activity(self, conversation: str, rendering: Rendering, **more: Any) -> dict[str, Any]:
        """The whole message; where views of the card differ, with those of them that Teams is to fetch by itself."""
        await self._channels.find(conversation)  # from now on the connector knows it, or refuses it
        payload = rendering.payload
        activity = {
            "type": "message",
            "summary": payload["summary"],
            "attachments": [{"contentType": ADAPTIVE, "content": payload["card"]}],
            **more,
        }
        if "refresh" not in payload["card"]:
            return activity
        return with_viewers(activity, await self._members(conversation, payload["people"]))

    async def _members(self, conversation: str, people: Viewers) -> Sequence[str]:
        """Who of ``people`` is in the roster: the requester first, then those who may decide."""
        principals = [*people.get("requester", ()), *people.get("reviewers", ())]
        try:
            return [member for member, _ in await self._people.members_of(conversation, principals)]
        except ChannelError as error:
            # The card is worth more than its personal views; everybody can still ask for theirs in the message's menu.
            _log.info("nobody's view is refreshed: %s", error, extra={"target": f"{KIND}:{conversation}"})
            return []

    def _viewers(self, holds: Sequence[Hold]) -> Viewers:
        snapshot, now_ms = self._live.snapshot, self._live.now_ms()
        found = viewers_of(holds, snapshot.policy.groups)
        if not found or not snapshot.absences:
            return found
        absences = (snapshot.absences.of(member, now_ms) for member in found["reviewers"])
        delegates = [absence.delegate for absence in absences if absence is not None and absence.delegate]
        return {**found, "reviewers": list(dict.fromkeys([*found["reviewers"], *delegates]))}
