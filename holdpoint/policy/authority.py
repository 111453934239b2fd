"""Who may decide on a hold, and whether enough people have. Pure; the only place where this is known.

1. Not the requester (`check_not_own`).
2. Not the owner of the agent that is the requester (`check_not_own`).
3. No agent: only people decide (`check_not_own`).
4. In a group that is asked for, or that stands in for one, at the moment of the decision (`check`).
5. Approvals of the text that is held now count, others do not (`progress`).
6. One person counts once, over all that is asked for together (`progress`).
7. Where the rules say so, a text that was edited needs an approval by somebody else than who edited it (`progress`).
8. An admin who broke the glass has approved alone (`progress`).

The caller owes the verified identity (the channel), the groups of that moment (the directory) and the hold as it is
stored. Roles do not matter here: an admin outside the groups may not decide either.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdpoint.errors import MayNotDecide
from holdpoint.model import Decision, DecisionKind, Hold, Requester, Requirement, Reviewer


def check(hold: Hold, reviewer: Reviewer) -> None:
    """Let ``reviewer`` decide (approve, edit or reject) on ``hold``, or say why not.

    Raises:
        MayNotDecide: with a sentence for the person.
    """
    check_not_own(hold, reviewer)
    deciding = _deciding_groups(hold.requirements)
    if not deciding:
        raise MayNotDecide("Nobody may decide on this request: it names no reviewers.")
    if reviewer.groups.isdisjoint(deciding):
        raise MayNotDecide(
            f"Only {_listed(deciding, 'or')} may decide on this request; {_membership(reviewer.groups)}."
        )


def check_not_own(hold: Hold, reviewer: Reviewer) -> None:
    """The first three rules: what nobody may do to their own request, whatever else they may.

    Raises:
        MayNotDecide: with a sentence for the person.
    """
    if not _same(reviewer.principal):
        raise MayNotDecide("It is not known who you are, so you may not decide on this request.")
    person = {_same(each) for each in (reviewer.principal, *reviewer.aliases)}
    if _same(hold.requester.principal) in person:
        raise MayNotDecide("This is your own request; somebody else has to decide on it.")
    if hold.requester.owner is not None and _same(hold.requester.owner) in person:
        raise MayNotDecide("This request was sent by an agent of yours; somebody else has to decide on it.")
    if reviewer.owner is not None:
        raise MayNotDecide("An agent's key may not decide; a person has to.")


def is_own(requester: Requester, principal: str) -> bool:
    """Whether ``principal`` is the requester, or owns the agent that is."""
    person = _same(principal)
    return person == _same(requester.principal) or (requester.owner is not None and person == _same(requester.owner))


def _same(principal: str) -> str:
    """Principals are lower-case already; a channel that forgot must not make two people of one."""
    return unicodedata.normalize("NFKC", principal).strip().casefold()


def _deciding_groups(requirements: Iterable[Requirement]) -> list[str]:
    """In the order of the requirements, each once."""
    return list(dict.fromkeys(group for r in requirements for group in (r.group, *r.alternates)))


def _membership(groups: frozenset[str]) -> str:
    return f"you are in {_listed(sorted(groups), 'and')}" if groups else "you are in no group"


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the approvals have come. ``items`` pairs each requirement with the principals that count for it.

    ``unconfirmed``: whatever ``items`` say, somebody else than who edited the text has yet to approve it.
    """

    items: tuple[tuple[Requirement, tuple[str, ...]], ...]
    complete: bool
    unconfirmed: bool = False


def progress(hold: Hold, decisions: Iterable[Decision]) -> Progress:
    """How far ``decisions`` bring ``hold`` as it stands (its digest, its requirements with who joined since)."""
    return tally(hold.requirements, decisions, hold.digest, confirm_edits=hold.evaluation.terms.confirm_edits)


def tally(
    requirements: Sequence[Requirement], decisions: Iterable[Decision], digest: str, *, confirm_edits: bool = False
) -> Progress:
    """The approvals of ``digest`` among ``decisions``, spread over the requirements so that the most are met.

    Nothing is complete without a requirement, unless the glass was broken; nor after a rejection.
    """
    decisions = tuple(decisions)
    approvals = [each for each in decisions if each.kind is DecisionKind.APPROVE and each.result_digest == digest]
    rejected = any(each.kind is DecisionKind.REJECT for each in decisions)
    people: dict[str, Decision] = {}
    for approval in approvals:
        people.setdefault(_same(approval.by), approval)
    slots = [index for index, requirement in enumerate(requirements) for _ in range(requirement.approvals)]
    seated = _seat(slots, requirements, list(people.values()))
    items = tuple(
        (requirement, tuple(seated[slot].by for slot, of in enumerate(slots) if of == index and slot in seated))
        for index, requirement in enumerate(requirements)
    )
    if any(approval.glass for approval in approvals):
        return Progress(items, not rejected)
    unconfirmed = confirm_edits and not _is_confirmed(requirements, decisions, people)
    enough = bool(slots) and all(len(by) >= r.approvals > 0 for r, by in items)
    return Progress(items, enough and not rejected and not unconfirmed, unconfirmed)


def _is_confirmed(
    requirements: Sequence[Requirement], decisions: Sequence[Decision], people: Mapping[str, Decision]
) -> bool:
    """Whether nobody has edited the text, or one of ``people`` who counts is not the one who did so last."""
    editor = next((_same(each.by) for each in reversed(decisions) if each.edits), None)
    return editor is None or any(
        person != editor and any(_counts_for(approval, requirement) for requirement in requirements)
        for person, approval in people.items()
    )


def _seat(slots: Sequence[int], requirements: Sequence[Requirement], people: Sequence[Decision]) -> dict[int, Decision]:
    """Slot → person: a maximum matching (augmenting paths), in which who approved first keeps a seat."""
    seated: dict[int, Decision] = {}

    def find_seat(person: Decision, tried: set[int]) -> bool:
        for slot, index in enumerate(slots):
            if slot in tried or not _counts_for(person, requirements[index]):
                continue
            tried.add(slot)
            if slot not in seated or find_seat(seated[slot], tried):
                seated[slot] = person
                return True
        return False

    for person in people:
        find_seat(person, set())
    return seated


def _counts_for(decision: Decision, requirement: Requirement) -> bool:
    groups = set(decision.groups)
    return requirement.group in groups or not groups.isdisjoint(requirement.alternates)
