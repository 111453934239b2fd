"""Which standing approval lets a request pass that the policy would hold, and how wide one may be made. Pure.

A grant stands in for one approval of one person, and for nothing else. Whatever the policy in force says counts first:
what it blocks stays blocked, and a grant covers a request only while all of this holds (`covering`):

1. The policy reviews the request, and by rules that the grant names; none of them is one that no document writes
   (``default``, ``uninspectable``, ``pause``), and nothing in the request could not be inspected.
2. These rules still allow grants, to this scope, and to an age and a number of uses that this one has not passed.
3. One approval would do: a grant is one person's word.
4. It is for this connection and this requester (or a group of theirs), and was not made by that requester, nor by the
   owner of the agent that is the requester.
5. It is neither revoked nor expired. Whether it has a use left is known in Redis alone (``store.grants.use``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from holdpoint.model import Evaluation, GrantLimits, GrantScope, Query, Requester, Verdict
from holdpoint.policy import people
from holdpoint.policy.rules import RESERVED_IDS
from holdpoint.standing import Grant


def review_rules(evaluation: Evaluation) -> tuple[str, ...]:
    """The rules that hold the request, in the order of the document."""
    return tuple(hit.rule for hit in evaluation.hits if hit.verdict is Verdict.REVIEW)


def limits_of(evaluation: Evaluation, query: Query) -> GrantLimits | None:
    """The widest grant that may stand for requests like this one; None where none may (1 to 3)."""
    rules = review_rules(evaluation)
    if evaluation.verdict is not Verdict.REVIEW or not rules or not set(rules).isdisjoint(RESERVED_IDS):
        return None
    if query.uninspectable or sum(requirement.approvals for requirement in evaluation.requirements) != 1:
        return None
    return evaluation.terms.grant


def narrower(one: GrantLimits | None, other: GrantLimits | None) -> GrantLimits | None:
    """What both allow."""
    if one is None or other is None or one.scopes.isdisjoint(other.scopes):
        return None
    return GrantLimits(min(one.uses, other.uses), min(one.age_ms, other.age_ms), one.scopes & other.scopes)


def covering(
    grants: Iterable[Grant],
    query: Query,
    requester: Requester,
    groups: Collection[str],
    evaluation: Evaluation,
    now_ms: int,
) -> tuple[Grant, ...]:
    """Those of ``grants`` that cover the request. ``groups`` are all of the requester's, the policy's own included."""
    limits = limits_of(evaluation, query)
    if limits is None:
        return ()
    rules = frozenset(review_rules(evaluation))
    return tuple(
        grant
        for grant in grants
        if grant.connection == query.connection
        and _is_for(grant, requester, groups)
        and rules.issubset(grant.rules)
        and grant.scope in limits.scopes
        and grant.revoked_ms is None
        and now_ms < min(grant.expires_ms, grant.created_ms + limits.age_ms)
    )


def _is_for(grant: Grant, requester: Requester, groups: Collection[str]) -> bool:
    if people.is_own(requester, grant.by, *grant.aliases):
        return False
    if grant.scope is GrantScope.GROUP:
        return grant.subject in groups
    return (grant.subject, grant.owner) == (requester.principal, requester.owner or "")
