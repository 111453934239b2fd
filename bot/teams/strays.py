"""Whether a clicked message may be taken for a copy of a hold's card, and whether it was looked at a moment ago.

A place that was lost is found again when somebody presses its button (`bot.drawer.Drawer.clicked`). In Teams it is the
client that says what the button carries, so a manipulated one could name another hold than its message shows, and have
that drawn over the message, in a conversation where it has no business.
"""

from __future__ import annotations

from collections import OrderedDict

from bot.drawer import channels_of
from bot.platform import Posted
from bot.teams import KIND
from holdpoint.live import Live
from holdpoint.model import State
from holdpoint.store import CardPlace, Store
from holdpoint.store.bundles import is_bundle

LATELY_MS = 10_000
_MOST_KNOWN = 2_000
_MOST_WAITING = 20_000
_BATCH = 500


class Lately:
    """The messages that were redrawn in the last seconds."""

    def __init__(self) -> None:
        self._at_ms: OrderedDict[Posted, int] = OrderedDict()

    def is_first(self, place: Posted, *, now_ms: int) -> bool:
        """Whether this one was not; from now on it was."""
        if 0 <= now_ms - self._at_ms.get(place, -LATELY_MS) < LATELY_MS:
            return False
        self._at_ms[place] = now_ms
        self._at_ms.move_to_end(place)
        while len(self._at_ms) > _MOST_KNOWN:
            self._at_ms.popitem(last=False)
        return True


async def is_of(owner: str, place: Posted, *, store: Store, live: Live) -> bool:
    """Whether the message at ``place`` is known to be that of ``owner`` (a hold or bundle), or is nobody else's that waits.

    Raises:
        NotFound: there is no such hold.
        StoreUnavailable.
    """
    if is_bundle(owner):
        return True  # these are never taken in
    own = await store.cards.all(owner)
    bundles = [each.bundle for each in own.values() if each.bundle]
    if _stands_in([own, *await store.cards.all_of(bundles)], place):
        return True
    if f"{KIND}:{place.channel}" not in channels_of(await store.holds.get(owner), live.snapshot, KIND):
        return False
    return not await is_waiting(place, store=store, but=owner)


async def is_waiting(place: Posted, *, store: Store, but: str = "") -> bool:
    """Whether the message at ``place`` is the card of a hold that waits (other than ``but``), or of several.

    Of what has ended, a card that is drawn over has nothing left to press.

    Raises:
        StoreUnavailable.
    """
    waiting = await store.holds.revs(State.PENDING, limit=_MOST_WAITING)
    others = [each for each in waiting if each != but]
    for start in range(0, len(others), _BATCH):
        found = await store.cards.all_of(others[start : start + _BATCH])
        shared = {each.bundle for places in found for each in places.values() if each.bundle}
        if _stands_in([*found, *await store.cards.all_of(sorted(shared))], place):
            return True
    return False


def _stands_in(copies: list[dict[str, CardPlace]], place: Posted) -> bool:
    return any(
        (each.channel, each.message) == (place.channel, place.message) for places in copies for each in places.values()
    )
