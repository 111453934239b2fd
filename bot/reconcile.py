"""Cards compared with the records, after every start, every change of the leading bot and every outage; repairs follow.

======================  ==========================================================================================
what differs            what is done
======================  ==========================================================================================
a copy shows less       drawn again, by the same jobs that events make (`again`)
a copy was refused      tried again while the hold is open: the reason may be gone
two messages, one card  the one that is not known is removed
a message was deleted   posted again while somebody may decide, else forgotten (`bot.copies`)
======================  ==========================================================================================

Looked at are all open holds and those that ended within a day. Repairing what is right changes nothing. At first every
open hold is drawn; after an outage only what differs, because one call in a hundred that fails is one, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.platform import Channel, Found
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, StoreUnavailable
from holdpoint.live import Live
from holdpoint.store import CardPlace, Store

BACK_MS = 86_400_000
PAUSE_S = 5.0  # between two comparisons, however often one is asked for
ATTEMPTS = 3  # at reading one channel
LONGEST_WAIT_S = 60.0
_BATCH = 200

_log = logging.getLogger(__name__)

Places = Mapping[str, CardPlace]


@dataclass
class Report:
    """What one comparison found: holds looked at, holds drawn again, strays removed, messages that are gone."""

    holds: int = 0
    drawn: int = 0
    strays: int = 0
    gone: int = 0


@dataclass
class _Cards:
    """Where everything stands, by target: owner (a hold or bundle) to place; and one hold for each bundle."""

    by_target: dict[str, dict[str, CardPlace]] = field(default_factory=dict)
    holds_of: dict[str, str] = field(default_factory=dict)


class Reconciler:
    """For one platform. ``again`` has a hold drawn. `run` is the task, `check` one comparison."""

    def __init__(
        self, store: Store, live: Live, channel: Channel, *, again: Callable[[str], None], clock: Clock
    ) -> None:
        self._store = store
        self._live = live
        self._channel = channel
        self._again = again
        self._clock = clock
        self._is_first = True
        self._wanted = asyncio.Event()
        self._wanted.set()

    def soon(self) -> None:
        """Compare again: something was out of reach."""
        self._wanted.set()

    async def run(self) -> None:
        """Compare now, and whenever `soon` asks for it; until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                report = await self.check()
                _log.info("cards were compared with the records", extra={"cards": self._channel.kind, **vars(report)})
            except StoreUnavailable as error:
                _log.info("the comparison waits: %s", error, extra={"cards": self._channel.kind})
                self._wanted.set()
            await asyncio.sleep(PAUSE_S)

    async def check(self) -> Report:
        """Compare once, and have repaired what differs.

        Raises:
            StoreUnavailable: Redis is lost.
        """
        report = Report()
        opened, closed = await self._store.cards.recent(self._clock() - BACK_MS)
        cards = _Cards()
        for ids in _batches(opened):
            await self._open(ids, cards, report)
        for ids in _batches(closed):
            await self._closed(ids, report)
        await self._bundled(cards, report)
        for target in sorted({*cards.by_target, *self._routed()}):
            await self._look(target, cards.by_target.get(target, {}), cards, report)
        self._is_first = False
        return report

    async def _open(self, ids: Sequence[str], cards: _Cards, report: Report) -> None:
        """The first time all of them are drawn (what is shown already is not sent again), then those that may need it."""
        revs = await self._store.bundles.revs(ids)
        for hold_id, rev, places in zip(ids, revs, await self._store.cards.all_of(ids), strict=True):
            report.holds += 1
            ours = self._ours(places)
            for target, place in ours.items():
                if place.bundle:
                    cards.holds_of[place.bundle] = hold_id
                else:
                    await self._retry(hold_id, target, place)
                    cards.by_target.setdefault(target, {})[hold_id] = place
            if self._is_first or any(each.bundle or each.refused or each.shown_rev < rev for each in ours.values()):
                self._draw(hold_id, report)

    async def _closed(self, ids: Sequence[str], report: Report) -> None:
        """Those of which a copy, its own or a shared one, is behind."""
        revs = await self._store.bundles.revs(ids)
        for hold_id, rev, places in zip(ids, revs, await self._store.cards.all_of(ids), strict=True):
            report.holds += 1
            behind = (place.bundle or (place.shown_rev < rev and not place.refused) for place in places.values())
            if self._ours(places) and any(behind):
                self._draw(hold_id, report)

    async def _bundled(self, cards: _Cards, report: Report) -> None:
        bundles = list(cards.holds_of)
        for ids in _batches(bundles):
            for bundle_id, places in zip(ids, await self._store.cards.all_of(ids), strict=True):
                for target, place in self._ours(places).items():
                    await self._retry(bundle_id, target, place)
                    cards.by_target.setdefault(target, {})[bundle_id] = place
                    report.holds += 1

    async def _retry(self, owner: str, target: str, place: CardPlace) -> None:
        if place.refused:
            await self._store.cards.posted(owner, target, place=replace(place, shown_rev=0, shown=""))

    async def _look(self, target: str, known: Mapping[str, CardPlace], cards: _Cards, report: Report) -> None:
        """Compare the messages that stand at ``target`` with the places there."""
        since_ms = max(self._clock() - BACK_MS, min((p.intended_ms for p in known.values()), default=self._clock()))
        found = await self._list(target, since_ms)
        if found is None:
            return
        by_intent = {place.intent: place for place in known.values() if place.message and place.intent}
        for each in found:
            place = by_intent.get(each.intent)
            if place is not None and place.message != each.posted.message:
                await self._remove(each, target, report)
        there = {each.posted.message for each in found}
        for owner, place in known.items():
            if place.message and place.intended_ms >= since_ms and place.message not in there:
                report.gone += 1
                await self._store.cards.posted(owner, target, place=replace(place, shown=""))
                self._draw(cards.holds_of.get(owner, owner), report)

    async def _list(self, target: str, since_ms: int) -> Sequence[Found] | None:
        for _ in range(ATTEMPTS):
            try:
                return await self._channel.list(target, since_ms=since_ms)
            except ChannelUnavailable as error:
                await asyncio.sleep(min(error.retry_after_seconds or PAUSE_S, LONGEST_WAIT_S))
            except ChannelRefused:
                return None
        return None

    async def _remove(self, stray: Found, target: str, report: Report) -> None:
        try:
            await self._channel.remove(stray.posted)
        except (ChannelRefused, ChannelUnavailable) as error:
            _log.warning("a second card stays: %s", error, extra={"target": target})
            return
        report.strays += 1
        _log.warning("removed a second card", extra={"target": target})

    def _draw(self, hold_id: str, report: Report) -> None:
        report.drawn += 1
        self._again(hold_id)

    def _ours(self, places: Places) -> Places:
        return {target: place for target, place in places.items() if target.startswith(f"{self._channel.kind}:")}

    def _routed(self) -> set[str]:
        """The platform's channels that any route names."""
        snapshot = self._live.snapshot
        routes = (*snapshot.policy.routes, *snapshot.routes)
        prefix = f"{self._channel.kind}:"
        return {channel for route in routes for channel in route.channels if channel.startswith(prefix)}


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
