"""What one person has to do and to know: their queue, their own requests, and, for admins, how things stand.

The holds that wait are looked at once for everybody who heard of the same change, and read again only where they changed.
Knows no platform; every channel with a page of a person's own can show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bot.absence import own_lines
from bot.cards import CardView, card_view
from bot.presence import off_sentence
from holdpoint.clock import Clock
from holdpoint.errors import LedgerError, MayNotDecide
from holdpoint.lifecycle import deadline_at, is_late
from holdpoint.live import Live
from holdpoint.model import DecisionKind, Hold, Reviewer, Role, State
from holdpoint.policy import authority, people
from holdpoint.store import Store
from holdpoint.store.cards import Failing
from holdpoint.store.quiet import Quiet

MOST_QUEUED = 10  # cards of the queue; the rest is counted
MOST_OWN = 10
MEDIAN_DAYS = 7
_AT_ONCE = 50  # holds that are read without giving way to others
_MOST_PENDING = 2_000  # beyond, the oldest ones are left to the inbox

MedianOf = Callable[[int], Awaitable[int | None]]
"""Days → the median time to decision in milliseconds; may raise `LedgerError`."""
QUIET_WORDS = {
    Quiet.ALL: "Tell me everything about my requests",
    Quiet.DECISIONS: "Tell me decisions and questions only",
    Quiet.NONE: "Send me no messages",
}


@dataclass(frozen=True, slots=True)
class Overview:
    """How things stand, for an admin. ``median_ms`` is None when nothing was decided, or the ledger does not answer."""

    policy_version: int
    routes: int
    held: int
    median_ms: int | None
    failing: tuple[Failing, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One person's page. ``queued`` counts all that they may decide on, ``queue`` has the most urgent ones.

    ``absence`` says whether they are away, and for whom they stand in, as labels and texts.
    ``ids`` are the holds on it and in the queue behind it: when one of them changes, so does the page.
    """

    person: Reviewer
    queue: tuple[CardView, ...]
    queued: int
    own: tuple[CardView, ...]
    quiet: Quiet
    overview: Overview | None
    ids: frozenset[str]
    absence: tuple[tuple[str, str], ...] = ()


class Dashboards:
    """Gathers dashboards. ``characters`` bounds the request's text on each card."""

    def __init__(
        self, store: Store, live: Live, *, clock: Clock, link_base: str, characters: int, median_of: MedianOf
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._link_base = link_base
        self._characters = characters
        self._median_of = median_of
        self._reading = asyncio.Lock()
        self._pending: dict[str, Hold] = {}
        self._read_ms: int | None = None

    async def of(self, person: Reviewer, *, since_ms: int) -> Dashboard:
        """The page of ``person``, as verified now, with everything that happened until ``since_ms``.

        Raises:
            StoreUnavailable: Redis is lost.
        """
        await self._live.ensure_fresh()
        now_ms = self._clock()
        theirs = [hold for hold in await self._waiting(since_ms) if _is_theirs(hold, person, now_ms)]
        queue = sorted(theirs, key=lambda hold: urgency(hold, now_ms))
        own = await self._store.holds.of_person(person.principal, limit=MOST_OWN)
        return Dashboard(
            person=person,
            queue=tuple(self._view(hold, now_ms, person) for hold in queue[:MOST_QUEUED]),
            queued=len(queue),
            own=tuple(self._view(hold, now_ms, person) for hold in own),
            quiet=await self._store.quiet.get(person.principal),
            overview=await self._overview() if Role.ADMIN in person.roles else None,
            ids=frozenset(hold.id for hold in (*queue, *own)),
            absence=own_lines(person, self._live.snapshot, now_ms),
        )

    async def _waiting(self, since_ms: int) -> Iterable[Hold]:
        """The pending holds, as they were at some moment after ``since_ms``."""
        async with self._reading:
            now_ms = self._clock()
            # Read later than now: the clock was set back, so that nobody knows whether it is new enough.
            if self._read_ms is None or not since_ms < self._read_ms <= now_ms:
                revs = await self._store.holds.revs(State.PENDING, limit=_MOST_PENDING)
                known = {hold_id: hold for hold_id, hold in self._pending.items() if revs.get(hold_id) == hold.rev}
                new = [hold_id for hold_id in revs if hold_id not in known]
                for at in range(0, len(new), _AT_ONCE):
                    read = await self._store.holds.get_many(new[at : at + _AT_ONCE])
                    known |= {hold.id: hold for hold in read if hold.state is State.PENDING}
                self._pending, self._read_ms = known, now_ms
            return self._pending.values()

    async def _overview(self) -> Overview:
        snapshot = self._live.snapshot
        try:
            median_ms = await self._median_of(MEDIAN_DAYS)
        except LedgerError:
            median_ms = None
        return Overview(
            policy_version=snapshot.policy.version,
            routes=len(snapshot.policy.routes) + len(snapshot.routes),
            held=(await self._store.holds.count())[State.PENDING],
            median_ms=median_ms,
            failing=tuple(await self._store.cards.failing()),
        )

    def _view(self, hold: Hold, now_ms: int, person: Reviewer) -> CardView:
        return card_view(
            hold, now_ms=now_ms, link_base=self._link_base, masks=self._live.snapshot.policy.masks, viewer=person,
            limit=self._characters, off=off_sentence(hold, self._live.snapshot, now_ms),
        )  # fmt: skip


def _is_theirs(hold: Hold, person: Reviewer, now_ms: int) -> bool:
    """Whether it waits for this person: they may decide, and have not approved this very text already."""
    if is_late(hold, now_ms):
        return False
    try:
        authority.check(hold, person, now_ms=now_ms)
    except MayNotDecide:
        return False
    approved = any(
        people.is_by(done, person) and done.kind is DecisionKind.APPROVE and done.result_digest == hold.digest
        for done in hold.decisions
    )
    return not approved or authority.counts_anew(hold, person, now_ms=now_ms)


def urgency(hold: Hold, now_ms: int) -> tuple[int, int, str]:
    """What sorts a queue: the nearest deadline, then the higher risk; ids, so that the order stays."""
    return (deadline_at(hold, now_ms), -hold.evaluation.risk.height, hold.id)
