"""What absences mean for one reviewer: in whose place they may decide now, and the words for it. Pure.

Who stands in gets what the absent person may decide by the policy's own word: the groups whose ``members`` they are in,
at this moment. Groups that a key, a token or a platform's list gave them are not handed on, for nobody vouches for them
while they are away. Nothing but reviewing is handed on: no other role, and nothing that was entrusted to them in turn.
What may be decided with it says `holdpoint.policy.authority`.
"""

from __future__ import annotations

from dataclasses import replace

from bot.until import told, zone_of
from holdpoint.absence import Absence
from holdpoint.model import Reviewer, Role, StandIn
from holdpoint.policy import people
from holdpoint.snapshot import Snapshot


def standing_in(reviewer: Reviewer, snapshot: Snapshot, now_ms: int) -> Reviewer:
    """``reviewer`` with everybody in whose place they may decide now, and the reviewer's role for that.

    Nothing is added to an agent.
    """
    if reviewer.owner is not None:
        return reviewer
    me = people.of_reviewer(reviewer)
    found = tuple(
        StandIn(absence.principal, groups, absence.until_ms, _others(absence, snapshot))
        for absence in snapshot.absences.entrusted_to(reviewer.principal, now_ms)
        if me.isdisjoint(people.names(absence.principal, *_others(absence, snapshot)))
        and (groups := snapshot.groups_of(absence.principal))
    )
    if not found:
        return reviewer
    lent = snapshot.roles_of({group for each in found for group in each.groups})
    return replace(reviewer, stands_in_for=found, roles=reviewer.roles | (lent & {Role.REVIEWER}))


def _others(absence: Absence, snapshot: Snapshot) -> frozenset[str]:
    """Who else the absent person is, as far as they said so themselves, or links do."""
    return snapshot.linked.kin({absence.principal, *absence.aliases}) - {absence.principal}


def away_line(absence: Absence, name: str = "") -> str:
    """``sam@example.com is away until Wed 2026-12-02 00:00 UTC; kim@example.com stands in``, about ``name`` if given."""
    who = name or absence.principal
    is_ = "are" if who == "You" else "is"
    stands_in = f"; {absence.delegate} stands in" if absence.delegate else ""
    return f"{who} {is_} away until {until_words(absence)}{stands_in}"


def until_words(absence: Absence) -> str:
    """When it ends, in the time zone in which that was said."""
    return told(absence.until_ms, zone_of(absence.zone))


def own_lines(reviewer: Reviewer, snapshot: Snapshot, now_ms: int) -> tuple[tuple[str, str], ...]:
    """For one's own page: whether one is away, and for whom one stands in. Pairs of label and text."""
    own = snapshot.absences.of(reviewer.principal, now_ms)
    rows = [("Away", f"until {until_words(own)}{f', {own.delegate} stands in' if own.delegate else ''}")] if own else []
    for absence in snapshot.absences.entrusted_to(reviewer.principal, now_ms):
        groups = ", ".join(sorted(snapshot.groups_of(absence.principal))) or "no group"
        rows.append(("Standing in", f"for {absence.principal} until {until_words(absence)} ({groups})"))
    return tuple(rows)
