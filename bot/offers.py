"""What can be done from a card, and by whom. Pure. Every click is checked again where it arrives."""

from __future__ import annotations

from bot.pieces import Action
from holdpoint.errors import MayNotDecide
from holdpoint.lifecycle import is_late
from holdpoint.model import Hold, Reviewer, State
from holdpoint.policy import authority


def offers(hold: Hold, *, now_ms: int, viewer: Reviewer | None, masked: bool) -> tuple[tuple[Action, ...], str]:
    """The actions, in the order of `Action`, and why ``viewer`` may not decide (empty where that is not the reason).

    ``viewer`` None: a card for everybody. ``masked``: the policy hides something of the text.
    """
    if hold.state is not State.PENDING or is_late(hold, now_ms):
        return (Action.VIEW,), ""
    right = None
    if viewer is not None:
        try:
            right = authority.check(hold, viewer, now_ms=now_ms)
        except MayNotDecide as refusal:
            return (Action.VIEW,), str(refusal)
    offered = {
        Action.EDIT: any(part.editable for part in hold.query.parts) and not (right and right.own),
        Action.CLAIM: not _is_claimed(hold, viewer),
        Action.UNCLAIM: _is_claimed(hold, viewer),
        Action.GRANT: may_be_granted(hold) and not (right and (right.own or right.absent)),
        Action.REVEAL: masked,
    }
    return tuple(action for action in Action if offered.get(action, True)), ""


def may_be_granted(hold: Hold) -> bool:
    """Whether the policy allows for grants, and one approval is all that this hold needs."""
    return hold.evaluation.terms.grant is not None and sum(need.approvals for need in hold.requirements) == 1


def _is_claimed(hold: Hold, viewer: Reviewer | None) -> bool:
    """By ``viewer``; on a card for everybody, by anybody."""
    return hold.claim is not None and (viewer is None or hold.claim.by == viewer.principal)
