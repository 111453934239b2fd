"""Who may look at which holds. Pure. Looking is not deciding: that is `holdpoint.policy.authority`.

Admins and auditors see every hold. Everybody else sees those that a group of theirs may decide on, and those that they
have decided on themselves.
"""

from __future__ import annotations

from holdpoint.model import Hold, Reviewer, Role

_ALL = frozenset({Role.ADMIN, Role.AUDITOR})


def sees_all(reviewer: Reviewer) -> bool:
    """Whether no hold is hidden from this person."""
    return bool(_ALL & reviewer.roles)


def may_read(reviewer: Reviewer) -> bool:
    """Whether this person may look at holds at all."""
    return sees_all(reviewer) or Role.REVIEWER in reviewer.roles or bool(reviewer.groups)


def may_see(hold: Hold, reviewer: Reviewer) -> bool:
    """Whether this person may look at ``hold``."""
    if sees_all(reviewer) or any(decision.by == reviewer.principal for decision in hold.decisions):
        return True
    return any(
        not reviewer.groups.isdisjoint((requirement.group, *requirement.alternates))
        for requirement in hold.requirements
    )
