"""Whether enough people have approved. Pure. Who may decide at all is `authority`'s part.

1. Approvals of the text that is held now count, others do not.
2. One person counts once, over all that is asked for together, under however many principals they decided.
3. Who decided in the place of an absent person and that person are one: theirs is one seat, whoever takes it.
4. A requirement that comes after others counts approvals only from the moment at which the others are met.
5. Where the rules say so, a text that was edited needs an approval by somebody else than who edited it.
6. Where the rules ask for a fresh proof of who somebody is, an approval without one does not count.
7. What people on the requester's side approved does not count, even where that comes out only later.
8. An admin who broke the glass has approved alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from holdpoint.model import Decision, DecisionKind, Hold, Requirement, Risk
from holdpoint.policy import people
from holdpoint.policy.people import Names


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the approvals have come. ``items`` pairs each requirement with the principals that count for it.

    ``unconfirmed``: whatever ``items`` say, somebody else than who edited the text has yet to approve it. ``early`` are
    the groups whose turn has not come. ``seated`` are all principals of those who count for a requirement.
    """

    items: tuple[tuple[Requirement, tuple[str, ...]], ...]
    complete: bool
    unconfirmed: bool = False
    early: frozenset[str] = frozenset()
    seated: frozenset[str] = frozenset()

    @property
    def due(self) -> tuple[Requirement, ...]:
        """The requirements whose turn has come, met or not."""
        return tuple(requirement for requirement, _ in self.items if requirement.group not in self.early)

    @property
    def filled(self) -> int:
        """How many seats are taken."""
        return sum(len(by) for _, by in self.items)

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """Those whose turn has come, and that are not met."""
        return tuple(
            requirement
            for requirement, by in self.items
            if requirement.group not in self.early and not _is_met(requirement, len(by))
        )


def progress(hold: Hold, decisions: Iterable[Decision]) -> Progress:
    """How far ``decisions`` bring ``hold`` as it stands (its digest, its requirements with who joined since)."""
    terms, requester = hold.evaluation.terms, hold.requester
    barred = people.names(requester.owner or "")
    if not allows_self_approval(hold):
        barred |= people.of_requester(requester)
    return tally(
        hold.requirements,
        decisions,
        hold.digest,
        confirm_edits=terms.confirm_edits,
        proven=terms.step_up_ms is not None,
        barred=barred,
        known=(people.of_requester(requester),),
    )


def allows_self_approval(hold: Hold) -> bool:
    """Whether the requester may approve, too: a person, at low risk, of the text that they sent."""
    requester = hold.requester
    is_person = requester.owner is None and "@" in requester.principal  # a key without an owner may be a program's
    as_sent = hold.digest == hold.original_digest
    return hold.evaluation.terms.self_approval and hold.evaluation.risk is Risk.LOW and is_person and as_sent


def tally(
    requirements: Sequence[Requirement],
    decisions: Iterable[Decision],
    digest: str,
    *,
    confirm_edits: bool = False,
    proven: bool = False,
    barred: Names = frozenset(),
    known: Iterable[Names] = (),
) -> Progress:
    """The approvals of ``digest`` among ``decisions``, oldest first, spread over the requirements so that the most are met.

    Nothing is complete without a requirement, unless the glass was broken; nor after a rejection. ``proven``: only
    approvals with a fresh proof count. Nobody of ``barred`` counts. ``known`` are sets of principals of one person.
    """
    decisions = tuple(decisions)
    rejected = any(each.kind is DecisionKind.REJECT for each in decisions)
    approvals = [each for each in decisions if each.kind is DecisionKind.APPROVE and each.result_digest == digest]
    links = [*known, *map(people.of_decision, decisions), *map(_with_absent, approvals)]
    seating = _Seating(requirements)
    glass = False
    for approval in approvals:
        person = people.whole(people.of_decision(approval), links)
        if person.isdisjoint(barred):
            glass = glass or approval.glass
            if approval.factor is not None or not proven:
                seating.take(person, approval)
    items = seating.items()
    early, seated = seating.early(), seating.seated()
    if glass:
        return Progress(items, not rejected, early=early, seated=seated)
    unconfirmed = confirm_edits and not _is_confirmed(decisions, links, seating.eligible)
    enough = bool(items) and all(_is_met(requirement, len(by)) for requirement, by in items)
    return Progress(items, enough and not rejected and not unconfirmed, unconfirmed, early, seated)


def counts_for(groups: frozenset[str], requirement: Requirement) -> bool:
    """Whether somebody with ``groups`` may fill a seat of ``requirement``."""
    return requirement.group in groups or not groups.isdisjoint(requirement.alternates)


def _with_absent(approval: Decision) -> Names:
    """Who approved, and in whose place."""
    return people.names(approval.by, *approval.behalf, *approval.behalf_aliases)


def _is_met(requirement: Requirement, count: int) -> bool:
    return count >= requirement.approvals > 0


def _is_confirmed(decisions: Sequence[Decision], links: Sequence[Names], counting: Iterable[Names]) -> bool:
    """Whether nobody has edited the text, or one of those who count is not the one who did so last."""
    editor = next((people.of_decision(each) for each in reversed(decisions) if each.edits), None)
    return editor is None or any(person != people.whole(editor, links) for person in counting)


@dataclass(slots=True)
class _Seating:
    """People on the seats of the requirements, as approvals come in.

    ``slots`` names the requirement of each seat, ``eligible`` the requirements that each person has approved for, in the
    order in which they came. A seat once taken stays taken, though who sits there may move to another one of theirs.
    """

    requirements: Sequence[Requirement]
    slots: list[int] = field(init=False)
    eligible: dict[Names, set[int]] = field(default_factory=dict)
    called: dict[Names, str] = field(default_factory=dict)
    taken: dict[int, Names] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = [index for index, each in enumerate(self.requirements) for _ in range(each.approvals)]

    def take(self, person: Names, approval: Decision) -> None:
        """Let ``person`` count for what is due now, and seat whoever finds a place by that."""
        groups = frozenset(approval.groups)
        early = self.early()
        fitting = {
            index
            for index, each in enumerate(self.requirements)
            if each.group not in early and counts_for(groups, each)
        }
        if not fitting:
            return
        self.called.setdefault(person, approval.by)
        self.eligible.setdefault(person, set()).update(fitting)
        for each in self.eligible:
            if each not in self.taken.values():
                self._find_seat(each, set())

    def items(self) -> tuple[tuple[Requirement, tuple[str, ...]], ...]:
        return tuple(
            (each, tuple(self.called[person] for person in self._people_for(index)))
            for index, each in enumerate(self.requirements)
        )

    def early(self) -> frozenset[str]:
        met = {
            each.group for index, each in enumerate(self.requirements) if _is_met(each, len(self._people_for(index)))
        }
        return frozenset(each.group for each in self.requirements if not met.issuperset(each.after))

    def seated(self) -> frozenset[str]:
        return frozenset().union(*self.taken.values())

    def _people_for(self, index: int) -> list[Names]:
        return [self.taken[slot] for slot, of in enumerate(self.slots) if of == index and slot in self.taken]

    def _find_seat(self, person: Names, tried: set[int]) -> bool:
        """One step of a maximum matching (augmenting paths), in which who approved first keeps a seat."""
        for slot, index in enumerate(self.slots):
            if slot in tried or index not in self.eligible[person]:
                continue
            tried.add(slot)
            if slot not in self.taken or self._find_seat(self.taken[slot], tried):
                self.taken[slot] = person
                return True
        return False
