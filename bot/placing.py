"""Which holds share a card, and which have their own: decided once for each hold and target. Platform-free.

::

    a hold without a place ─┬─ an identical one waits there ─▶ one card "× 2" (its message becomes the bundle's)
                            ├─ the target is pressed ────────▶ the digest card that takes in holds, or a new one
                            └─ else ─────────────────────────▶ a card of its own

Whatever the place says is final for this hold, but for two cases: a card that could not be posted yet goes onto the
digest when its target comes under pressure, and a hold whose text was edited leaves the card of its equals.
"""

from __future__ import annotations

from bot.copies import Copies
from bot.locks import Locks
from bot.platform import Channel
from bot.pressure import Pressure
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import Hold, State
from holdpoint.store import Store
from holdpoint.store.bundles import BundleKind

DIGEST_FOR_MS = 5 * 60_000  # so long a digest card takes in holds; later ones belong at the channel's end


class Placing:
    """Decides, once for each hold and target, on which card the hold is seen. Only one process at a time may."""

    def __init__(self, store: Store, channel: Channel, copies: Copies, pressure: Pressure, *, clock: Clock) -> None:
        self._store = store
        self._channel = channel
        self._copies = copies
        self._pressure = pressure
        self._clock = clock
        self._locks = Locks()
        self.left: dict[tuple[str, str], str] = {}  # hold and target: the shared card that has to be drawn without it

    async def place(self, hold: Hold, target: str) -> None:
        """Give the hold a place at ``target``, where it has none: a pointer to a shared card, or an intent of its own."""
        self._pressure.arrived(target)
        # Equals wait for each other, also for a post that is on its way; nobody else has to.
        async with self._locks.of(f"{target} {hold.requester.principal} {hold.connection} {hold.original_digest}"):
            if await self._store.cards.get(hold.id, target) is not None:
                return
            if hold.state is not State.PENDING or not await self._with_equals(hold, target):
                async with self._locks.of(target):
                    if hold.state is not State.PENDING or not await self._on_digest(hold, target):
                        await self._copies.intend(hold.id, target)
            await self._store.bundles.note_latest(hold, target)

    async def yield_to_digest(self, hold: Hold, target: str) -> bool:
        """Put a hold whose card could not be posted yet onto the digest, if its target is pressed."""
        if hold.state is not State.PENDING or not self._pressure.is_on(target):
            return False
        async with self._locks.of(target), self._copies.alone(hold.id, target):
            return await self._on_digest(hold, target)

    async def part(self, hold: Hold, target: str, bundle_id: str) -> None:
        """Let an edited hold leave the card of its equals: it is not what that card shows."""
        if hold.state is not State.PENDING or hold.digest == hold.original_digest:
            return
        try:
            bundle = await self._store.bundles.get(bundle_id)
        except NotFound:
            return
        if bundle.kind is BundleKind.SAME:
            async with self._locks.of(target), self._copies.alone(bundle_id, target):
                self.left[hold.id, target] = bundle_id
                await self._store.bundles.leave(bundle_id, target, hold=hold.id)
                await self._copies.intend(hold.id, target)

    async def _with_equals(self, hold: Hold, target: str) -> bool:
        """Share the card of the hold like this one that came last, if there is one and it can be shared."""
        latest = await self._store.bundles.latest_equal(hold, target)
        if latest is None:
            return False
        try:
            async with self._copies.alone(latest, target):
                bundle_id = await self._shared(hold, latest, target)
            most = self._channel.most_listed
            return bool(bundle_id) and await self._store.bundles.join(
                bundle_id, target, hold=hold.id, seen=None, most=most
            )
        except (Conflict, NotFound):
            return False  # its card has become another one at this moment, or is long gone

    async def _shared(self, hold: Hold, latest: str, target: str) -> str:
        """The bundle on which both can be; made from the card of ``latest`` where that is its own. Empty for none."""
        place = await self._store.cards.get(latest, target)
        if place is None or place.refused:
            return ""
        if not place.bundle:
            if not are_equal(hold, await self._store.holds.get(latest)):
                return ""
            return await self._store.bundles.make(BundleKind.SAME, target, hold=latest, seen=place)
        bundle = await self._store.bundles.get(place.bundle)
        if bundle.kind is not BundleKind.SAME:
            return ""
        others = await self._store.holds.get_many(bundle.holds)
        return bundle.id if any(are_equal(hold, other) for other in others) else ""

    async def _on_digest(self, hold: Hold, target: str) -> bool:
        if not self._pressure.is_on(target):
            return False
        seen = await self._store.cards.get(hold.id, target)
        if seen is not None and (seen.bundle or not self._copies.is_unsent(seen)):
            return bool(seen.bundle)
        taking, joined = await self._store.bundles.taking(target), False
        try:
            if taking is not None and await self._is_recent(taking):
                most = self._channel.most_listed
                joined = await self._store.bundles.join(taking, target, hold=hold.id, seen=seen, most=most)
            if not joined:
                await self._store.bundles.make(BundleKind.DIGEST, target, hold=hold.id, seen=seen)
        except Conflict:
            return False
        if seen is not None:
            self._copies.moved(seen)
        return True

    async def _is_recent(self, bundle_id: str) -> bool:
        try:
            bundle = await self._store.bundles.get(bundle_id)
        except NotFound:
            return False
        return self._clock() - bundle.created_ms < DIGEST_FOR_MS


def are_equal(one: Hold, other: Hold) -> bool:
    """Whether one card can stand for both: who asked what, how it was judged, and nothing has happened to either."""
    return all(
        hold.state is State.PENDING
        and hold.digest == one.digest == hold.original_digest
        and hold.requester == one.requester
        and hold.connection == one.connection
        and hold.evaluation == one.evaluation
        and hold.justification == one.justification
        and not hold.decisions
        and not hold.questions
        for hold in (one, other)
    )
