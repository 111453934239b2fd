"""What is said in the threads of cards: what happened, each thing once, and whom to call. Platform-free.

::

    a hold was drawn ─▶ soon() ─ a second later, with whatever else is due ─▶ one reply for each card
                                     (store.cards.say: taken once, by one bot)

Cards go first: while a channel is near its limit, its threads wait, and what has piled up becomes one line. The card
itself shows everything, so a reply that was lost in a crash is not said again (at most once, never twice); a stop loses
none. What could not be said for minutes after the end is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bot.copies import STOP_S
from bot.drawer import Drawer
from bot.happenings import Happening, calls, happenings
from bot.platform import Call, Posted, Reply
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, NotFound, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold, Mention
from holdpoint.policy.mask import Masks
from holdpoint.store import CardPlace, Store
from holdpoint.tasks import finished

BATCH_S = 1.0
RETRY_S = 1.0
MOST_LINES = 8  # of one reply; more are summed up
LATE_MS = 120_000  # after the end of a hold
PATIENCE_S = 10.0  # for the card on which to call somebody, before they are called on another one
_BATCH = 50  # holds that are looked at before anything is said

_log = logging.getLogger(__name__)


@dataclass
class _Saying:
    """One reply that is being put together: on which card, what, and what was taken on for it (hold, name)."""

    target: str
    holds: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    loud: bool = False


class Narrator:
    """Speaks in the threads of one platform's cards; in one process at a time. `run` is the task."""

    def __init__(self, store: Store, live: Live, drawer: Drawer, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._drawer = drawer
        self._clock = clock
        self._waits_at: dict[str, frozenset[str]] = {}  # of what is late: the targets where it has to be said
        self._awaits: dict[str, float] = {}  # a card on which to call is on its way: since when, by the loop's time
        self._due: set[str] = set()
        self._unsaid: set[tuple[str, str]] = set()  # taken on (hold, name), and certainly not said
        self._wake = asyncio.Event()

    def soon(self, hold_id: str) -> None:
        """Something may have happened to this hold."""
        self._due.add(hold_id)
        self._wake.set()

    async def run(self) -> None:
        """Speak until cancelled. What a platform or Redis does not take now is said later, if need be by the next `run`."""
        self._awaits.clear()
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
            await self._unsay()

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
        sayings: dict[Posted, _Saying] = {}
        await self._unsay()
        lost: StoreUnavailable | None = None
        try:
            for hold_id in batch:
                if (at := self._waits_at.pop(hold_id, None)) and at <= closed:
                    self._waits_at[hold_id] = at
                    late.add(hold_id)
                elif not await self._collect(hold_id, sayings):
                    late.add(hold_id)
        except StoreUnavailable as error:
            lost = error  # what was taken on by then is said all the same: nobody else would
        targets: dict[str, list[tuple[Posted, _Saying]]] = {}
        for posted, saying in sayings.items():
            if saying.taken:
                targets.setdefault(saying.target, []).append((posted, saying))
        late = late.union(*await asyncio.gather(*(self._say_at(each, targets[each], closed) for each in targets)))
        if lost is not None:
            raise lost
        await self._unsay()
        return late

    async def _collect(self, hold_id: str, sayings: dict[Posted, _Saying]) -> bool:
        """Take on what nobody has said of this hold yet. False when some of it has to wait for a quieter time."""
        try:
            hold = await self._store.holds.get(hold_id)
        except NotFound:
            self._awaits.pop(hold_id, None)
            return True
        places = await self._store.cards.all(hold.id)
        cards = await self._cards(places)
        masks = self._live.snapshot.policy.masks
        done = True
        for target, (posted, place) in cards.items():
            due = await self._due_at(hold, target, place, masks)
            if due and self._drawer.pressure.is_busy(target):
                done = False
                continue
            await self._take(hold, target, due, sayings.setdefault(posted, _Saying(target)))
        for call in calls(hold):
            done &= await self._take_call(hold, call, places, cards, sayings)
        if done:
            self._awaits.pop(hold.id, None)
        return done

    async def _due_at(self, hold: Hold, target: str, place: CardPlace, masks: Masks) -> Sequence[Happening]:
        """What has happened since the hold's card was meant to come to ``target``, said or not; nothing long after the end."""
        due = [each for each in happenings(hold, masks=masks) if each.at_ms is None or each.at_ms > place.intended_ms]
        if await self._store.cards.say(hold.id, [f"{target} begun"]):
            # What has no time of its own stood on the card from its beginning.
            await self._store.cards.say(hold.id, [f"{target} {each.key}" for each in due if each.at_ms is None])
        if hold.closed_ms is not None and self._clock() - hold.closed_ms > LATE_MS and not place.refused:
            return ()
        return due

    async def _take_call(
        self,
        hold: Hold,
        call: Call,
        places: Mapping[str, CardPlace],
        cards: Mapping[str, tuple[Posted, CardPlace]],
        sayings: dict[Posted, _Saying],
    ) -> bool:
        """Take on to call somebody, if nobody has. False while the card on which to call is on its way."""
        where = await self._where(hold, call, places, list(cards))
        if where is None:
            return True
        if where not in cards:
            return False
        saying = sayings.setdefault(cards[where][0], _Saying(where))
        # Not for each target: a call is made once on this platform, wherever the card stands.
        name = f"{self._drawer.kind} {call.key}"
        if await self._store.cards.say(hold.id, [name]):
            saying.holds.add(hold.id)
            saying.calls.append(call)
            saying.taken.append((hold.id, name))
            self._unsaid.add((hold.id, name))
        return True

    async def _take(self, hold: Hold, target: str, due: Sequence[Happening], saying: _Saying) -> None:
        names = {f"{target} {each.key}": each for each in due}
        mine = await self._store.cards.say(hold.id, list(names))
        saying.lines += (each.text for name, each in names.items() if name in mine)
        saying.loud |= any(each.loud for name, each in names.items() if name in mine)
        taken = [(hold.id, name) for name in names if name in mine]
        saying.taken += taken
        self._unsaid.update(taken)
        saying.holds.add(hold.id)

    async def _say_at(self, target: str, sayings: Sequence[tuple[Posted, _Saying]], closed: set[str]) -> set[str]:
        """One reply after the other; returns the holds of which something has to wait.

        No target waits for another one, and where a reply fails the others do not wait for as long as it did.
        """
        late: set[str] = set()
        for posted, saying in sayings:
            if target not in closed and await self._say(posted, saying, closed):
                continue
            late |= saying.holds
            self._waits_at |= dict.fromkeys(saying.holds, frozenset({target}))
        return late

    async def _say(self, posted: Posted, saying: _Saying, closed: set[str]) -> bool:
        """False when it was certainly not said; then it is `_unsay` that gives back what was taken on."""
        self._unsaid.difference_update(saying.taken)  # whoever stops it from here on does not know what was said
        try:
            await self._drawer.channel.reply(posted, Reply(_summed(saying.lines), tuple(saying.calls), saying.loud))
        except ChannelUnavailable as error:
            closed.add(saying.target)
            if error.retry_after_seconds is None:
                _log.info("a reply may be lost: %s", error, extra={"target": saying.target})
                return True
            self._unsaid.update(saying.taken)
            return False
        except StoreUnavailable:  # nobody knows where the card stands, or whom to call: nothing was sent
            closed.add(saying.target)
            self._unsaid.update(saying.taken)
            return False
        except ChannelRefused as error:
            _log.warning("no reply: %s", error, extra={"target": saying.target})
        return True

    async def _unsay(self) -> None:
        """Give back what was taken on, and certainly not said."""
        while self._unsaid:
            hold_id, name = next(iter(self._unsaid))
            await self._store.cards.unsay(hold_id, [name])
            self._unsaid.discard((hold_id, name))

    async def _cards(self, places: Mapping[str, CardPlace]) -> dict[str, tuple[Posted, CardPlace]]:
        """The channels' cards that show a hold, its own or shared ones; not the requester's message."""
        found: dict[str, tuple[Posted, CardPlace]] = {}
        kind = self._drawer.kind
        for target, place in places.items():
            if not target.startswith(f"{kind}:") or target.startswith(f"{kind}:dm:"):
                continue
            shared = await self._store.cards.get(place.bundle, target) if place.bundle else place
            if shared is not None and shared.message:
                found[target] = Posted(shared.channel, shared.message), place
        return found

    async def _where(self, hold: Hold, call: Call, places: Mapping[str, CardPlace], cards: Sequence[str]) -> str | None:
        """On which card to call: who joins has channels of their own; else the first of the route.

        It may be on its way, and is to be waited for then. None: there is none yet at all.
        """
        if not cards:
            return None
        snapshot = self._live.snapshot
        routed = await self._drawer.routed(hold, snapshot)
        if call.reason is Mention.ESCALATION:
            routes = (*snapshot.policy.routes, *snapshot.routes)
            own = {channel for route in routes if route.group in call.groups for channel in route.channels}
            routed.sort(key=lambda target: target not in own)
        comes = [target for target in routed if target in cards or self._is_coming(hold.id, places.get(target))]
        return next(iter([*comes, *cards]))

    def _is_coming(self, hold_id: str, place: CardPlace | None) -> bool:
        now_s = asyncio.get_running_loop().time()
        refused = place is not None and place.refused
        return not refused and now_s - self._awaits.setdefault(hold_id, now_s) < PATIENCE_S


def _batches(hold_ids: Sequence[str]) -> list[Sequence[str]]:
    return [hold_ids[start : start + _BATCH] for start in range(0, len(hold_ids), _BATCH)]


def _summed(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines, equal ones once with their number; beyond a handful, how many there are."""
    counted = [f"{line} (× {count})" if count > 1 else line for line, count in Counter(lines).items()]
    if len(counted) > MOST_LINES:
        return (f"{len(lines)} things happened since. The card shows how each request stands.",)
    return tuple(counted)
