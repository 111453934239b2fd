"""Break-glass: an admin lets one hold through alone, in an emergency. Knows no platform.

Neither risk nor quorum stops it. What does, in this order:

1. The person is no admin, or it is their own request, or that of an agent of theirs, or they are an agent.
2. They give no reason that somebody could judge later.
3. The hold is not pending any more: so it happens at most once for each hold.
4. A rule of the policy in force blocks the text.

The approval has to be collected within five minutes (`GLASS_WITHIN_MS`), and goes on the list of what another admin has
to look at (`BreakGlass.review`) in the very script that writes it. It does not lift a pause.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from bot.plans import decision_by
from bot.sentences import already_sentence
from holdpoint.clock import Clock
from holdpoint.errors import BadText, Conflict, MayNotDecide, NotFound, StoreUnavailable, TooLate, WrongDigest
from holdpoint.lifecycle import is_late
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Hold, Reviewer, Role, State, Verdict
from holdpoint.policy import authority, people
from holdpoint.standing import BrokenGlass
from holdpoint.store import Store

SHORTEST_REASON = 10  # characters
LONGEST_REASON = 4_000
_ATTEMPTS = 32  # as many people may decide at the very same moment


class BreakGlass:
    """From every channel, which has verified who the reviewer is."""

    def __init__(self, store: Store, live: Live, *, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._metrics = metrics

    async def break_glass(self, hold_id: str, reviewer: Reviewer, reason: str, *, digest: str = "") -> Hold:
        """Approve the hold alone. ``digest`` is that of the text that the admin saw; empty where they saw none.

        A repeat by the same person changes nothing and returns the hold as it is.

        Raises:
            NotFound: there is no such hold.
            MayNotDecide, BadText, TooLate, WrongDigest: see above; nothing was changed.
            StoreUnavailable: it is not known whether it was written; the same call may be repeated.
        """
        _refuse_others(reviewer)
        reason = _checked(reason)
        await self._live.ensure_fresh()
        for _ in range(_ATTEMPTS):
            hold = await self._store.holds.get(hold_id)
            authority.check_not_own(hold, reviewer)
            if any(done.glass and people.is_by(done, reviewer) for done in hold.decisions):
                return hold
            now_ms = self._clock()
            if hold.state is not State.PENDING or is_late(hold, now_ms):
                raise TooLate(already_sentence(hold, now_ms=now_ms))
            if digest not in ("", hold.digest):
                raise WrongDigest("This is not the text that is held. Look at the hold again.")
            self._refuse_blocked(hold, now_ms)
            approval = decision_by(reviewer, DecisionKind.APPROVE, hold, now_ms, reason=reason)
            decision = replace(approval, glass=True)
            try:
                decided = await self._store.holds.decide(hold, decision, state=State.APPROVED, body=None)
            except Conflict:
                continue
            self._metrics.decisions[decision.channel, decision.kind.value] += 1
            self._metrics.decision_seconds.observe((now_ms - hold.created_ms) / 1000)
            return decided
        raise StoreUnavailable("the hold kept changing; nothing was decided")

    async def review(self, hold_id: str, reviewer: Reviewer) -> BrokenGlass:
        """Take the hold off the list: another admin has looked at what was let through. A repeat changes nothing.

        Raises:
            NotFound: no glass was broken for such a hold.
            MayNotDecide: the person is no admin, broke the glass, or sent the request.
            StoreUnavailable: it is not known whether it was written; the same call may be repeated.
        """
        _refuse_others(reviewer)
        glass = await self._store.glass.get(hold_id)
        if _is_breaker(reviewer, glass):
            raise MayNotDecide("You broke the glass yourself; another admin has to review it.")
        with suppress(NotFound):  # Redis keeps a hold for its retention time, and the list for as long as nobody looks
            authority.check_not_own(await self._store.holds.get(hold_id), reviewer)
        return await self._store.glass.review(hold_id, by=reviewer.principal)

    def _refuse_blocked(self, hold: Hold, now_ms: int) -> None:
        """Raise `MayNotDecide` when the policy in force blocks the text: no emergency lets through what it stops."""
        evaluation = self._live.snapshot.policy.evaluate(hold.query, hold.requester, now_ms)
        if evaluation.verdict is Verdict.BLOCK:
            raise MayNotDecide("The policy in force blocks this text, and no glass can be broken for that.")


def _is_breaker(reviewer: Reviewer, glass: BrokenGlass) -> bool:
    return not people.of_reviewer(reviewer).isdisjoint(people.names(glass.by, *glass.aliases))


def _refuse_others(reviewer: Reviewer) -> None:
    if reviewer.owner is not None:
        raise MayNotDecide("An agent's key may not decide; a person has to.")
    if Role.ADMIN not in reviewer.roles:
        raise MayNotDecide("Only an admin may break the glass, or review it.")


def _checked(reason: str) -> str:
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise BadText(f"Say why, in at least {SHORTEST_REASON} characters: another admin will review it.")
    if len(reason) > LONGEST_REASON:
        raise BadText(f"The reason is longer than {LONGEST_REASON:,} characters.")
    return reason
