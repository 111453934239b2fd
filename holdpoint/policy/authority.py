"""Who may decide on a hold. Pure; with `people` (who is whom) and `quorum` (have enough?) the only place where this is known.

1. Not the requester, nor who shares an identity with them; unless the policy allows for self-approval, at low risk, of
   the text as it was sent, by somebody who is in a group that is asked for (`check`).
2. Not the owner of the agent that is the requester, in no case (`check_not_own`).
3. No agent: only people decide (`check_not_own`).
4. In a group that is asked for, or that stands in for one, at the moment of the decision (`check`).
5. Once it is that group's turn, where one group comes after another (`check`).
6. Or in the place of somebody who is away, with their groups and only where one's own do not do: not on a request of
   theirs or of an agent of theirs, nor where they have approved already (`check`).
7. Not by a rule that oneself, or whom one stands in for, has changed a moment ago, where the policy says so (`separation`).

The caller owes the verified identity (the channel), the groups of that moment (the directory) and the hold as it is
stored. Roles do not matter here: an admin outside the groups may not decide either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from holdpoint.errors import MayNotDecide
from holdpoint.model import Decision, DecisionKind, Factor, Hold, Requirement, Reviewer, StandIn
from holdpoint.policy import people
from holdpoint.policy.people import Names
from holdpoint.policy.quorum import Progress, allows_self_approval, counts_for, progress, tally

__all__ = [
    "Progress",
    "Right",
    "approval",
    "check",
    "check_not_own",
    "counts_anew",
    "is_own_request",
    "progress",
    "tally",
]


@dataclass(frozen=True, slots=True)
class Right:
    """By what somebody decides: ``groups`` that they have, or have with those of ``absent``, in whose place they do.

    ``own``: it is their own request, which they may approve as it is.
    """

    groups: frozenset[str]
    absent: StandIn | None = None
    own: bool = False


def check(hold: Hold, reviewer: Reviewer, *, now_ms: int) -> Right:
    """Let ``reviewer`` decide (approve, edit or reject) on ``hold``, or say why not.

    Raises:
        MayNotDecide: with a sentence for the person.
    """
    own = is_own_request(hold, reviewer) and allows_self_approval(hold)
    if own:
        _check_known(reviewer)
        _check_person(reviewer)
    else:
        check_not_own(hold, reviewer)
    if not hold.requirements:
        raise MayNotDecide("Nobody may decide on this request: it names no reviewers.")
    so_far = progress(hold, hold.decisions)
    absent, why_not = ((), "") if own else _stands_in(hold, reviewer, now_ms)
    rights = [Right(reviewer.groups, own=own), *(Right(reviewer.groups | each.groups, each) for each in absent)]
    for right in rights:
        if _fills_a_seat(hold, reviewer, right, so_far):
            return right
    for right in rights:
        if any(counts_for(right.groups, requirement) for requirement in so_far.due):
            return right
    for right in rights:
        for requirement in hold.requirements:
            if counts_for(right.groups, requirement):
                raise MayNotDecide(_turn_sentence(requirement, so_far))
    deciding = _deciding_groups(hold.requirements)
    raise MayNotDecide(
        f"Only {_listed(deciding, 'or')} may decide on this request; {why_not or _membership(reviewer.groups)}."
    )


def check_not_own(hold: Hold, reviewer: Reviewer) -> None:
    """The first three rules: what nobody may do to their own request, whatever else they may.

    Raises:
        MayNotDecide: with a sentence for the person.
    """
    _check_known(reviewer)
    if is_own_request(hold, reviewer):
        raise MayNotDecide("This is your own request; somebody else has to decide on it.")
    if not _person(hold, reviewer).isdisjoint(people.names(hold.requester.owner or "")):
        raise MayNotDecide("This request was sent by an agent of yours; somebody else has to decide on it.")
    _check_person(reviewer)


def is_own_request(hold: Hold, reviewer: Reviewer) -> bool:
    """Whether ``reviewer`` is the requester, under whichever principal; not whether they own the agent that is."""
    return not _person(hold, reviewer).isdisjoint(people.of_requester(hold.requester))


def counts_anew(hold: Hold, reviewer: Reviewer, *, now_ms: int) -> bool:
    """Whether another approval of theirs would count where those that they have given do not.

    At once, or together with others who approve again, too: of a chain of groups, each may have to move on to the next.
    """
    try:
        right = check(hold, reviewer, now_ms=now_ms)
    except MayNotDecide:
        return False
    so_far, themselves, decisions = progress(hold, hold.decisions), _person(hold, reviewer), hold.decisions
    for done in hold.decisions:
        if done.kind is not DecisionKind.APPROVE or done.result_digest != hold.digest:
            continue
        again = (*decisions, replace(done, factor=Factor.SIGN_IN))
        if people.of_decision(done).isdisjoint(themselves) and progress(hold, again).filled == so_far.filled:
            decisions = again  # it would not do by itself
    return _fills_a_seat(replace(hold, decisions=decisions), reviewer, right, so_far)


def approval(hold: Hold, reviewer: Reviewer, right: Right, now_ms: int) -> Decision:
    """What ``reviewer`` would say if they approved the text that is held now, by ``right``."""
    absent = right.absent
    return Decision(
        kind=DecisionKind.APPROVE,
        by=reviewer.principal,
        name=reviewer.name,
        groups=tuple(sorted(right.groups)),
        channel=reviewer.channel,
        at_ms=now_ms,
        digest=hold.digest,
        result_digest=hold.digest,
        aliases=tuple(sorted(reviewer.aliases)),
        behalf=(absent.principal,) if absent is not None else (),
        behalf_aliases=tuple(sorted(absent.aliases)) if absent is not None else (),
        behalf_until_ms=absent.until_ms if absent is not None else None,
    )


def _fills_a_seat(hold: Hold, reviewer: Reviewer, right: Right, so_far: Progress) -> bool:
    """Whether an approval by ``right`` brings more seats to be taken than are ``so_far``."""
    given = replace(
        approval(hold, reviewer, right, 0), factor=Factor.SIGN_IN
    )  # whatever proof is asked for comes with it
    return progress(hold, (*hold.decisions, given)).filled > so_far.filled


def _check_known(reviewer: Reviewer) -> None:
    if not people.canonical(reviewer.principal):
        raise MayNotDecide("It is not known who you are, so you may not decide on this request.")


def _check_person(reviewer: Reviewer) -> None:
    if reviewer.owner is not None or "@" not in reviewer.principal:
        raise MayNotDecide("An agent's key may not decide; a person has to.")


def _person(hold: Hold, reviewer: Reviewer) -> Names:
    """All principals of ``reviewer`` that can be known here."""
    return people.whole(people.of_reviewer(reviewer), _known(hold, reviewer))


def _known(hold: Hold, reviewer: Reviewer) -> list[Names]:
    """Sets of principals, each of one person."""
    return [
        people.of_reviewer(reviewer),
        *map(people.of_decision, hold.decisions),
        *map(people.of_absent, reviewer.stands_in_for),
    ]


def _stands_in(hold: Hold, reviewer: Reviewer, now_ms: int) -> tuple[list[StandIn], str]:
    """In whose place ``reviewer`` may decide on ``hold``, and why not in somebody else's whose groups are asked for."""
    known = _known(hold, reviewer)
    sides = people.of_requester(hold.requester) | people.names(hold.requester.owner or "")
    themselves = _person(hold, reviewer)
    usable, why_not = [], ""
    for absent in reviewer.stands_in_for:
        away = people.whole(people.of_absent(absent), known)
        if now_ms >= absent.until_ms or not any(counts_for(absent.groups, each) for each in hold.requirements):
            continue
        if not away.isdisjoint(people.whole(sides, known)):
            why_not = f"you stand in for {absent.principal}, whose own request it is"
        elif _has_approved(hold, away, themselves):
            why_not = f"{absent.principal}, for whom you stand in, is counted already"
        elif away.isdisjoint(themselves):
            usable.append(absent)
    return usable, why_not


def _has_approved(hold: Hold, absent: Names, stand_in: Names) -> bool:
    """Whether ``absent`` has approved the text that is held now, or somebody else than ``stand_in`` has in their place."""
    return any(
        not absent.isdisjoint(people.names(done.by, *done.aliases, *done.behalf, *done.behalf_aliases))
        for done in hold.decisions
        if done.result_digest == hold.digest and people.of_decision(done).isdisjoint(stand_in)
    )


def _turn_sentence(requirement: Requirement, so_far: Progress) -> str:
    first = [each.group for each in so_far.missing] or list(requirement.after)
    verb = "has" if len(first) == 1 else "have"
    return f"It is not yet the turn of {requirement.group}: {_listed(first, 'and')} {verb} to approve before."


def _deciding_groups(requirements: Iterable[Requirement]) -> list[str]:
    """In the order of the requirements, each once."""
    return list(dict.fromkeys(group for r in requirements for group in (r.group, *r.alternates)))


def _membership(groups: frozenset[str]) -> str:
    return f"you are in {_listed(sorted(groups), 'and')}" if groups else "you are in no group"


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
