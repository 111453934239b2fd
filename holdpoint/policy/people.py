"""Who is whom: one person under several principals. Pure; the only place where two principals are compared.

Principals compare after Unicode's NFKC, without surrounding space and without case. A *person* is a connected set of
principals: whoever is an alias of an alias is the same person, whoever said so. Aliases forbid, and give no right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from holdpoint.model import Decision, Requester, Reviewer, StandIn

Names = frozenset[str]
SHELL = "cli:"  # stands before the user's name in the principal of who used the command line


def canonical(principal: str) -> str:
    """Principals are lower-case already; a channel that forgot must not make two people of one."""
    return unicodedata.normalize("NFKC", principal).strip().casefold()


def names(*principals: str) -> Names:
    """Their canonical forms. An empty principal is nobody's, and makes nobody the same as anybody."""
    return frozenset(filter(None, map(canonical, principals)))


def same(one: str, other: str) -> bool:
    """Whether two principals are one."""
    return canonical(one) == canonical(other)


def of_reviewer(reviewer: Reviewer) -> Names:
    return names(reviewer.principal, *reviewer.aliases)


def of_requester(requester: Requester) -> Names:
    """Without the owner of an agent, who is somebody else."""
    return names(requester.principal, *requester.aliases)


def of_absent(absent: StandIn) -> Names:
    return names(absent.principal, *absent.aliases)


def of_decision(decision: Decision) -> Names:
    """Who decided, without those in whose place."""
    return names(decision.by, *decision.aliases)


def is_by(decision: Decision, reviewer: Reviewer) -> bool:
    """Whether ``reviewer`` made ``decision``, under whichever principal."""
    return not of_decision(decision).isdisjoint(of_reviewer(reviewer))


def is_own(requester: Requester, *principals: str) -> bool:
    """Whether one of ``principals`` is the requester, or owns the agent that is."""
    return not names(*principals).isdisjoint(of_requester(requester) | names(requester.owner or ""))


def is_among(person: Names, named: Iterable[str]) -> bool:
    """Whether ``person`` is one of those ``named`` in the record, where only to be so forbids something.

    A shell knows no more than the operating system's user: that may be anybody whose address begins so.
    """
    recorded = names(*named)
    users = {each.removeprefix(SHELL) for each in recorded if each.startswith(SHELL)}
    return any(each in recorded or each.partition("@")[0] in users for each in person)


def whole(person: Names, known: Iterable[Names]) -> Names:
    """``person`` with every principal that ``known`` sets, each of one person, connect to it."""
    apart = list(known)
    grown = True
    while grown:
        grown = False
        for each in apart:
            if not each.isdisjoint(person) and not each <= person:
                person, grown = person | each, True
    return person
