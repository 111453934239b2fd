"""One hold → every copy of its card on one platform shows it. Idempotent; safe with several bots and after a crash.

::

    wanted targets ∪ known copies ─▶ a place each (placing.py) ─┬─ its own card ─▶ copies.Copies
                                                                └─ shared ───────▶ bundles.BundleDrawer
    then: has the hold moved meanwhile? from the top
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bot.bundles import BundleDrawer
from bot.copies import SETTLED_AFTER_MS, Copies, PostLimited, Sheet, Showing
from bot.personal import Personal, redirected
from bot.placing import Placing
from bot.platform import Channel, NobodyThere, Posted, Rendering
from bot.pressure import Pressure
from bot.telling import Telling
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable, NotFound
from holdpoint.live import Live
from holdpoint.model import Hold, State
from holdpoint.snapshot import Snapshot
from holdpoint.store import CardPlace, Store
from holdpoint.store.bundles import is_bundle
from holdpoint.store.quiet import Quiet

__all__ = ["LARGE_BYTES", "NEWS_MS", "SETTLED_AFTER_MS", "Channel", "Drawer", "NobodyThere", "Posted", "Rendering"]

NEWS_MS = 10 * 60_000  # a requester hears of a hold that ended before its DM could be posted for so long
LARGE_BYTES = 64 * 1024  # a body that is worth a thread, so that drawing it holds nobody up
MOST_ROUNDS = 20  # of redrawing a hold that keeps moving; its next event brings it back

Prepare = Callable[[Hold], Awaitable[Hold]]

_log = logging.getLogger(__name__)


class Drawer:
    """Draws the holds of one platform. ``prepare`` is asked once, before the first card of a hold, for what it shows.

    ``instead_of``: the chats that could not reach the requester before it is tried here, see `bot.telling`. ``personal``:
    which routes lead to one person, see `bot.personal`; None where none do.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        channel: Channel,
        *,
        clock: Clock,
        prepare: Prepare | None = None,
        instead_of: frozenset[str] | None = None,
        personal: Personal | None = None,
    ) -> None:
        self.kind = channel.kind
        self.channel = channel
        self.pressure = Pressure(clock)
        self._store = store
        self._live = live
        self._clock = clock
        self._prepare = prepare
        self._personal = personal
        self._telling = Telling(store, channel.kind, instead_of=instead_of)
        self.copies = Copies(store, channel, clock=clock)
        self._placing = Placing(store, channel, self.copies, self.pressure, clock=clock)
        self._bundles = BundleDrawer(store, channel, self.copies, self.pressure, clock=clock)

    async def draw(self, hold_id: str, *, may_post: bool = True) -> None:
        """Make every copy show the hold as it is now. Only one drawer at a time may post new copies (see `Notifier`).

        Raises:
            ChannelUnavailable: at least one copy could not be drawn; the others were.
            StoreUnavailable: Redis is lost; draw again.
        """
        sent: set[str] = set()
        for _ in range(MOST_ROUNDS):
            try:
                hold = await self._store.holds.get(hold_id)
            except NotFound:
                return  # its retention is over
            # What this drawer sent in an earlier round may have overtaken what another one sent since, whatever the
            # store says is shown: those copies are sent again.
            sent |= await self._draw(hold, may_post=may_post, again=frozenset(sent))
            try:
                if (await self._store.holds.get(hold_id)).rev == hold.rev:
                    return
            except NotFound:
                return
        raise ChannelUnavailable(f"hold {hold_id} changes faster than its cards can be drawn")

    async def clicked(self, owner: str, posted: Posted, *, anyway: bool) -> None:
        """Somebody pressed a button of this message, which is that of a hold or bundle: bring the copies up to date.

        A message that nobody knew is taken into the store. ``anyway``: send it again even if it is believed to be true.
        """
        if await self._knows(owner, posted):
            await (self.redraw(owner, posted) if anyway else self._draw_owner(owner))
        else:
            await self.adopt(owner, posted)

    async def adopt(self, hold_id: str, posted: Posted) -> None:
        """Take a copy that nobody knows (its place was lost, or not noted yet) into the store, and bring the copies up to date."""
        if not is_bundle(hold_id) and not await self._knows(hold_id, posted):
            target = f"{self.kind}:{posted.channel}"
            if (there := await self._store.cards.get(hold_id, target)) is not None and (there.message or there.bundle):
                target, there = f"{target}:{posted.message}", None
            known = there or CardPlace(intent="", intended_ms=self._clock())
            place = replace(known, channel=posted.channel, message=posted.message, refused="")
            await self._store.cards.posted(hold_id, target, place=place)
            _log.warning("adopted a card that nobody knew", extra={"hold": hold_id, "target": target})
        await self._draw_owner(hold_id)

    async def redraw(self, hold_id: str, posted: Posted) -> None:
        """Bring the copies up to date, this one even when it is believed to be."""
        for owner in await self._owners(hold_id):
            for target, place in (await self._store.cards.all(owner)).items():
                if (place.channel, place.message) == (posted.channel, posted.message):
                    await self._store.cards.posted(owner, target, place=replace(place, shown=""))
        await self._draw_owner(hold_id)

    async def _draw_owner(self, owner: str) -> None:
        if is_bundle(owner):
            await self._bundles.show(owner, may_post=False)
        else:
            await self.draw(owner, may_post=False)

    async def _owners(self, owner: str) -> list[str]:
        """A hold and the bundles that it is on, or the bundle."""
        places = (await self._store.cards.all(owner)).values()
        return [owner, *(place.bundle for place in places if place.bundle)]

    async def _knows(self, owner: str, posted: Posted) -> bool:
        known = await self._store.cards.all_of(await self._owners(owner))
        return any(
            (place.channel, place.message) == (posted.channel, posted.message)
            for places in known
            for place in places.values()
        )

    async def _draw(self, hold: Hold, *, may_post: bool, again: frozenset[str]) -> set[str]:
        """One round over all copies; returns the targets to which something was sent."""
        # Not `ensure_fresh`: a route that was added a moment before this hold must not miss its card for good.
        await self._live.look()
        places = {t: p for t, p in (await self._store.cards.all(hold.id)).items() if t.startswith(f"{self.kind}:")}
        if not may_post:
            targets, wanted = [t for t, place in places.items() if place.message or place.bundle], set[str]()
        else:
            news = await self._wanted(hold, self._live.snapshot)
            targets, wanted = [*places, *(target for target in news if target not in places)], set(news)
            if self._prepare is not None and targets and not any(place.message for place in places.values()):
                hold = await self._prepare(hold)
        results = await asyncio.gather(
            *(self._show(hold, t, places, new=t in wanted, may_post=may_post, again=t in again) for t in targets),
            return_exceptions=True,
        )
        unavailable: list[ChannelUnavailable] = []
        for result in results:
            if isinstance(result, ChannelUnavailable):
                unavailable.append(result)
            elif isinstance(result, BaseException):
                raise result
        if unavailable:
            # The soonest: what still waits for longer is refused once more without asking the platform.
            raise min(unavailable, key=lambda error: error.retry_after_seconds or 0)
        return {target for target, result in zip(targets, results, strict=True) if result is True}

    async def _wanted(self, hold: Hold, snapshot: Snapshot) -> list[str]:
        """Where a copy should be that is not there yet: cards while somebody may decide, the DM while it is news."""
        dm = await self._wanted_dm(hold)
        if hold.state is not State.PENDING:
            is_news = hold.closed_ms is None or self._clock() - hold.closed_ms < NEWS_MS
            # Broken glass is for everybody to see, also where it was broken before the card could be posted.
            loud = await self.routed(hold, snapshot) if any(done.glass for done in hold.decisions) else []
            return [*loud, *dm] if is_news else []
        return [*await self.routed(hold, snapshot), *dm]

    async def routed(self, hold: Hold, snapshot: Snapshot) -> list[str]:
        """Where a hold that waits has cards: the channels of its routes, for a person who is away their delegate's."""
        targets = channels_of(hold, snapshot, self.kind)
        if self._personal is None or not snapshot.absences:
            return targets
        return await redirected(targets, self._personal, snapshot, self._clock())

    async def _wanted_dm(self, hold: Hold) -> list[str]:
        person = hold.requester.owner or hold.requester.principal
        if "@" not in person or not self._telling.is_due(hold):
            return []
        match await self._store.quiet.get(person):
            case Quiet.NONE:
                return []
            case Quiet.DECISIONS if hold.state is State.PENDING and all(q.answered_ms for q in hold.questions):
                return []
            case _:
                return [f"{self.kind}:dm:{person}"]

    async def _show(
        self, hold: Hold, target: str, places: Mapping[str, CardPlace], *, new: bool, may_post: bool, again: bool
    ) -> bool:
        """Make one copy show ``hold``; True when something was sent."""
        place, is_dm = places.get(target), target.startswith(f"{self.kind}:dm:")
        if place is None and not is_dm:
            await self._placing.place(hold, target)
        elif place is not None and place.bundle and may_post:
            await self._placing.part(hold, target, place.bundle)
        elif place is not None and not place.message and new and not is_dm:
            await self._placing.yield_to_digest(hold, target)  # it waits, and others have come since
        try:
            shown = await self._show_own(hold, target, new=new, again=again)
        except PostLimited:
            self.pressure.waits(target, hold.id)
            if is_dm or not await self._placing.yield_to_digest(hold, target):
                raise
            shown = Showing.MOVED
        self.pressure.served(target, hold.id)
        if (left := self._placing.left.get((hold.id, target))) is not None:
            await self._bundles.show(left, may_post=may_post)
            self._placing.left.pop((hold.id, target), None)
        if is_dm:
            await self._telling.note(hold, target, shown)
        if shown in (Showing.NOTHING, Showing.SENT, Showing.REFUSED):
            return shown is Showing.SENT
        place = await self._store.cards.get(hold.id, target)
        if place is None or not place.bundle:
            return True  # it has moved once more: the next round sees where to
        return await self._bundles.show(place.bundle, may_post=may_post, again=again or shown is Showing.OVERWROTE)

    async def _show_own(self, hold: Hold, target: str, *, new: bool, again: bool) -> Showing:
        async def render() -> Rendering:
            if len(hold.query.body) < LARGE_BYTES:
                return self.channel.render(hold, target)
            return await asyncio.to_thread(self.channel.render, hold, target)

        return await self.copies.show(Sheet(hold.id, hold.rev, (hold,), render), target, new=new, again=again)


def channels_of(hold: Hold, snapshot: Snapshot, kind: str) -> list[str]:
    """The platform's channels that a hold is routed to, those of groups that joined by escalation last."""
    joined = {step.group for step in hold.evaluation.escalations[: hold.escalated]}
    routes = (*snapshot.policy.routes, *snapshot.routes)
    channels = [*snapshot.channels_for(hold.requester.groups)]
    channels += (channel for route in routes if route.group in joined for channel in route.channels)
    return [channel for channel in dict.fromkeys(channels) if channel.startswith(f"{kind}:")]
