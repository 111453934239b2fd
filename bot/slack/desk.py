"""What clicks, modals and commands have in common: who is it, which hold, how long do we have, what do we tell them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.cards import CardView, card_view
from bot.conversation import Conversation
from bot.decide import Decider
from bot.directory import Directory, UnknownPerson
from bot.drawer import LARGE_BYTES, Drawer
from bot.grants import Grants
from bot.platform import Posted
from bot.slack import KIND
from bot.slack.channel import INERT
from bot.slack.client import SlackClient
from bot.slack.directory import People
from bot.slack.forms import notice_blocks
from bot.slack.render import CARD_CHARACTERS
from bot.slack.text import inert
from bot.slack.windows import open_notice
from bot.slack.workspaces import NotInstalled
from bot.withdraw import Withdrawals
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError, DecisionError, NotFound, StoreUnavailable, TooLate, WrongDigest
from holdpoint.live import Live
from holdpoint.model import Hold, Reviewer
from holdpoint.store import Store
from holdpoint.tasks import Tasks

ACT_WITHIN_S = 2.5  # of the three seconds after which Slack shows an error
NOT_RECORDED = "Not recorded: Holdpoint's store does not answer. Try again; what the card shows is what counts."
TOO_SLOW = "Not confirmed: Holdpoint took too long. Look at the card: what it shows is what counts."
SLACK_AWAY = "Not recorded: Slack does not answer Holdpoint's questions about you. Try again."
GONE = "There is no such hold any more."

HOME_CHARACTERS = 400  # of a request's texts in App Home

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a button or modal carries: a hold, the digest of the text that was shown with it, and perhaps a word more."""

    hold: str
    digest: str
    word: str = ""

    @classmethod
    def parse(cls, value: Any) -> Shown:
        """``<hold> <digest>`` or ``<hold> <digest> <word>``; anything else is no hold.

        Raises:
            NotFound: not a value of ours.
        """
        hold, _, rest = str(value).partition(" ")
        digest, _, word = rest.partition(" ")
        if not hold or not digest or not hold.isalnum():
            raise NotFound("not a value of ours")
        return cls(hold, digest, word)


class NotTold(Exception):
    """Nothing was recorded, and the person could not be told in words."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a callback needs."""

    client: SlackClient
    people: People
    directory: Directory
    decider: Decider
    withdrawals: Withdrawals
    conversation: Conversation
    grants: Grants
    drawer: Drawer
    store: Store
    live: Live
    clock: Clock
    link_base: str
    tasks: Tasks

    async def who(self, body: Body) -> Reviewer:
        """Who made this callback, verified now.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        user = body.get("user") or {}
        user_id = str(user.get("id") or body.get("user_id") or "")
        try:
            installation = await self.client.installation_of(user_id)
        except NotInstalled as error:
            raise UnknownPerson("You belong to another Slack workspace, so you cannot decide here.") from error
        team = user.get("team_id") or body.get("team_id") or (body.get("team") or {}).get("id")
        if team != installation.team_id and installation.enterprise_id is None:
            raise UnknownPerson("You belong to another Slack workspace, so you cannot decide here.")
        # `people` remembers for itself, users and user groups separately; on top of that, nothing may grow older.
        self.directory.forget(KIND, user_id)
        return await self.directory.by_platform(self.people, KIND, user_id)

    async def look(self, hold_id: str) -> Hold:
        """The hold as it is now (NotFound, StoreUnavailable), with the policy's masks fresh."""
        await self.live.ensure_fresh()
        return await self.store.holds.get(hold_id)

    async def view(
        self, hold: Hold, reviewer: Reviewer, *, limit: int | None, reveal: bool = False
    ) -> CardView:  # fmt: skip
        """``hold`` as this person sees it now; a long one is drawn in a thread, so that nobody else waits.

        ``reveal``: without the policy's masks; record it first.
        """
        draw = partial(
            card_view, hold, now_ms=self.clock(), link_base=self.link_base,
            masks=self.live.snapshot.policy.masks, viewer=reviewer, limit=limit, reveal=reveal,
        )  # fmt: skip
        return draw() if len(hold.query.body) < LARGE_BYTES else await asyncio.to_thread(draw)

    async def tell(self, body: Body, sentence: str) -> None:
        """Say it to who clicked, and to nobody else: an ephemeral message, or, in App Home and modals, a modal.

        Raises:
            NotTold: Slack did not take it.
        """
        place = posted_at(body)
        try:
            if place is None:
                await open_notice(self.client, body, sentence)
                return
            await self.client.call(
                "chat.postEphemeral", channel=place.channel, user=body["user"]["id"], text=inert(sentence, 1_500),
                blocks=notice_blocks(sentence.splitlines()), **INERT,
            )  # fmt: skip
        except ChannelError as error:
            raise NotTold(sentence) from error

    def redraw_soon(self, owner: str, body: Body, *, anyway: bool) -> None:
        """Take the clicked copy of ``owner`` (a hold, or a bundle of them) into the store if nobody knew it.

        ``anyway``: draw it again even when it was known, and is believed to be true.
        """
        place = posted_at(body)
        if place is not None:
            self.tasks.start("slack redraw", self._redraw(owner, place, anyway=anyway))

    async def _redraw(self, owner: str, place: Posted, *, anyway: bool) -> None:
        try:
            known = (await self.store.cards.all(owner)).values()
            if anyway or not any((p.channel, p.message) == (place.channel, place.message) for p in known):
                await self.drawer.clicked(owner, place, anyway=anyway)
        except (ChannelError, StoreUnavailable, NotFound) as error:
            _log.warning("could not redraw: %s", error, extra={"hold": owner})


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


@dataclass
class Trouble:
    """What went wrong (or has to be said), as sentences for the person; empty when all went well. ``stale``: the card is behind."""

    sentence: str = ""
    stale: bool = False


@asynccontextmanager
async def in_words() -> AsyncIterator[Trouble]:
    """Run the body within Slack's time; what goes wrong stands in the yielded `Trouble` afterwards.

    Only errors that mean something to a person are caught; a bug goes on to Bolt's error handler.
    """
    trouble = Trouble()
    try:
        async with asyncio.timeout(ACT_WITHIN_S):
            yield trouble
    except (DecisionError, UnknownPerson) as error:
        trouble.sentence = sentence(error)
        trouble.stale = isinstance(error, TooLate | WrongDigest)
    except NotFound:
        trouble.sentence = GONE
    except StoreUnavailable:
        trouble.sentence = NOT_RECORDED
    except ChannelError as error:
        _log.warning("a click came to nothing: %s", error)
        trouble.sentence = SLACK_AWAY
    except TimeoutError:
        trouble.sentence = TOO_SLOW


async def answer(desk: Desk, ack: Ack, body: Body, trouble: Trouble, *, about_card: bool = True) -> None:
    """Say "received" to a click after the person was told what went wrong, if anything did. Then its copy is redrawn.

    ``about_card``: the button's value names the hold, or the bundle of holds, whose card was clicked.

    Raises:
        NotTold: they could not be told; unacknowledged, the click shows them Slack's own error.
    """
    if trouble.sentence:
        await desk.tell(body, trouble.sentence)
        if about_card and trouble.sentence != GONE:
            desk.redraw_soon(shown_by(body).hold, body, anyway=trouble.stale)
    await ack()


def sentence(error: Exception) -> str:
    """What an error says, as a whole sentence."""
    text = str(error)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
