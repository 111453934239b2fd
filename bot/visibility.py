"""Who may look at which holds. Pure. Looking is not deciding: that is `holdpoint.policy.authority`.

Admins and auditors see every hold. Everybody else sees those that a group of theirs may decide on, or of an absent person
in whose place they decide, and those that they have decided on themselves.
"""

from __future__ import annotations

from holdpoint.model import Hold, Reviewer, Role
from holdpoint.policy import people

_ALL = frozenset({Role.ADMIN, Role.AUDITOR})


def sees_all(reviewer: Reviewer) -> bool:
    """Whether no hold is hidden from this person."""
    return bool(_ALL & reviewer.roles)


def may_read(reviewer: Reviewer) -> bool:
    """Whether this person may look at holds at all."""
    return sees_all(reviewer) or Role.REVIEWER in reviewer.roles or bool(groups_of(reviewer))


def may_see(hold: Hold, reviewer: Reviewer) -> bool:
    """Whether this person may look at ``hold``."""
    if sees_all(reviewer) or any(people.is_by(decision, reviewer) for decision in hold.decisions):
        return True
    groups = groups_of(reviewer)
    return any(not groups.isdisjoint((requirement.group, *requirement.alternates)) for requirement in hold.requirements)


def groups_of(reviewer: Reviewer) -> frozenset[str]:
    """Their own groups, and those of everybody in whose place they decide."""
    return reviewer.groups.union(*(absent.groups for absent in reviewer.stands_in_for))
