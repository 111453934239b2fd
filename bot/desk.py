"""What clicks, dialogs and commands of every chat platform have in common: which hold, how long do we have, what do we tell them.

A platform adds who it is that acts, and how they are told (`bot.slack.desk`, `bot.teams.desk`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.accounts import UnknownPerson
from bot.cards import CardView, card_view
from bot.conversation import Conversation
from bot.decide import Decider
from bot.directory import Directory
from bot.drawer import LARGE_BYTES, Drawer
from bot.grants import Grants
from bot.platform import Posted
from bot.presence import off_sentence
from bot.withdraw import Withdrawals
from holdpoint.clock import Clock
from holdpoint.errors import (
    ChannelError,
    DecisionError,
    MayNotDecide,
    NotFound,
    StepUpNeeded,
    StoreUnavailable,
    TooLate,
    WrongDigest,
)
from holdpoint.live import Live
from holdpoint.model import Hold, Reviewer
from holdpoint.store import Store
from holdpoint.tasks import Tasks
from holdpoint.visible import visible

NOT_RECORDED = "Not recorded: Holdpoint's store does not answer. Try again; what the card shows is what counts."
TOO_SLOW = "Not confirmed: Holdpoint took too long. Look at the card: what it shows is what counts."
GONE = "There is no such hold any more."

_LONGEST_ID = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a button or dialog carries: a hold, the digest of the text that was shown with it, and perhaps a word more."""

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
        if not digest or not hold.isascii() or not hold.isalnum() or len(hold) > _LONGEST_ID:
            raise NotFound("not a value of ours")
        return cls(hold, digest, word)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a click needs. ``name`` is the platform's, for logs."""

    name: str
    directory: Directory
    decider: Decider
    drawer: Drawer
    store: Store
    live: Live
    clock: Clock
    link_base: str
    tasks: Tasks

    @property
    def withdrawals(self) -> Withdrawals:
        """Requests that are taken back."""
        return Withdrawals(self.store, clock=self.clock)

    @property
    def conversation(self) -> Conversation:
        """What people say before a decision."""
        return Conversation(self.store, self.live, clock=self.clock)

    @property
    def grants(self) -> Grants:
        """Standing approvals, made and ended."""
        return Grants(self.store, self.live, self.decider, clock=self.clock)

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
            off=off_sentence(hold, self.live.snapshot, self.clock()),
        )  # fmt: skip
        return draw() if len(hold.query.body) < LARGE_BYTES else await asyncio.to_thread(draw)

    def bring_up_to_date(self, owner: str, place: Posted | None, *, anyway: bool, is_card: bool = True) -> None:
        """Take the clicked copy of ``owner`` (a hold, or a bundle of them) into the store if nobody knew it.

        ``anyway``: draw it again even when it was known, and is believed to be true. Without a ``place`` nothing was clicked.
        ``is_card`` is False for the requester's message: one that nobody knows is left to who looks for it.
        """
        if place is not None:
            self.tasks.start(f"{self.name} redraw", self._redraw(owner, place, anyway=anyway, is_card=is_card))

    async def _redraw(self, owner: str, place: Posted, *, anyway: bool, is_card: bool) -> None:
        try:
            known = (await self.store.cards.all(owner)).values()
            is_known = any((p.channel, p.message) == (place.channel, place.message) for p in known)
            if anyway if is_known else is_card:
                await self.drawer.clicked(owner, place, anyway=anyway)
        except (ChannelError, StoreUnavailable, NotFound) as error:
            _log.warning("could not redraw: %s", error, extra={"hold": owner})


@dataclass
class Trouble:
    """What went wrong (or has to be said), as sentences for the person; empty when all went well.

    ``stale``: the card is behind. ``refused``: this person may not do it. ``url``: where they, and nobody else, can go on;
    the sentence does not name it.
    """

    sentence: str = ""
    url: str = ""
    stale: bool = False
    refused: bool = False


@asynccontextmanager
async def in_words(*, within_s: float, away: str) -> AsyncIterator[Trouble]:
    """Run the body within the platform's time; what goes wrong stands in the yielded `Trouble` afterwards.

    ``away`` is said when the platform does not answer our own questions. Only errors that mean something to a person are
    caught; a bug goes on to the platform's error handler.
    """
    trouble = Trouble()
    try:
        async with asyncio.timeout(within_s):
            yield trouble
    except StepUpNeeded as error:
        trouble.sentence, trouble.url = error.NOT_YET, error.url
    except (DecisionError, UnknownPerson) as error:
        trouble.sentence = sentence(error)
        trouble.stale = isinstance(error, TooLate | WrongDigest)
        trouble.refused = isinstance(error, MayNotDecide)
    except NotFound:
        trouble.sentence = GONE
    except StoreUnavailable:
        trouble.sentence = NOT_RECORDED
    except ChannelError as error:
        _log.warning("a click came to nothing: %s", error)
        trouble.sentence = away
    except TimeoutError:
        trouble.sentence = TOO_SLOW


def sentence(error: Exception) -> str:
    """What an error says, as a whole sentence. Names that people give themselves stand in it: nothing hidden is left of them."""
    text = visible(str(error))
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
