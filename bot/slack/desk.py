"""What clicks, modals and commands have in common: who is it, which hold, how long do we have, what do we tell them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.cards import CardView, card_view
from bot.decide import Decider
from bot.directory import Directory, UnknownPerson
from bot.drawer import LARGE_BYTES, Drawer, Posted
from bot.slack import KIND
from bot.slack.channel import INERT
from bot.slack.client import SlackClient
from bot.slack.directory import People
from bot.slack.text import clip_escaped
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a button or modal carries: a hold, and the digest of the text that was shown with it."""

    hold: str
    digest: str

    @classmethod
    def parse(cls, value: Any) -> Shown:
        """``<hold> <digest>``; anything else is no hold.

        Raises:
            NotFound: not a value of ours.
        """
        hold, _, digest = str(value).partition(" ")
        if not hold or not digest or not hold.isalnum():
            raise NotFound("not a value of ours")
        return cls(hold, digest.partition(" ")[0])


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
    drawer: Drawer
    store: Store
    live: Live
    clock: Clock
    link_base: str
    tasks: Tasks

    async def who(self, body: Mapping[str, Any]) -> Reviewer:
        """Who made this callback, verified now.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        user = body.get("user") or {}
        user_id = str(user.get("id") or body.get("user_id") or "")
        installation = await self.client.installation()
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

    async def view(self, hold: Hold, reviewer: Reviewer, *, limit: int | None) -> CardView:
        """``hold`` as this person sees it now; a long one is drawn in a thread, so that nobody else waits."""
        draw = partial(
            card_view, hold, now_ms=self.clock(), link_base=self.link_base,
            masks=self.live.snapshot.policy.masks, viewer=reviewer, limit=limit,
        )  # fmt: skip
        return draw() if len(hold.query.body) < LARGE_BYTES else await asyncio.to_thread(draw)

    async def tell(self, body: Mapping[str, Any], sentence: str) -> None:
        """An ephemeral message to who clicked, where they clicked.

        Raises:
            NotTold: there is no place for it, or Slack did not take it.
        """
        place = posted_at(body)
        if place is None:
            raise NotTold(sentence)
        text = clip_escaped(sentence, 1_500)
        user = body["user"]["id"]
        try:
            await self.client.call("chat.postEphemeral", channel=place.channel, user=user, text=text, **INERT)
        except ChannelError as error:
            raise NotTold(sentence) from error

    def redraw_soon(self, hold_id: str, body: Mapping[str, Any], *, anyway: bool) -> None:
        """Take the clicked copy into the store if nobody knew it; ``anyway``: draw it again even when it was known."""
        place = posted_at(body)
        if place is not None:
            self.tasks.start("slack redraw", self._redraw(hold_id, place, anyway=anyway))

    async def _redraw(self, hold_id: str, place: Posted, *, anyway: bool) -> None:
        try:
            known = (await self.store.cards.all(hold_id)).values()
            if not any((p.channel, p.message) == (place.channel, place.message) for p in known):
                await self.drawer.adopt(hold_id, place)
            elif anyway:
                await self.drawer.redraw(hold_id, place)
        except (ChannelError, StoreUnavailable, NotFound) as error:
            _log.warning("could not redraw: %s", error, extra={"hold": hold_id})


def posted_at(body: Mapping[str, Any]) -> Posted | None:
    """The message that was clicked; None inside a modal."""
    container = body.get("container") or {}
    channel, message = container.get("channel_id"), container.get("message_ts")
    return Posted(str(channel), str(message)) if channel and message else None


@dataclass
class Trouble:
    """What went wrong, as a sentence for the person; empty when all went well. ``stale``: the card is behind."""

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
        trouble.sentence = _sentence(error)
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


def _sentence(error: Exception) -> str:
    text = str(error)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
