"""One decision, and the state that follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.edits import Change, edited
from holdpoint import canonical
from holdpoint.errors import BadEdit
from holdpoint.model import Decision, DecisionKind, Edit, Factor, Hold, Reviewer, State
from holdpoint.policy import authority

_REASON_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision, the state that follows, and the body when it was edited."""

    decision: Decision
    state: State
    body: bytes | None


def plan_of(hold: Hold, said: Decision, changes: Sequence[Change]) -> Plan:
    """What is to be written. The only place where a state follows from a decision."""
    if len(said.reason) > _REASON_CHARACTERS:
        raise BadEdit(f"the reason is longer than {_REASON_CHARACTERS:,} characters")
    if said.kind is DecisionKind.REJECT:
        if changes:
            raise BadEdit("a rejection cannot carry edits")
        return Plan(said, State.REJECTED, None)
    after, body = hold, None
    if changes:
        query = edited(hold.query, changes)
        body = query.body
        result = canonical.digest(connection=hold.connection, method=hold.method, target=hold.target, body=body)
        after = replace(hold, query=query, digest=result)
    decision = replace(
        said,
        result_digest=after.digest,
        edits=tuple(Edit(change.part.path, change.text) for change in changes),
        before=tuple(Edit(change.part.path, change.part.text) for change in changes),
    )
    complete = authority.progress(after, (*hold.decisions, decision)).complete
    return Plan(decision, State.APPROVED if complete else State.PENDING, body)


def decision_by(
    reviewer: Reviewer,
    kind: DecisionKind,
    hold: Hold,
    now_ms: int,
    *,
    reason: str = "",
    right: authority.Right | None = None,
    factor: Factor | None = None,
) -> Decision:
    """What ``reviewer`` says of the text of ``hold`` as it is; by ``right``, else by nothing but their own groups."""
    said = authority.approval(hold, reviewer, right or authority.Right(reviewer.groups), now_ms)
    return replace(said, kind=kind, reason=reason, factor=factor)
