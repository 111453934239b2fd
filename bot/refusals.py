"""What the policy in force has against an approval that the hold's own rules would let count. Pure.

The rules of a hold are those by which it was held. What was pushed since can only forbid: nothing that an admin has
stopped meanwhile gets through, and no edit turns a text into one that would have needed more than this hold asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.edits import Change
from holdpoint.errors import BadEdit, MayNotDecide
from holdpoint.model import Evaluation, Hold, Verdict
from holdpoint.policy.authority import Right


def refuse_approval(hold: Hold, now: Evaluation, right: Right, changes: Sequence[Change]) -> None:
    """Refuse, because of what the policy says ``now`` of the text as it would be forwarded, with ``changes`` in it.

    Raises:
        MayNotDecide: it is blocked by now; it has to be confirmed, and they stand in for somebody; or it is their own
            request, which they may not approve, or not so.
        BadEdit: the policy asks for more than this hold does.
    """
    if right.absent is not None and hold.evaluation.terms.step_up_ms is not None:
        # Whoever took over the absent person's chat account may have named them their delegate.
        raise MayNotDecide(
            f"An approval of this request is confirmed by its person, so nobody gives it for {right.absent.principal}, who is"
            " away. You may reject it."
        )
    if changes and right.own:
        raise MayNotDecide("You may approve your own request as you sent it, and not edit it.")
    if changes:
        _refuse_edit(hold, now, changes)
    elif now.verdict is Verdict.BLOCK:
        raise MayNotDecide(
            f"The policy in force blocks this text by now ({_rules(now, Verdict.BLOCK)}). Reject it or edit it."
        )
    if right.own and now.verdict is Verdict.REVIEW and not now.terms.self_approval:
        raise MayNotDecide("By the policy in force nobody may approve this request of their own any more.")


def _refuse_edit(hold: Hold, now: Evaluation, changes: Sequence[Change]) -> None:
    if now.verdict is Verdict.BLOCK:
        raise BadEdit(f"the policy blocks the edited text ({_rules(now, Verdict.BLOCK)})")
    if any(change.part.path in now.edits for change in changes):
        # The policy would change the text once more: then it would not be the one that the reviewer wrote.
        raise BadEdit(f"the policy does not let the edited text through as it is ({_rules(now, Verdict.MODIFY)})")
    why = f", which this hold does not ask for ({_rules(now, Verdict.REVIEW)})"
    asked = {requirement.group: requirement for requirement in hold.evaluation.requirements}
    for needed in now.requirements:
        held = asked.get(needed.group)
        if held is None or held.approvals < needed.approvals:
            raise BadEdit(f"the edited text needs {needed.approvals} from {needed.group}{why}")
        if not set(needed.after) <= set(held.after):
            raise BadEdit(f"the edited text needs {needed.group} to approve after others{why}")
    held_by = hold.evaluation.terms
    if now.terms.confirm_edits and not held_by.confirm_edits:
        raise BadEdit(f"the edited text needs somebody else to confirm it{why}")
    if now.terms.step_up_ms is not None and (held_by.step_up_ms is None or now.terms.step_up_ms < held_by.step_up_ms):
        raise BadEdit(f"approving the edited text has to be confirmed{why}")


def _rules(evaluation: Evaluation, verdict: Verdict) -> str:
    names = [hit.rule for hit in evaluation.hits if hit.verdict is verdict]
    return f"rule {names[0]}" if len(names) == 1 else f"rules {', '.join(names)}" if names else "no policy in force"
