"""One hold → every copy of its card on one platform shows it. Idempotent; safe with several bots and after a crash.

::

    wanted targets ∪ known copies ─▶ render ─▶ same as shown? done
                                        ├─ no copy yet: intend ─▶ post ─▶ remember the place
                                        ├─ intended, never confirmed: find by intent, else post
                                        └─ a copy: update ─▶ remember what it shows
    then: has the hold moved meanwhile? from the top

A copy is posted once: its intent is in the store before the post and inside the message, so that whoever comes after a
crash finds the message instead of posting another one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, NotFound
from holdpoint.live import Live, Snapshot
from holdpoint.model import Hold, State
from holdpoint.store import CardPlace, Store
from holdpoint.store.cards import adopted
from holdpoint.store.events import card_shown

NEWS_MS = 10 * 60_000  # a requester hears of a hold that ended before its DM could be posted for so long
SETTLED_AFTER_MS = 15_000  # longer than a post of a bot that is alive can take
LARGE_BYTES = 64 * 1024  # a body that is worth a thread, so that drawing it holds nobody up
MOST_ROUNDS = 20  # of redrawing a hold that keeps moving; its next event brings it back

_log = logging.getLogger(__name__)


class _Sent(Enum):
    """Whether a post of this process may have reached the platform."""

    NO = "no"
    PERHAPS = "perhaps"


class NobodyThere(ChannelRefused):
    """The person has no account on this platform: nothing is wrong, there is just no card."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One card as the platform takes it. ``shown`` is the same as plain text, for the record."""

    payload: Mapping[str, Any]
    shown: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the payload: equal renderings need no update."""
        return hashlib.sha256(json.dumps(self.payload, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: the platform's ids of channel and message."""

    channel: str
    message: str


class Channel(Protocol):
    """One platform that shows cards. Methods raise `ChannelRefused` or `ChannelUnavailable`.

    A `ChannelUnavailable` with ``retry_after_seconds`` promises that the call had no effect.
    """

    kind: str

    def render(self, hold: Hold, target: str) -> Rendering:
        """``hold`` as ``target`` shows it. Depends on nothing but the hold and the configuration, not on the time."""
        ...

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """A new message that carries ``intent``."""
        ...

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """The message that carries ``intent``, posted at ``since_ms`` or later."""
        ...

    async def update(self, place: Posted, rendering: Rendering) -> None:
        """Replace the message's whole content."""
        ...


