"""Approve similar: approve a hold, and let requests like it pass for a while. And: end such a grant. Knows no platform.

A grant is a second consequence of one approval, and never comes without it. The steps of `Grants.approve_similar`:

1. The person may decide on the hold, and what they ask for is within what the hold's rules allowed when it was held and
   what the policy in force allows now, whichever is narrower (`policy.grants`).
2. Their one approval decides the hold, without edits by anybody: a quorum's grant would need a quorum.
3. The approval is written (`Decider.decide`). If that fails, nothing has happened.
4. The grant is made, under an id that follows from hold and person, dated as the approval is. Should the process die
   between 3 and 4, the approval stands without a grant; the same call made again writes no second approval and makes
   that very grant, once, as long as it would not have expired.
"""

from __future__ import annotations

import hashlib

from bot.decide import Decider
from bot.plans import decision_by
from bot.sentences import duration
from holdpoint.clock import Clock
from holdpoint.errors import MayNotDecide, StepUpNeeded
from holdpoint.live import Live
from holdpoint.model import Decision, DecisionKind, Factor, GrantLimits, GrantScope, Hold, Reviewer, Role
from holdpoint.policy import authority, people
from holdpoint.policy.grants import limits_of, narrower, review_rules
from holdpoint.standing import Grant
from holdpoint.store import Store
from holdpoint.store.bundles import Covered
from holdpoint.store.stepups import GrantChoice


