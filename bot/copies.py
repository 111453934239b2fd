"""One copy of one card: posted once, found again after a crash, updated when it shows something else. Idempotent.

::

    place known? ── no ─▶ intend ─▶ post ─▶ note the place
        ├─ intended, never confirmed: find by intent, else post
        ├─ a copy: same as shown? done ─ else update ─▶ note what it shows
        └─ a pointer to a bundle: MOVED, see there

A copy is posted once: its intent is in the store before the post and inside the message, so that whoever comes after a
crash finds the message instead of posting another one.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import Enum

from bot.locks import Locks
from bot.platform import AccessLost, Channel, MessageGone, NobodyThere, Posted, Rendering
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.model import Hold
from holdpoint.store import CardPlace, Store
from holdpoint.store.card_events import card_shown
from holdpoint.store.cards import adopted, installation
from holdpoint.store.events import Entry
from holdpoint.tasks import finished

SETTLED_AFTER_MS = 15_000  # longer than a post of a bot that is alive can take
STOP_S = 3.0  # how long a message that is on its way holds up a bot that is told to stop
_MOST_REMEMBERED = 20_000  # rows of bundles whose showing was recorded

_Row = tuple[str, str, str]  # bundle, hold, hash of what is shown of it

_log = logging.getLogger(__name__)


class PostLimited(ChannelUnavailable):
    """The platform takes no new message at this target at the moment; nothing was posted."""


class Showing(Enum):
    """What became of the wish that a copy shows something."""

    NOTHING = "nothing was sent"
    SENT = "sent"
    MOVED = "another card shows it: the place is a pointer by now"
    OVERWROTE = "the same, but only after this one was sent over the other"
    REFUSED = "it is not taken"


class _Sent(Enum):
    """Whether a post of this process may have reached the platform."""

    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a copy is to show: one hold, or a bundle of several.

    ``id`` owns the places (a hold's or a bundle's), ``rev`` grows whenever one of the holds changes.
    """

    id: str
    rev: int
    holds: tuple[Hold, ...]
    render: Callable[[], Awaitable[Rendering]]

    @property
    def gist(self) -> str:
        """What matters on the card: a change of it does not wait for one that is only nice to see."""
        return hashlib.sha256(repr([gist(hold) for hold in self.holds]).encode()).hexdigest()[:16]


def gist(hold: Hold) -> tuple[str, ...]:
    """What matters of a hold to who looks at its card."""
    counts = (len(hold.decisions), hold.escalated, len(hold.questions), sum(bool(q.answer) for q in hold.questions))
    return (hold.id, hold.state.value, hold.digest, *map(str, counts))


