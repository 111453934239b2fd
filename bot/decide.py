"""Reviewer + hold + choice → the hold as it is now, or a `DecisionError`. Knows no platform.

The steps, in this order, on the hold as it is stored at this moment; any doubt refuses and changes nothing:

1. The very same decision of the very same person is there already (a double click, a repeated delivery): done.
2. The hold is pending and its deadline is ahead, else `TooLate` says who was first.
3. The person may decide (policy/authority.py), else `MayNotDecide` says why. So it does when they approve a text of
   high risk of which they have seen only a part.
4. The digest that they saw is the digest that is held, else `WrongDigest`.
5. The policy in force now does not block the text, else `MayNotDecide`. Edits name editable parts, change them, and
   pass that policy too, else `BadEdit`.
6. The store writes decision and state together, if nothing moved meanwhile; else all of it again from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.edits import Change, changes_of, edited, same_edits
from bot.sentences import already_sentence
from holdpoint import canonical
from holdpoint.clock import Clock
from holdpoint.errors import BadEdit, Conflict, MayNotDecide, NotRead, StoreUnavailable, TooLate, WrongDigest
from holdpoint.lifecycle import is_late
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Decision, DecisionKind, Edit, Evaluation, Hold, Query, Reviewer, Risk, State, Verdict
from holdpoint.policy import Policy, authority
from holdpoint.policy.mask import Masks
from holdpoint.store import Store

_ATTEMPTS = 32  # as many people may decide at the very same moment
_REASON_CHARACTERS = 4_000


class Decider:
    """Takes decisions from every channel."""

    def __init__(self, store: Store, live: Live, *, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._metrics = metrics

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
    ) -> Hold:
        """Decide on a hold. ``digest`` is the one that the reviewer's card showed; ``edits`` carry whole new texts.

        ``reviewer`` was verified by the channel, with groups as of now. Masked places of a text may come back as the
        masks that the reviewer saw; they stand for what they hide. ``seen_whole`` is False where the channel showed a
        part of the text only; then an approval at high risk counts once they have read all of it (`Conversation.read`).

        Raises:
            NotFound: there is no such hold.
            TooLate, MayNotDecide, WrongDigest, BadEdit: see the steps above. Nothing was changed.
            StoreUnavailable: it is not known whether the decision was written; the same call may be repeated.
        """
        await self._live.ensure_fresh()
        for _ in range(_ATTEMPTS):
            hold = await self._store.holds.get(hold_id)
            masks = self._live.snapshot.policy.masks
            if _is_repeat(hold, reviewer, kind, digest, edits, masks):
                return hold
            now_ms = self._clock()
            _refuse(hold, reviewer, digest, now_ms)
            if kind is DecisionKind.APPROVE and not seen_whole:
                await self._refuse_unread(hold, reviewer)
            plan = self._plan(hold, reviewer, kind, reason, changes_of(hold, edits, masks), now_ms)
            try:
                decided = await self._store.holds.decide(hold, plan.decision, state=plan.state, body=plan.body)
            except Conflict:
                continue
            self._count(decided, plan)
            return decided
        raise StoreUnavailable("the hold kept changing; nothing was decided")

    async def _refuse_unread(self, hold: Hold, reviewer: Reviewer) -> None:
        """Raise `NotRead` when ``reviewer`` was shown a part of a text of high risk, and has not read the rest."""
        if hold.evaluation.risk is not Risk.HIGH:
            return
        if not await self._store.talk.has_read(hold.id, by=reviewer.principal, digest=hold.digest):
            raise NotRead(
                "You have seen only a part of this text, and its risk is high. Read all of it with View full, then approve."
            )

    def _plan(
        self, hold: Hold, reviewer: Reviewer, kind: DecisionKind, reason: str, changes: Sequence[Change], now_ms: int
    ) -> Plan:
        """What is to be written. The only place where a state follows from a decision."""
        if len(reason) > _REASON_CHARACTERS:
            raise BadEdit(f"the reason is longer than {_REASON_CHARACTERS:,} characters")
        if kind is DecisionKind.REJECT and changes:
            raise BadEdit("a rejection cannot carry edits")
        after, body = hold, None
        if kind is DecisionKind.APPROVE and not changes:
            refuse_blocked(self._live.snapshot.policy, hold, now_ms)
        if changes:
            query = edited(hold.query, changes)
            self._refuse_edit(hold, query, changes, now_ms)
            body = query.body
            result = canonical.digest(connection=hold.connection, method=hold.method, target=hold.target, body=body)
            after = replace(hold, query=query, digest=result)
        decision = replace(
            decision_by(reviewer, kind, hold, now_ms, reason=reason),
            result_digest=after.digest,
            edits=tuple(Edit(change.part.path, change.text) for change in changes),
            before=tuple(Edit(change.part.path, change.part.text) for change in changes),
        )
        if kind is DecisionKind.REJECT:
            return Plan(decision, State.REJECTED, None)
        complete = authority.progress(after, (*hold.decisions, decision)).complete
        return Plan(decision, State.APPROVED if complete else State.PENDING, body)

    def _refuse_edit(self, hold: Hold, query: Query, changes: Sequence[Change], now_ms: int) -> None:
        """Raise `BadEdit` when the policy in force does not let the edited text pass under this hold's reviewers."""
        evaluation = self._live.snapshot.policy.evaluate(query, hold.requester, now_ms)
        if evaluation.verdict is Verdict.BLOCK:
            raise BadEdit(f"the policy blocks the edited text ({_rules(evaluation, Verdict.BLOCK)})")
        if any(change.part.path in evaluation.edits for change in changes):
            # The policy would change the text once more: then it would not be the one that the reviewer wrote.
            raise BadEdit(
                f"the policy does not let the edited text through as it is ({_rules(evaluation, Verdict.MODIFY)})"
            )
        approvals = {requirement.group: requirement.approvals for requirement in hold.evaluation.requirements}
        for requirement in evaluation.requirements:
            if approvals.get(requirement.group, 0) < requirement.approvals:
                raise BadEdit(
                    f"the edited text needs {requirement.approvals} from {requirement.group}, which this hold does not ask for"
                    f" ({_rules(evaluation, Verdict.REVIEW)})"
                )
        if evaluation.terms.confirm_edits and not hold.evaluation.terms.confirm_edits:
            raise BadEdit(
                "the edited text needs somebody else to confirm it, which this hold does not ask for"
                f" ({_rules(evaluation, Verdict.REVIEW)})"
            )

    def _count(self, hold: Hold, plan: Plan) -> None:
        self._metrics.decisions[plan.decision.channel, plan.decision.kind.value] += 1
        if plan.state is not State.PENDING:
            self._metrics.decision_seconds.observe((plan.decision.at_ms - hold.created_ms) / 1000)


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision, the state that follows, and the body when it was edited."""

    decision: Decision
    state: State
    body: bytes | None


def decision_by(reviewer: Reviewer, kind: DecisionKind, hold: Hold, now_ms: int, *, reason: str = "") -> Decision:
    """What ``reviewer`` says of the text of ``hold`` as it is."""
    return Decision(
        kind=kind,
        by=reviewer.principal,
        name=reviewer.name,
        groups=tuple(sorted(reviewer.groups)),
        channel=reviewer.channel,
        at_ms=now_ms,
        digest=hold.digest,
        result_digest=hold.digest,
        reason=reason,
    )


def refuse_blocked(policy: Policy, hold: Hold, now_ms: int) -> None:
    """Raise `MayNotDecide` when a rule that was pushed since blocks the text: no approval lets through what it stops."""
    evaluation = policy.evaluate(hold.query, hold.requester, now_ms)
    if evaluation.verdict is Verdict.BLOCK:
        raise MayNotDecide(
            f"The policy in force blocks this text by now ({_rules(evaluation, Verdict.BLOCK)}). Reject it or edit it."
        )


def _refuse(hold: Hold, reviewer: Reviewer, digest: str, now_ms: int) -> None:
    if hold.state is not State.PENDING or is_late(hold, now_ms):
        raise TooLate(already_sentence(hold, now_ms=now_ms))
    authority.check(hold, reviewer)
    if digest != hold.digest:
        raise WrongDigest(_changed_sentence(hold))


def _changed_sentence(hold: Hold) -> str:
    editor = next((each for each in reversed(hold.decisions) if each.edits), None)
    if editor is None:
        return "This is not the text that is held. Look at the hold again."
    return f"{editor.name or editor.by} has edited the text since. Look at it again before you decide."


def _is_repeat(
    hold: Hold, reviewer: Reviewer, kind: DecisionKind, digest: str, edits: Sequence[Edit], masks: Masks
) -> bool:
    """Whether this very decision stands already: same person, same choice, on the same text, with the same edits."""
    return any(
        done.by == reviewer.principal and done.kind is kind and done.digest == digest and same_edits(done, edits, masks)
        for done in hold.decisions
    )


def _rules(evaluation: Evaluation, verdict: Verdict) -> str:
    names = [hit.rule for hit in evaluation.hits if hit.verdict is verdict]
    return f"rule {names[0]}" if len(names) == 1 else f"rules {', '.join(names)}" if names else "no policy in force"
