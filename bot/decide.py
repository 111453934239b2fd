"""Reviewer + hold + choice → the hold as it is now, or a `DecisionError`. Knows no platform.

The steps, in this order, on the hold as it is stored at this moment; any doubt refuses and changes nothing:

1. The very same decision of the very same person is there already (a double click, a repeated delivery): done.
2. The hold is pending and its deadline is ahead, else `TooLate` says who was first.
3. The person may decide (policy/authority.py), else `MayNotDecide` says why. So it does when they approve a text of
   high risk of which they have seen only a part, their own request in another form than they sent it, or under a rule
   that they have changed a moment ago (policy/separation.py).
4. The digest that they saw is the digest that is held, else `WrongDigest`.
5. The policy in force now does not block the text, else `MayNotDecide`. Edits name editable parts, change them, and
   pass that policy too, else `BadEdit`.
6. Where the hold's rules ask for it, an approval waits until the person has confirmed that it is them: it is kept, and
   `StepUpNeeded` says where. A rejection is the safe direction, and counts at once.
7. The store writes decision and state together, if nothing moved meanwhile; else all of it again from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.edits import Change, changes_of, edited, same_edits
from bot.plans import Plan, decision_by, plan_of
from bot.refusals import refuse_approval
from bot.sentences import already_sentence
from bot.separation import RuleChanges
from bot.stepup import StepUpAsking, factor_of, is_unconfirmed
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotRead, StepUpNeeded, StoreUnavailable, TooLate, WrongDigest
from holdpoint.lifecycle import is_late
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Edit, Factor, Hold, Reviewer, Risk, State, Verdict
from holdpoint.policy import authority, people, separation
from holdpoint.policy.mask import Masks
from holdpoint.store import Store
from holdpoint.store.bundles import Covered

_ATTEMPTS = 32  # as many people may decide at the very same moment


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a reviewer has chosen, as `Decider.decide` was told."""

    reviewer: Reviewer
    kind: DecisionKind
    digest: str
    reason: str
    edits: Sequence[Edit]
    seen_whole: bool
    factor: Factor | None
    asking: bool