class Copies:
    """The copies on one platform, as this process makes them."""

    def __init__(self, store: Store, channel: Channel, *, clock: Clock) -> None:
        self._store = store
        self._channel = channel
        self._clock = clock
        self._locks = Locks()
        self._mine: dict[str, _Sent | Posted] = {}  # intents of this process whose copy is not noted yet
        self._recorded: OrderedDict[_Row, None] = OrderedDict()
        self._lost: set[str] = set()  # installations that the platform does not accept any more

    def alone(self, owner: str, target: str) -> AbstractAsyncContextManager[None]:
        """Nothing else happens to this copy in this process inside the block."""
        return self._locks.of(f"{owner} {target}")

    def is_unsent(self, place: CardPlace) -> bool:
        """Whether it is certain that nothing was posted for this place."""
        return not place.message and (bool(place.refused) or self._mine.get(place.intent) is _Sent.NO)

    def moved(self, place: CardPlace) -> None:
        """A shared card has taken the place of this one, for which nothing was sent."""
        self._mine.pop(place.intent, None)

    def others_post(self) -> None:
        """Another bot posts at the moment: nothing is certain any more of what this one could not post."""
        self._mine = {intent: sent for intent, sent in self._mine.items() if sent is not _Sent.NO}

    async def intend(self, owner: str, target: str) -> CardPlace:
        """Say that a copy is about to be posted; another bot may have said so a moment before."""
        place = CardPlace(intent=secrets.token_hex(8), intended_ms=self._clock())
        if await self._store.cards.intend(owner, target, intent=place.intent):
            self._mine[place.intent] = _Sent.NO
            return place
        return await self._store.cards.get(owner, target) or place

    async def show(self, sheet: Sheet, target: str, *, new: bool, again: bool = False) -> Showing:
        """Make one copy show ``sheet``. A refusal is remembered until the sheet changes.

        ``new``: it may be posted when it is not there. ``again``: send it whatever is believed to be shown.

        Raises:
            PostLimited, ChannelUnavailable: not now.
            StoreUnavailable: Redis is lost; whatever was sent is found again.
        """
        async with self.alone(sheet.id, target):
            place = await self._store.cards.get(sheet.id, target)
            if place is None and new:
                place = await self.intend(sheet.id, target)
            if place is None or (place.refused and place.shown_rev >= sheet.rev):
                return Showing.REFUSED if place else Showing.NOTHING
            if place.bundle:
                return Showing.MOVED
            try:
                showing = self._show(sheet, target, replace(place, shown="") if again else place, new=new)
                # A bot that is told to stop between a post and its note would leave a card that nobody knows, and
                # Teams has no search to find it by.
                return await finished(showing, grace_s=STOP_S)
            except AccessLost as error:
                await self._lose_access(target, error)
                raise
            except ChannelRefused as error:
                return await self._refused(sheet, target, place, error)

    async def _show(self, sheet: Sheet, target: str, place: CardPlace, *, new: bool) -> Showing:
        rendering = await sheet.render()
        if rendering.offers and place.shown != rendering.digest:
            until_ms = max(hold.deadline_ms for hold in sheet.holds)
            # Before anybody can click it.
            await self._store.bundles.offer(rendering.value, rendering.offers, until_ms=until_ms)
        try:
            put = await self._put(sheet, target, place, rendering, new=new)
        except MessageGone:
            if not new:
                await self._store.cards.forget(sheet.id, target)
                return Showing.NOTHING
            _log.warning("a card was deleted, and is posted again", extra={"hold": sheet.id, "target": target})
            fresh = CardPlace(intent=secrets.token_hex(8), intended_ms=self._clock())
            if not await self._store.cards.posted(sheet.id, target, place=fresh, seen=place.intent):
                return Showing.MOVED
            self._mine[fresh.intent] = _Sent.NO
            place, put = fresh, await self._put(sheet, target, fresh, rendering, new=new)
        if put is None:
            self._mine.pop(place.intent, None)
            await self._store.cards.forget(sheet.id, target)
            return Showing.NOTHING
        return await self._note(sheet, target, put, rendering)

    async def _note(self, sheet: Sheet, target: str, put: CardPlace, rendering: Rendering) -> Showing:
        """Record what is shown now, and where."""
        sent = put.shown != rendering.digest
        if sent:
            self._lost.discard(installation(target))
        if sent and (records := self._records(sheet, target, rendering)):
            await self._store.outbox.append([*records.values()])
            self._remember(records if rendering.rows else ())
        shown = replace(put, shown=rendering.digest, shown_rev=sheet.rev, gist=sheet.gist, refused="")
        taken = True if sent else None
        noted = shown == put or await self._store.cards.posted(sheet.id, target, place=shown, taken=taken)
        self._mine.pop(put.intent, None)
        if not noted:
            return Showing.OVERWROTE if sent else Showing.MOVED
        return Showing.SENT if sent else Showing.NOTHING

    async def _put(
        self, sheet: Sheet, target: str, place: CardPlace, rendering: Rendering, *, new: bool
    ) -> CardPlace | None:
        """Post, or find and update, or update, or nothing; returns where the copy stands now, None for nowhere."""
        # A refused post left no message; nor did one that was never sent.
        unsent = self.is_unsent(place)
        if not place.message and not unsent:
            found = self._mine.get(place.intent)  # it was posted, and then the store was lost
            if not isinstance(found, Posted):
                found = await self._channel.find(target, intent=place.intent, since_ms=place.intended_ms)
            if found is not None:
                place = adopted(place, channel=found.channel, message=found.message)
        if not place.message and not new:
            return None  # it was decided before the card could be posted
        if not place.message:
            if not unsent:
                self._wait_for_others(place)
            posted = await self._post(target, place, rendering)
            return replace(place, channel=posted.channel, message=posted.message)
        if place.shown != rendering.digest:
            urgent = place.gist != sheet.gist
            await self._channel.update(Posted(place.channel, place.message), rendering, urgent=urgent)
        return place

    def _wait_for_others(self, place: CardPlace) -> None:
        """Another bot's post may still be on its way: only when that has had its time is a missing copy a lost one."""
        left_ms = place.intended_ms + SETTLED_AFTER_MS - self._clock()
        if place.intent not in self._mine and left_ms > 0:
            raise ChannelUnavailable("another bot may be posting this card", retry_after_seconds=left_ms / 1000)

    async def _post(self, target: str, place: CardPlace, rendering: Rendering) -> Posted:
        self._mine[place.intent] = _Sent.PERHAPS
        try:
            posted = self._mine[place.intent] = await self._channel.post(target, rendering, intent=place.intent)
        except ChannelUnavailable as error:
            if error.retry_after_seconds is None:
                raise
            self._mine[place.intent] = _Sent.NO
            if isinstance(error, AccessLost):
                raise
            raise PostLimited(str(error), retry_after_seconds=error.retry_after_seconds) from error
        return posted

    async def _refused(self, sheet: Sheet, target: str, place: CardPlace, error: ChannelRefused) -> Showing:
        is_nobody = isinstance(error, NobodyThere)
        level = logging.INFO if is_nobody else logging.ERROR
        _log.log(level, "no card: %s", error, extra={"hold": sheet.id, "target": target})
        self._mine.pop(place.intent, None)
        refused = replace(place, shown_rev=sheet.rev, refused=str(error))
        noted = await self._store.cards.posted(sheet.id, target, place=refused, taken=None if is_nobody else False)
        return Showing.REFUSED if noted else Showing.MOVED

    async def _lose_access(self, target: str, error: AccessLost) -> None:
        """Nothing is wrong with the card: everything waits, and an admin has to hear of it, once."""
        lost = installation(target)
        if lost not in self._lost:
            _log.error("no cards at all: %s", error, extra={"target": lost})
        self._lost.add(lost)
        await self._store.cards.failed(lost, str(error))

    def _records(self, sheet: Sheet, target: str, rendering: Rendering) -> Mapping[_Row, Entry]:
        """What the record says of a card: of a bundle's, only the rows that this process has not recorded yet."""
        entries: dict[_Row, Entry] = {}
        for hold in sheet.holds:
            view = rendering.rows.get(hold.id, "") if rendering.rows else rendering.shown
            row = (sheet.id, hold.id, hashlib.sha256(view.encode("utf-8", "surrogatepass")).hexdigest())
            if not rendering.rows or row not in self._recorded:
                entries[row] = card_shown(
                    hold=hold.id, rev=hold.rev, target=target, digest=hold.digest, view=view, at_ms=self._clock()
                )
        return entries

    def _remember(self, rows: Iterable[_Row]) -> None:
        """These are recorded."""
        self._recorded.update(dict.fromkeys(rows))
        while len(self._recorded) > _MOST_REMEMBERED:
            self._recorded.popitem(last=False)
