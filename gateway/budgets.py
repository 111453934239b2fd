"""What this gateway knows of budgets, and how it asks for the rest: all requests of a moment in one round trip.

::

    spend ─▶ from the shares that it has, at once
    ask ───▶ queue ─▶ one take for all that wait ─▶ Redis ─▶ who passes, who has to wait for how long; further shares

A budget that is much in use gives each gateway a *share*: it is spent in Redis already, and used up here without asking,
within the half second for which it is lent; what is left of it goes back. Who was refused hears so again without asking,
until there may be room.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdpoint.errors import StoreUnavailable
from holdpoint.policy.limits import Budget
from holdpoint.store.limits import Limits, Share, Wish
from holdpoint.tasks import OnDeath, Tasks

_MOST_ASKS = 64  # of one script call: Redis does nothing else meanwhile
_MOST_RETURNS = 256
_RECENT_S = 0.5  # what was used here in so long is likely to be used again
_IDLE_S = 120.0

_log = logging.getLogger(__name__)

Tick = Callable[[], float]


class Account:
    """One budget as it is known here. Times are seconds of the `Tick`."""

    __slots__ = (
        "_before", "_recent", "_since", "budget", "had", "refused_cost", "refused_until", "room_at", "share", "share_until", "slot",
        "touched",
    )  # fmt: skip

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.share = 0  # what is left of it
        self.had = 0
        self.slot = 0
        self.share_until = 0.0
        self.refused_cost = 0
        self.refused_until = 0.0
        self.room_at = 0.0  # no earlier than there is room, as `refused_until` is no later
        self.touched = 0.0
        self._recent = 0
        self._before = 0
        self._since = 0.0

    def used(self, cost: int, now: float) -> None:
        """``cost`` was spent for a request of this gateway."""
        self._roll(now)
        self._recent += cost
        self.touched = now

    def wanted(self, now: float) -> int:
        """What may soon be used here: as much as lately. Nothing for who comes now and then."""
        self._roll(now)
        return max(self._recent, self._before)

    def wish(self, wanted: int) -> Wish:
        """Ends the share: what is left of it goes back."""
        wish = Wish(self.budget, wanted, self.had, self.share, self.slot)
        self.share = self.had = 0
        return wish

    def lend(self, share: Share, asked: float) -> None:
        """The time runs from when it was asked for, so that it ends no later here than there."""
        self.share = self.had = share.amount
        self.slot = share.slot
        self.share_until = asked + share.lasts_ms / 1000

    def _roll(self, now: float) -> None:
        past = now - self._since
        if past >= _RECENT_S:
            self._before = self._recent if past < 2 * _RECENT_S else 0
            self._recent, self._since = 0, now


Charges = Sequence[tuple[Account, int]]
"""What one request costs, by account; none of them twice."""


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room in ``budget`` for another ``wait_ms``."""

    budget: Budget
    wait_ms: int


@dataclass(frozen=True, slots=True)
class _Ask:
    charges: Charges
    answer: asyncio.Future[Full | None]


