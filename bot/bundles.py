"""Cards that stand for several holds, kept true. Platform-free; which holds get on one is decided in placing.py.

Many holds ask for the same card at the same moment: one drawing answers all who asked before it began. What only lists
more holds is drawn seldom, so that a flood does not use up the updates that a decision needs; what has changed is drawn
at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from bot.copies import Copies, Sheet, Showing, gist
from bot.platform import Channel, Rendering
from bot.pressure import Pressure
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable, NotFound
from holdpoint.model import Hold, State
from holdpoint.store import Store
from holdpoint.store.bundles import Bundle

BURST = 3  # drawings of a card that only list more holds, in `BURST_MS` for each target that is pressed
BURST_MS = 5_000
_MOST_ROUNDS = 20
_MOST_REMEMBERED = 1_000


@dataclass
class _Run:
    """The drawings of one bundle: who asked up to ``asked``, who has been answered up to ``done``, and how."""

    asked: int = 0
    done: int = 0
    again: bool = False
    may_post: bool = False
    sent: bool = False
    error: ChannelUnavailable | None = None
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What this process drew last of a bundle, and when it sent something."""

    at_ms: deque[int]
    ids: frozenset[str]
    gists: frozenset[tuple[str, ...]]


class BundleDrawer:
    """Draws bundles. Many holds ask at once: who asks while one drawing runs shares the next one."""

    def __init__(self, store: Store, channel: Channel, copies: Copies, pressure: Pressure, *, clock: Clock) -> None:
        self._store = store
        self._channel = channel
        self._copies = copies
        self._pressure = pressure
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._shown: OrderedDict[str, _Shown] = OrderedDict()

    async def show(self, bundle_id: str, *, may_post: bool, again: bool = False) -> bool:
        """Make the card show its holds as they are now; True when something was sent.

        Raises:
            ChannelUnavailable: not now.
            StoreUnavailable: Redis is lost.
        """
        run = self._runs.setdefault(bundle_id, _Run())
        run.asked += 1
        run.again |= again
        run.may_post |= may_post
        ticket = run.asked
        run.waiting += 1
        try:
            async with run.turn:
                if run.done < ticket:
                    await self._run(bundle_id, run)
            if run.error is not None:
                raise ChannelUnavailable(str(run.error), retry_after_seconds=run.error.retry_after_seconds)
            return run.sent
        finally:
            run.waiting -= 1
            if not run.waiting:
                self._runs.pop(bundle_id, None)

    async def _run(self, bundle_id: str, run: _Run) -> None:
        covered, again, may_post = run.asked, run.again, run.may_post
        run.again = run.may_post = False
        run.error = None
        try:
            run.sent = await self._draw(bundle_id, may_post=may_post, again=again)
        except ChannelUnavailable as error:
            run.sent, run.error = False, error
            run.again |= again
        run.done = covered

    async def _draw(self, bundle_id: str, *, may_post: bool, again: bool) -> bool:
        sent = False
        for _ in range(_MOST_ROUNDS):
            try:
                bundle = await self._store.bundles.get(bundle_id)
            except NotFound:
                return sent  # its retention is over
            holds = await self._store.holds.get_many(bundle.holds)
            if not holds:
                return sent
            self._gather(bundle, holds)
            shown = await self._copies.show(
                self._sheet(bundle, holds), bundle.target,
                new=may_post and any(hold.state is State.PENDING for hold in holds), again=again or sent,
            )  # fmt: skip
            sent, again = sent or shown is Showing.SENT, False
            self._remember(bundle, holds, sent=shown is Showing.SENT)
            if await self._store.bundles.revs([hold.id for hold in holds]) == [hold.rev for hold in holds]:
                return sent
        raise ChannelUnavailable(f"the holds of card {bundle_id} change faster than it can be drawn")

    def _gather(self, bundle: Bundle, holds: list[Hold]) -> None:
        """Draw seldom what only lists more holds, and what has changed at once.

        Raises:
            ChannelUnavailable: not yet.
        """
        before = self._shown.get(bundle.id)
        if before is None or len(before.at_ms) < BURST or before.ids.issuperset(hold.id for hold in holds):
            return
        has_changed = any(gist(hold) not in before.gists for hold in holds if hold.id in before.ids)
        now_ms = self._clock()
        wait_ms = before.at_ms[0] + BURST_MS * self._pressure.pressed() - now_ms
        was_set_back = any(at_ms > now_ms for at_ms in before.at_ms)  # the clock
        if wait_ms > 0 and not has_changed and not was_set_back:
            raise ChannelUnavailable("more holds are gathered for this card", retry_after_seconds=wait_ms / 1000)

    def _remember(self, bundle: Bundle, holds: list[Hold], *, sent: bool) -> None:
        before = self._shown.pop(bundle.id, None)
        at_ms = before.at_ms if before else deque[int](maxlen=BURST)
        if sent:
            at_ms.append(self._clock())
        ids = frozenset(hold.id for hold in holds)
        self._shown[bundle.id] = _Shown(at_ms, ids, frozenset(gist(hold) for hold in holds))
        while len(self._shown) > _MOST_REMEMBERED:
            self._shown.popitem(last=False)

    def _sheet(self, bundle: Bundle, holds: list[Hold]) -> Sheet:
        async def render() -> Rendering:
            return await asyncio.to_thread(self._channel.render_bundle, bundle, holds)

        # Holds only join, and each one's rev only grows.
        return Sheet(bundle.id, sum(hold.rev for hold in holds) + len(holds), tuple(holds), render)