class Grants:
    """Makes and ends grants, from every channel, which has verified who the reviewer is.

    For scope `GrantScope.GROUP` the caller names the group as ``subject``, one of `groups_of` the hold; for
    `GrantScope.REQUESTER` it leaves ``subject`` empty. `limits` says what a form may offer.
    """

    def __init__(self, store: Store, live: Live, decider: Decider, *, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._decider = decider
        self._clock = clock

    def limits(self, hold: Hold) -> GrantLimits | None:
        """The widest grant that may be made from ``hold`` now; None where none may. Says nothing of who may make it."""
        now = self._live.snapshot.policy.evaluate(hold.query, hold.requester, self._clock())
        return narrower(limits_of(hold.evaluation, hold.query), limits_of(now, hold.query))

    def groups_of(self, hold: Hold) -> tuple[str, ...]:
        """The groups of the hold's requester, in order: those that a grant from it may be for."""
        requester = hold.requester
        return tuple(sorted(self._live.snapshot.groups_of(requester.principal, requester.groups)))

    async def approve_similar(
        self,
        hold_id: str,
        reviewer: Reviewer,
        *,
        digest: str,
        scope: GrantScope,
        uses: int,
        age_ms: int,
        subject: str = "",
        reason: str = "",
        seen_whole: bool = True,
        factor: Factor | None = None,
    ) -> tuple[Hold, Grant]:
        """Approve the hold, and make a grant for ``uses`` more requests within ``age_ms`` from the approval.

        Returns the hold and the grant as they are now: a grant that this person has made from this hold before is left
        as it is.

        Raises:
            NotFound: there is no such hold.
            MayNotDecide: the person, the hold or the policy does not allow such a grant; nothing was changed.
            TooLate, WrongDigest, BadEdit: as for an approval; nothing was changed.
            StepUpNeeded: approval and grant are kept, and wait to be confirmed.
            StoreUnavailable: it is not known how far it came; the same call may be repeated.
        """
        await self._live.ensure_fresh()
        hold = await self._store.holds.get(hold_id)
        _refuse_borrowed(hold, reviewer, self._clock())
        subject = self._checked(hold, scope, subject, uses, age_ms)
        _refuse_shared(hold, reviewer, self._clock())
        asked = GrantChoice(scope, subject, uses, age_ms)
        hold = await self._approve(
            hold_id, reviewer, asked, digest=digest, reason=reason, seen_whole=seen_whole, factor=factor
        )
        grant = _grant_of(hold, _approval(hold, reviewer), reviewer, asked, reason=reason)
        if self._clock() >= grant.expires_ms:
            raise MayNotDecide("Your approval is so long ago that the grant would be over. Nothing more was granted.")
        return hold, await self._store.grants.make(grant)

    async def revoke(self, grant_id: str, reviewer: Reviewer) -> Grant:
        """End a grant for good: no request passes by it any more. One that was revoked before is returned as it is.

        Raises:
            NotFound: there is no such grant.
            MayNotDecide: the person is neither an admin nor who made it.
            Conflict, StoreUnavailable: it is not known whether it was written; the same call may be repeated.
        """
        grant = await self._store.grants.get(grant_id)
        if reviewer.owner is not None:
            raise MayNotDecide("An agent's key may not revoke a grant; a person has to.")
        if Role.ADMIN not in reviewer.roles and reviewer.principal != grant.by:
            raise MayNotDecide(f"Only {grant.name or grant.by}, who made it, or an admin may revoke this grant.")
        return await self._store.grants.revoke(grant_id, by=reviewer.principal)

    async def _approve(
        self,
        hold_id: str,
        reviewer: Reviewer,
        asked: GrantChoice,
        *,
        digest: str,
        reason: str,
        seen_whole: bool,
        factor: Factor | None,
    ) -> Hold:
        """The hold with the approval on it. Where that has to be confirmed, the grant waits with it (`StepUpNeeded`)."""
        try:
            return await self._decider.decide(
                hold_id, reviewer, DecisionKind.APPROVE, digest=digest, reason=reason, seen_whole=seen_whole,
                factor=factor, asking=False,
            )  # fmt: skip
        except StepUpNeeded:
            raise await self._decider.step_up.ask(
                reviewer, [Covered(hold_id, digest)], reason=reason, seen_whole=seen_whole, grant=asked
            ) from None

    def _checked(self, hold: Hold, scope: GrantScope, subject: str, uses: int, age_ms: int) -> str:
        """The subject of the grant, once all of it is within the limits."""
        limits = self.limits(hold)
        if limits is None:
            raise MayNotDecide("The policy allows no standing approval for requests like this one. Approve it alone.")
        if scope not in limits.scopes:
            raise MayNotDecide(f"The policy allows no standing approval for a {scope.value} here.")
        if not 1 <= uses <= limits.uses:
            raise MayNotDecide(f"The policy allows 1 to {limits.uses} uses here.")
        if not 1 <= age_ms <= limits.age_ms:
            raise MayNotDecide(f"The policy allows at most {duration(limits.age_ms)} here.")
        if scope is GrantScope.REQUESTER:
            if subject not in ("", hold.requester.principal):
                raise MayNotDecide("A standing approval for a requester is for the one of this request.")
            return hold.requester.principal
        if subject not in self.groups_of(hold):
            raise MayNotDecide("Name one of the requester's groups: a standing approval is for one of them.")
        return subject


def _refuse_borrowed(hold: Hold, reviewer: Reviewer, now_ms: int) -> None:
    """Raise `MayNotDecide` unless the person may decide by their own groups, on somebody else's request."""
    authority.check_not_own(hold, reviewer)
    if authority.check(hold, reviewer, now_ms=now_ms).absent is not None:
        raise MayNotDecide("Who stands in for somebody decides on single requests, and makes no standing approvals.")


def _refuse_shared(hold: Hold, reviewer: Reviewer, now_ms: int) -> None:
    """Raise `MayNotDecide` unless the approval of this one person, of the text as it was sent, decides the hold."""
    if any(decision.edits or decision.glass for decision in hold.decisions):
        raise MayNotDecide("This request is no model for others: it was edited, or let through in an emergency.")
    # The approval itself brings the proof that may be asked for.
    alone = decision_by(reviewer, DecisionKind.APPROVE, hold, now_ms, factor=Factor.SIGN_IN)
    if not authority.progress(hold, (alone,)).complete:
        raise MayNotDecide("Your approval alone does not decide this request, so you cannot approve similar ones.")


def _approval(hold: Hold, reviewer: Reviewer) -> Decision:
    """The approval that the grant goes with: `Decider.decide` has written it, or found it."""
    for decision in hold.decisions:
        if people.is_by(decision, reviewer) and decision.kind is DecisionKind.APPROVE and not decision.glass:
            return decision
    raise MayNotDecide("Your approval is not on this request any more. Look at it again.")


def _grant_of(hold: Hold, approval: Decision, reviewer: Reviewer, asked: GrantChoice, *, reason: str) -> Grant:
    return Grant(
        id=_id_of(hold, approval),
        by=approval.by,
        name=reviewer.name,
        scope=asked.scope,
        subject=asked.subject,
        owner=(hold.requester.owner or "") if asked.scope is GrantScope.REQUESTER else "",
        connection=hold.connection,
        rules=review_rules(hold.evaluation),
        uses=asked.uses,
        created_ms=approval.at_ms,
        expires_ms=approval.at_ms + asked.age_ms,
        hold=hold.id,
        reason=reason,
        aliases=tuple(sorted({reviewer.principal, *reviewer.aliases, *approval.aliases} - {approval.by})),
    )


def _id_of(hold: Hold, approval: Decision) -> str:
    """One grant for each hold and person, however often it is asked for. Names neither."""
    return "g" + hashlib.sha256(f"{hold.id}\0{approval.by}".encode()).hexdigest()[:20]