class Budgets:
    """`start` before use, `stop` at the end."""

    def __init__(self, limits: Limits, *, on_death: OnDeath | None = None, tick: Tick = time.monotonic) -> None:
        """``on_death`` is told when nobody asks any more: then no limited request could pass."""
        self._limits = limits
        self._tick = tick
        self._tasks = Tasks(on_death=on_death)
        self._accounts: dict[Budget, Account] = {}
        self._lent: set[Account] = set()
        self._asks: deque[_Ask] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._ended = False

    def start(self) -> None:
        """Begin to answer."""
        self._tasks.start("limits", self._run())

    async def stop(self) -> None:
        """Answer nothing more, and give back what is left of all shares, if Redis takes it."""
        self._ended = True
        await self._tasks.aclose()
        for account in self._lent:
            account.share_until = 0.0
        try:
            while any(account.share for account in self._lent):
                await self._turn()
        except StoreUnavailable:
            _log.info("shares of budgets were not given back")

    def account(self, budget: Budget) -> Account:
        """What is known of ``budget``."""
        found = self._accounts.get(budget)
        if found is None:
            found = self._accounts[budget] = Account(budget)
            found.touched = self._tick()
        return found

    def forget_idle(self) -> None:
        """Forget what was not used lately. No `Account` may be in use for longer without being asked for again."""
        before = self._tick() - _IDLE_S
        kept = {each.budget: each for each in self._accounts.values() if each.touched > before or each in self._lent}
        self._accounts = kept

    def spend(self, charges: Charges) -> bool:
        """Whether the shares cover ``charges``, which are then spent."""
        now = self._tick()
        for account, cost in charges:
            if account.share < cost or now >= account.share_until:
                return False
        for account, cost in charges:
            account.share -= cost
            account.used(cost, now)
        return True

    def full(self, charges: Charges) -> Full | None:
        """What is known to have no room for ``charges``, without asking."""
        now = self._tick()
        for account, cost in charges:
            if now < account.refused_until and cost == account.refused_cost:
                return Full(account.budget, math.ceil((account.room_at - now) * 1000))
        return None

    async def ask(self, charges: Charges) -> Full | None:
        """Spend ``charges``, all or nothing; None when there was room.

        Raises:
            StoreUnavailable: nobody knows.
        """
        if self._ended:
            raise _unknown()
        answer: asyncio.Future[Full | None] = asyncio.get_running_loop().create_future()
        self._asks.append(_Ask(charges, answer))
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
        return await answer

    async def _run(self) -> None:
        try:
            while True:
                await self._until_wanted()
                try:
                    await self._turn()
                except StoreUnavailable as error:
                    _log.warning("budgets cannot be asked for: %s", error)
        finally:
            self._ended = True
            _fail(self._asks)
            self._asks.clear()

    async def _until_wanted(self) -> None:
        """Until somebody asks, or the time of a share is over."""
        if self._asks:
            return
        self._wanted = asyncio.get_running_loop().create_future()
        self._lent = {account for account in self._lent if account.share}
        ends = min((account.share_until for account in self._lent), default=None)
        await asyncio.wait({self._wanted}, timeout=None if ends is None else max(0.0, ends - self._tick()))

    async def _turn(self) -> None:
        """One round trip for all that wait."""
        asks = [self._asks.popleft() for _ in range(min(len(self._asks), _MOST_ASKS))]
        now = self._tick()
        places: dict[Budget, int] = {}
        accounts: list[Account] = []
        wishes: list[Wish] = []

        def add(account: Account, wanted: int) -> None:
            if account.budget not in places:
                places[account.budget] = len(accounts)
                accounts.append(account)
                wishes.append(account.wish(wanted))

        for ask in asks:
            for account, _ in ask.charges:
                add(account, account.wanted(now))
        for account in [each for each in self._lent if now >= each.share_until and each.share][:_MOST_RETURNS]:
            add(account, 0)
        if not wishes:
            return
        requests = [[(places[account.budget], cost) for account, cost in ask.charges] for ask in asks]
        try:
            taken = await self._limits.take(wishes, requests)
        except BaseException:
            _fail(asks)
            raise
        for account, share in zip(accounts, taken.shares, strict=True):
            self._lent.discard(account)
            if share.amount:
                account.lend(share, now)
                self._lent.add(account)
        for ask, refusal in zip(asks, taken.refusals, strict=True):
            self._answer(ask, None if refusal is None else (accounts[refusal[0]], refusal[1]), now)

    def _answer(self, ask: _Ask, refusal: tuple[Account, int] | None, asked: float) -> None:
        full = None if refusal is None else Full(refusal[0].budget, refusal[1])
        for account, cost in ask.charges:
            if full is None:
                account.used(cost, asked)
            elif account.budget == full.budget:
                account.refused_cost, account.refused_until = cost, asked + full.wait_ms / 1000
                account.room_at = self._tick() + full.wait_ms / 1000
        if not ask.answer.done():
            ask.answer.set_result(full)


def _fail(asks: Iterable[_Ask]) -> None:
    for ask in asks:
        if not ask.answer.done():
            ask.answer.set_exception(_unknown())


def _unknown() -> StoreUnavailable:
    return StoreUnavailable("the limits could not be checked")
