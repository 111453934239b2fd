"""What clicks, modals and commands in Slack have in common: who is it, and how are they told. See `bot.desk` for the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from bot import desk
from bot.accounts import UnknownPerson
from bot.desk import GONE, Shown, Trouble, sentence
from bot.platform import Posted
from bot.slack import ANSWER, CANCEL, JUSTIFY, KIND
from bot.slack.channel import INERT
from bot.slack.client import SlackClient
from bot.slack.directory import People
from bot.slack.forms import notice_blocks
from bot.slack.render import CARD_CHARACTERS
from bot.slack.text import inert
from bot.slack.windows import open_notice
from bot.slack.workspaces import NotInstalled
from holdpoint.errors import ChannelError
from holdpoint.model import Reviewer

__all__ = ["GONE", "Ack", "Act", "Body", "Desk", "NotTold", "Shown", "Trouble", "answer", "in_words", "sentence"]

ACT_WITHIN_S = 2.5  # of the three seconds after which Slack shows an error
SLACK_AWAY = "Not recorded: Slack does not answer Holdpoint's questions about you. Try again."

HOME_CHARACTERS = 400  # of a request's texts in App Home
_REQUESTERS = frozenset({ANSWER, CANCEL, JUSTIFY})  # buttons of the requester's message

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]


class NotTold(Exception):
    """Nothing was recorded, and the person could not be told in words."""


@dataclass(frozen=True, slots=True)
class Desk(desk.Desk):
    """Everything that a callback needs."""

    client: SlackClient
    people: People

    async def who(self, body: Body) -> Reviewer:
        """Who made this callback, as Slack says now.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        return await self._known(body, fresh=True)

    async def known(self, body: Body) -> Reviewer:
        """Who looks at something, as of a minute ago at most; nothing is decided by it.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        return await self._known(body, fresh=False)

    async def _known(self, body: Body, *, fresh: bool) -> Reviewer:
        user = body.get("user") or {}
        user_id = str(user.get("id") or body.get("user_id") or "")
        try:
            installation = await self.client.installation_of(user_id)
        except NotInstalled as error:
            raise UnknownPerson("You belong to another Slack workspace, so you cannot decide here.") from error
        team = user.get("team_id") or body.get("team_id") or (body.get("team") or {}).get("id")
        if team != installation.team_id and installation.enterprise_id is None:
            raise UnknownPerson("You belong to another Slack workspace, so you cannot decide here.")
        return await self.directory.by_platform(self.people, KIND, user_id, fresh=fresh)

    async def tell(self, body: Body, sentence: str, url: str = "") -> None:
        """Say it to who clicked, and to nobody else: an ephemeral message, or, in App Home and modals, a modal.

        ``url``: where they can go on, as a button.

        Raises:
            NotTold: Slack did not take it.
        """
        place = posted_at(body)
        try:
            if place is None:
                await open_notice(self.client, body, sentence, url)
                return
            await self.client.call(
                "chat.postEphemeral", channel=place.channel, user=body["user"]["id"], text=inert(sentence, 1_500),
                blocks=notice_blocks(sentence.splitlines(), url), **INERT,
            )  # fmt: skip
        except ChannelError as error:
            raise NotTold(sentence) from error

    def redraw_soon(self, owner: str, body: Body, *, anyway: bool) -> None:
        """Bring the copy that was clicked up to date (see `bot.desk.Desk.bring_up_to_date`)."""
        is_card = not any(action.get("action_id") in _REQUESTERS for action in body.get("actions") or ())
        self.bring_up_to_date(owner, posted_at(body), anyway=anyway, is_card=is_card)


Act = Callable[[Desk, Ack, Body], Awaitable[None]]


def shown_by(body: Body) -> Shown:
    """What the pressed button carries (NotFound: nothing of ours)."""
    return Shown.parse(body["actions"][0].get("value"))


def limit_at(body: Body) -> int:
    """How many characters of a request the place shows in which the button was pressed."""
    return HOME_CHARACTERS if posted_at(body) is None else CARD_CHARACTERS


def posted_at(body: Body) -> Posted | None:
    """The message that was clicked; None in App Home and inside a modal."""
    container = body.get("container") or {}
    channel, message = container.get("channel_id"), container.get("message_ts")
    return Posted(str(channel), str(message)) if channel and message else None


def in_words() -> AbstractAsyncContextManager[Trouble]:
    """Run the body within Slack's time (see `bot.desk.in_words`)."""
    return desk.in_words(within_s=ACT_WITHIN_S, away=SLACK_AWAY)


async def answer(at: Desk, ack: Ack, body: Body, trouble: Trouble, *, about_card: bool = True) -> None:
    """Say "received" to a click after the person was told what went wrong, if anything did. Then its copy is redrawn.

    ``about_card``: the button's value names the hold, or the bundle of holds, whose card was clicked.

    Raises:
        NotTold: they could not be told; unacknowledged, the click shows them Slack's own error.
    """
    if trouble.sentence:
        await at.tell(body, trouble.sentence, trouble.url)
        if about_card and trouble.sentence != GONE:
            at.redraw_soon(shown_by(body).hold, body, anyway=trouble.stale)
    await ack()
