"""When something is said in the threads of cards: soon, in batches, and before a bot stops. Platform-free.

::

    a hold was drawn ─▶ soon() ─ a second later, with whatever else is due ─▶ one reply for each card
                                     (store.cards.say: taken once, by one bot)

What is said, on which card, and whom it calls is decided in sayings.py. The card itself shows everything, so a reply that was
lost in a crash is not said again (at most once, never twice); a stop loses none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from bot.copies import STOP_S
from bot.drawer import Drawer
from bot.platform import Posted
from bot.sayings import Saying, Sayings
from holdpoint.clock import Clock
from holdpoint.errors import StoreUnavailable
from holdpoint.live import Live
from holdpoint.store import Store
from holdpoint.tasks import finished

BATCH_S = 1.0
RETRY_S = 1.0
_BATCH = 50  # holds that are looked at before anything is said

_log = logging.getLogger(__name__)


class Narrator:
    """Speaks in the threads of one platform's cards; in one process at a time. `run` is the task."""

    def __init__(self, store: Store, live: Live, drawer: Drawer, *, clock: Clock) -> None:
        self._sayings = Sayings(store, live, drawer, clock=clock)
        self._waits_at: dict[str, frozenset[str]] = {}  # of what is late: the targets where it has to be said
        self._due: set[str] = set()
        self._wake = asyncio.Event()

    def soon(self, hold_id: str) -> None:
        """Something may have happened to this hold."""
        self._due.add(hold_id)
        self._wake.set()

    async def run(self) -> None:
        """Speak until cancelled. What a platform or Redis does not take now is said later, if need be by the next `run`."""
        self._sayings.begin()
        if self._due:
            self._wake.set()
        try:
            await self._speak()
        except asyncio.CancelledError:
            await self._say_the_rest()
            raise

    async def _speak(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(BATCH_S)
            self._wake.clear()
            due, self._due = self._due, set()
            try:
                late = await self.tell(sorted(due))
            except StoreUnavailable as error:
                _log.info("threads wait: %s", error)
                late = due
            except asyncio.CancelledError:
                self._due |= due  # what has been said of it is not said twice
                raise
            if late:
                self._due |= late
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _say_the_rest(self) -> None:
        """What waited for its second, or for a quieter time, when the bot was told to stop: nobody else knows that it is due."""
        due, self._due = self._due, set()
        try:
            async with asyncio.timeout(STOP_S):
                late = await self.tell(sorted(due))
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("replies for %d requests may be lost: %s", len(due), type(error).__name__)
            late = due
        self._due |= late
        await self.give_back()

    async def give_back(self) -> None:
        """While nobody speaks here: leave what was taken on and not said to whoever does, as soon as Redis is there."""
        with suppress(StoreUnavailable):
            await self._sayings.unsay()

    async def be_silent(self) -> None:
        """For a platform without threads: a call is made once, wherever, so who cannot make it must not take it on."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._due.clear()

    async def tell(self, hold_ids: Sequence[str]) -> set[str]:
        """Say what there is to say of these holds; returns those of which something has to wait.

        Raises:
            StoreUnavailable: Redis is lost; nothing is said twice when it is told again.
        """
        late: set[str] = set()
        closed: set[str] = set()  # targets that take no reply now: nothing more is tried there this time
        for batch in _batches(hold_ids):
            # A bot that is told to stop says what it has taken on: nobody else would.
            late |= await finished(self._round(batch, closed), grace_s=STOP_S)
        return late

    async def _round(self, batch: Sequence[str], closed: set[str]) -> set[str]:
        """Collect, and say; returns what has to wait. Targets that take no reply get into ``closed``."""
        late: set[str] = set()
        sayings: dict[Posted, Saying] = {}
        await self._sayings.unsay()
        lost: StoreUnavailable | None = None
        try:
            for hold_id in batch:
                if (at := self._waits_at.pop(hold_id, None)) and at <= closed:
                    self._waits_at[hold_id] = at
                    late.add(hold_id)
                elif not await self._sayings.collect(hold_id, sayings):
                    late.add(hold_id)
        except StoreUnavailable as error:
            lost = error  # what was taken on by then is said all the same: nobody else would
        targets: dict[str, list[tuple[Posted, Saying]]] = {}
        for posted, saying in sayings.items():
            if saying.taken:
                targets.setdefault(saying.target, []).append((posted, saying))
        late = late.union(*await asyncio.gather(*(self._say_at(each, targets[each], closed) for each in targets)))
        if lost is not None:
            raise lost
        await self._sayings.unsay()
        return late

    async def _say_at(self, target: str, sayings: Sequence[tuple[Posted, Saying]], closed: set[str]) -> set[str]:
        """One reply after the other; returns the holds of which something has to wait.

        No target waits for another one, and where a reply fails the others do not wait for as long as it did.
        """
        late: set[str] = set()
        for posted, saying in sayings:
            if target not in closed and await self._sayings.say(posted, saying, closed):
                continue
            late |= saying.holds
            self._waits_at |= dict.fromkeys(saying.holds, frozenset({target}))
        return late


def _batches(hold_ids: Sequence[str]) -> list[Sequence[str]]:
    return [hold_ids[start : start + _BATCH] for start in range(0, len(hold_ids), _BATCH)]
