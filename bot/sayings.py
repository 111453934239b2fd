"""What is to be said on each card, and whom to call there: taken on once for ever, put together, said or given back. Platform-free.

::

    collect ─ store.cards.say: taken on, by one bot ─▶ a Saying for each card ─ say ─▶ the thread
                                                                                └─ not taken ─▶ unsay: somebody may take it on

Cards go first: while a channel is near its limit, nothing is taken on there, and what has piled up becomes one line. What
could not be said for minutes after the end is left out. When all this happens is decided in threads.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.drawer import Drawer
from bot.happenings import Happening, calls, happenings
from bot.platform import Call, Posted, Reply
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, NotFound, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold, Mention
from holdpoint.policy.mask import Masks
from holdpoint.store import CardPlace, Store

MOST_LINES = 8  # of one reply; more are summed up
LATE_MS = 120_000  # after the end of a hold
PATIENCE_S = 10.0  # for the card on which to call somebody, before they are called on another one

_log = logging.getLogger(__name__)


@dataclass
class Saying:
    """One reply that is being put together: on which card, what, and what was taken on for it (hold, name)."""

    target: str
    holds: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    loud: bool = False


class Sayings:
    """Of one platform's cards, as one bot says them."""

    def __init__(self, store: Store, live: Live, drawer: Drawer, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._drawer = drawer
        self._clock = clock
        self._awaits: dict[str, float] = {}  # a card on which to call is on its way: since when, by the loop's time
        self._unsaid: set[tuple[str, str]] = set()  # taken on (hold, name), and certainly not said

    def begin(self) -> None:
        """Wait anew for cards that are on their way: another bot may have been at work meanwhile."""
        self._awaits.clear()

    async def collect(self, hold_id: str, sayings: dict[Posted, Saying]) -> bool:
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
            await self._take(hold, target, due, sayings.setdefault(posted, Saying(target)))
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
        sayings: dict[Posted, Saying],
    ) -> bool:
        """Take on to call somebody, if nobody has. False while the card on which to call is on its way."""
        where = await self._where(hold, call, places, list(cards))
        if where is None:
            return True
        if where not in cards:
            return False
        saying = sayings.setdefault(cards[where][0], Saying(where))
        # Not for each target: a call is made once on this platform, wherever the card stands.
        name = f"{self._drawer.kind} {call.key}"
        if await self._store.cards.say(hold.id, [name]):
            saying.holds.add(hold.id)
            saying.calls.append(call)
            saying.taken.append((hold.id, name))
            self._unsaid.add((hold.id, name))
        return True

    async def _take(self, hold: Hold, target: str, due: Sequence[Happening], saying: Saying) -> None:
        names = {f"{target} {each.key}": each for each in due}
        mine = await self._store.cards.say(hold.id, list(names))
        saying.lines += (each.text for name, each in names.items() if name in mine)
        saying.loud |= any(each.loud for name, each in names.items() if name in mine)
        taken = [(hold.id, name) for name in names if name in mine]
        saying.taken += taken
        self._unsaid.update(taken)
        saying.holds.add(hold.id)

    async def say(self, posted: Posted, saying: Saying, closed: set[str]) -> bool:
        """False when it was certainly not said; then it is `unsay` that gives back what was taken on.

        A target that takes no reply now gets into ``closed``.
        """
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

    async def unsay(self) -> None:
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


def _summed(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines, equal ones once with their number; beyond a handful, how many there are."""
    counted = [f"{line} (× {count})" if count > 1 else line for line, count in Counter(lines).items()]
    if len(counted) > MOST_LINES:
        return (f"{len(lines)} things happened since. The card shows how each request stands.",)
    return tuple(counted)