class Drawer:
    """Draws the holds of one platform."""

    def __init__(self, store: Store, live: Live, channel: Channel, *, clock: Clock) -> None:
        self.kind = channel.kind
        self._store = store
        self._live = live
        self._channel = channel
        self._clock = clock
        self._mine: dict[str, _Sent] = {}  # intents of this process whose copy is not noted yet

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

    async def adopt(self, hold_id: str, posted: Posted) -> None:
        """Take a copy that nobody knows (its place was lost) into the store, and bring the copies up to date."""
        places = await self._store.cards.all(hold_id)
        if not any((p.channel, p.message) == (posted.channel, posted.message) for p in places.values()):
            target = f"{self.kind}:{posted.channel}"
            if target in places:
                target = f"{target}:{posted.message}"
            place = CardPlace(intent="", intended_ms=self._clock(), channel=posted.channel, message=posted.message)
            await self._store.cards.posted(hold_id, target, place=place)
            _log.warning("adopted a card that nobody knew", extra={"hold": hold_id, "target": target})
        await self.draw(hold_id, may_post=False)

    async def redraw(self, hold_id: str, posted: Posted) -> None:
        """Bring the copies up to date, this one even when it is believed to be."""
        for target, place in (await self._store.cards.all(hold_id)).items():
            if (place.channel, place.message) == (posted.channel, posted.message):
                await self._store.cards.posted(hold_id, target, place=replace(place, shown=""))
        await self.draw(hold_id, may_post=False)

    async def _draw(self, hold: Hold, *, may_post: bool, again: frozenset[str]) -> set[str]:
        """One round over all copies; returns the targets to which something was sent."""
        # Not `ensure_fresh`: a route that was added a moment before this hold must not miss its card for good.
        await self._live.look()
        places = {t: p for t, p in (await self._store.cards.all(hold.id)).items() if t.startswith(f"{self.kind}:")}
        wanted = self._wanted(hold, self._live.snapshot)
        if may_post:
            targets = [*places, *(target for target in wanted if target not in places)]
        else:
            targets = [target for target, place in places.items() if place.message]
        results = await asyncio.gather(
            *(self._show(hold, t, places.get(t), new=t in wanted, again=t in again) for t in targets),
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

    def _wanted(self, hold: Hold, snapshot: Snapshot) -> list[str]:
        """Where a copy should be that is not there yet: cards while somebody may decide, the DM while it is news."""
        person = hold.requester.owner or hold.requester.principal
        dm = [f"{self.kind}:dm:{person}"] if "@" in person else []
        if hold.state is not State.PENDING:
            is_news = hold.closed_ms is None or self._clock() - hold.closed_ms < NEWS_MS
            return dm if is_news else []
        joined = {step.group for step in hold.evaluation.escalations[: hold.escalated]}
        routes = (*snapshot.policy.routes, *snapshot.routes)
        channels = [*snapshot.channels_for(hold.requester.groups)]
        channels += (channel for route in routes if route.group in joined for channel in route.channels)
        return [*dict.fromkeys(c for c in channels if c.startswith(f"{self.kind}:")), *dm]

    async def _show(self, hold: Hold, target: str, place: CardPlace | None, *, new: bool, again: bool) -> bool:
        """Make one copy show ``hold``; True when something was sent. A refusal is remembered until the hold changes.

        ``new``: it may be posted when it is not there. ``again``: send it whatever is believed to be shown.
        """
        if place is not None and place.refused and place.shown_rev >= hold.rev:
            return False
        if place is None:
            place = await self._intend(hold, target)
        if again:
            place = replace(place, shown="")
        rendering = await self._render(hold, target)
        try:
            put = await self._put(target, place, rendering, new=new)
        except ChannelRefused as error:
            await self._refused(hold, target, place, error)
            return False
        self._mine.pop(place.intent, None)
        if put is None:
            await self._store.cards.forget(hold.id, target)
            return False
        sent = put.shown != rendering.digest
        if sent:
            entry = card_shown(
                hold=hold.id, rev=hold.rev, target=target, digest=hold.digest, view=rendering.shown, at_ms=self._clock()
            )
            await self._store.outbox.append([entry])
        if (put.shown, put.shown_rev, put.refused) != (rendering.digest, hold.rev, ""):
            shown = replace(put, shown=rendering.digest, shown_rev=hold.rev, refused="")
            await self._store.cards.posted(hold.id, target, place=shown)
        return sent

    async def _intend(self, hold: Hold, target: str) -> CardPlace:
        """Say that a copy is about to be posted; another bot may have said so a moment before."""
        place = CardPlace(intent=secrets.token_hex(8), intended_ms=self._clock())
        if await self._store.cards.intend(hold.id, target, intent=place.intent):
            self._mine[place.intent] = _Sent.NO
            return place
        return (await self._store.cards.all(hold.id)).get(target, place)

    async def _render(self, hold: Hold, target: str) -> Rendering:
        if len(hold.query.body) < LARGE_BYTES:
            return self._channel.render(hold, target)
        return await asyncio.to_thread(self._channel.render, hold, target)

    async def _put(self, target: str, place: CardPlace, rendering: Rendering, *, new: bool) -> CardPlace | None:
        """Post, or find and update, or update, or nothing; returns where the copy stands now, None for nowhere."""
        # A refused post left no message; nor did one that was never sent.
        unsent = bool(place.refused) or self._mine.get(place.intent) is _Sent.NO
        if not place.message and not unsent:
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
            await self._channel.update(Posted(place.channel, place.message), rendering)
        return place

    def _wait_for_others(self, place: CardPlace) -> None:
        """Another bot's post may still be on its way: only when that has had its time is a missing copy a lost one."""
        left_ms = place.intended_ms + SETTLED_AFTER_MS - self._clock()
        if place.intent not in self._mine and left_ms > 0:
            raise ChannelUnavailable("another bot may be posting this card", retry_after_seconds=left_ms / 1000)

    async def _post(self, target: str, place: CardPlace, rendering: Rendering) -> Posted:
        self._mine[place.intent] = _Sent.PERHAPS
        try:
            return await self._channel.post(target, rendering, intent=place.intent)
        except ChannelUnavailable as error:
            if error.retry_after_seconds is not None:
                self._mine[place.intent] = _Sent.NO
            raise

    async def _refused(self, hold: Hold, target: str, place: CardPlace, error: ChannelRefused) -> None:
        level = logging.INFO if isinstance(error, NobodyThere) else logging.ERROR
        _log.log(level, "no card: %s", error, extra={"hold": hold.id, "target": target})
        self._mine.pop(place.intent, None)
        refused = replace(place, shown_rev=hold.rev, refused=str(error))
        await self._store.cards.posted(hold.id, target, place=refused)