class Decider:
    """Takes decisions from every channel."""

    def __init__(self, store: Store, live: Live, *, clock: Clock, metrics: Metrics, link_base: str) -> None:
        """``link_base`` is where people reach the web inbox."""
        self._store = store
        self._live = live
        self._clock = clock
        self._metrics = metrics
        self.step_up = StepUpAsking(store, link_base=link_base)
        self._changes = RuleChanges(store)

    async def decide(
        self,
        hold_id: str,
        reviewer: Reviewer,
        kind: DecisionKind,
        *,
        digest: str,
        reason: str = "",
        edits: Sequence[Edit] = (),
        seen_whole: bool = True,
        factor: Factor | None = None,
        asking: bool = True,
    ) -> Hold:
        """Decide on a hold. ``digest`` is the one that the reviewer's card showed; ``edits`` carry whole new texts.

        ``reviewer`` was verified by the channel, with groups as of now. Masked places of a text may come back as the
        masks that the reviewer saw; they stand for what they hide. ``seen_whole`` is False where the channel showed a
        part of the text only; then an approval at high risk counts once they have read all of it (`Conversation.read`).
        ``factor`` is how they have just shown that it is them, beside a fresh sign-in. ``asking`` is False where the
        caller keeps the approvals of several holds together (`ask`).

        Raises:
            NotFound: there is no such hold.
            StepUpNeeded: the approval is kept, and waits to be confirmed.
            TooLate, MayNotDecide, WrongDigest, BadEdit: see the steps above. Nothing was changed.
            StoreUnavailable: it is not known whether the decision was written; the same call may be repeated.
        """
        await self._live.ensure_fresh()
        choice = _Choice(reviewer, kind, digest, reason, edits, seen_whole, factor, asking)
        for _ in range(_ATTEMPTS):
            decided = await self._attempt(hold_id, choice)
            if decided is not None:
                return decided
        raise StoreUnavailable("the hold kept changing; nothing was decided")

    async def _attempt(self, hold_id: str, choice: _Choice) -> Hold | None:
        """All the steps, once; None when something moved meanwhile."""
        hold = await self._store.holds.get(hold_id)
        masks = self._live.snapshot.policy.masks
        now_ms = self._clock()
        if _is_repeat(hold, choice, masks, now_ms):
            return hold
        plan = await self._checked(hold, choice, masks, now_ms)
        try:
            if is_unconfirmed(hold, plan.decision):
                raise await self._step_up_for(hold, choice)
            decided = await self._store.holds.decide(hold, plan.decision, state=plan.state, body=plan.body)
        except Conflict:
            return None
        self._count(decided, plan)
        return decided

    async def _checked(self, hold: Hold, choice: _Choice, masks: Masks, now_ms: int) -> Plan:
        """What is to be written, once nothing is against it: steps 2 to 5."""
        reviewer, kind = choice.reviewer, choice.kind
        right = _refuse(hold, reviewer, choice.digest, now_ms)
        changes = changes_of(hold, choice.edits, masks)
        if kind is DecisionKind.APPROVE:
            if not choice.seen_whole:
                await self._refuse_unread(hold, reviewer)
            await self._refuse_approval(hold, reviewer, right, changes, now_ms)
        shown = factor_of(hold, reviewer, kind, choice.factor, now_ms)
        said = decision_by(reviewer, kind, hold, now_ms, reason=choice.reason, right=right, factor=shown)
        return plan_of(hold, said, changes)

    async def _step_up_for(self, hold: Hold, choice: _Choice) -> StepUpNeeded:
        """What to raise; the approval is kept until it is confirmed, unless the caller keeps it."""
        if not choice.asking:
            return StepUpNeeded()
        return await self.step_up.ask(
            choice.reviewer, [Covered(hold.id, choice.digest)],
            reason=choice.reason, edits=choice.edits, seen_whole=choice.seen_whole,
        )  # fmt: skip

    async def _refuse_unread(self, hold: Hold, reviewer: Reviewer) -> None:
        """Raise `NotRead` when ``reviewer`` was shown a part of a text of high risk, and has not read the rest."""
        if hold.evaluation.risk is not Risk.HIGH:
            return
        if not await self._store.talk.has_read(hold.id, by=reviewer.principal, digest=hold.digest):
            raise NotRead(
                "You have seen only a part of this text, and its risk is high. Read all of it with View full, then approve."
            )

    async def _refuse_approval(
        self, hold: Hold, reviewer: Reviewer, right: authority.Right, changes: Sequence[Change], now_ms: int
    ) -> None:
        """Raise `MayNotDecide` or `BadEdit` when the policy in force, or the separation of duties, is against it."""
        query = edited(hold.query, changes) if changes else hold.query
        now = self._live.snapshot.policy.evaluate(query, hold.requester, now_ms)
        refuse_approval(hold, now, right, changes)
        separation_ms = max(hold.evaluation.terms.separation_ms, now.terms.separation_ms)
        if separation_ms:
            lately = await self._changes.since(now_ms - separation_ms)
            rules = frozenset(hit.rule for hit in (*hold.evaluation.hits, *now.hits) if hit.verdict is Verdict.REVIEW)
            separation.check(reviewer, right, lately, rules=rules, separation_ms=separation_ms, now_ms=now_ms)

    def _count(self, hold: Hold, plan: Plan) -> None:
        self._metrics.decisions[plan.decision.channel, plan.decision.kind.value] += 1
        if plan.state is not State.PENDING:
            self._metrics.decision_seconds.observe((plan.decision.at_ms - hold.created_ms) / 1000)


def _refuse(hold: Hold, reviewer: Reviewer, digest: str, now_ms: int) -> authority.Right:
    if hold.state is not State.PENDING or is_late(hold, now_ms):
        raise TooLate(already_sentence(hold, now_ms=now_ms))
    right = authority.check(hold, reviewer, now_ms=now_ms)
    if digest != hold.digest:
        raise WrongDigest(_changed_sentence(hold))
    return right


def _changed_sentence(hold: Hold) -> str:
    editor = next((each for each in reversed(hold.decisions) if each.edits), None)
    if editor is None:
        return "This is not the text that is held. Look at the hold again."
    return f"{editor.name or editor.by} has edited the text since. Look at it again before you decide."


def _is_repeat(hold: Hold, choice: _Choice, masks: Masks, now_ms: int) -> bool:
    """Whether this very decision stands already: same person, same choice, on the same text, with the same edits.

    A plain approval that counts for nothing is no repeat once it would count: their turn has come, they joined a group.
    """
    reviewer, kind, digest, edits = choice.reviewer, choice.kind, choice.digest, choice.edits
    repeated = any(
        people.is_by(done, reviewer) and done.kind is kind and done.digest == digest and same_edits(done, edits, masks)
        for done in hold.decisions
    )
    could_count = hold.state is State.PENDING and digest == hold.digest and kind is DecisionKind.APPROVE and not edits
    return repeated and not (could_count and authority.counts_anew(hold, reviewer, now_ms=now_ms))
