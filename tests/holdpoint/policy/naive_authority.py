"""Who may decide, and when it is enough, written a second time: slowly, from the promises, sharing nothing with the real one.

People are told apart by walking from address to address. Whether approvals do is found by trying every way to seat them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    group: str
    approvals: int
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absent:
    address: str
    aliases: frozenset[str]
    groups: frozenset[str]
    until: int


@dataclass(frozen=True)
class Person:
    """As a channel describes who acts now."""

    address: str
    aliases: frozenset[str]
    groups: frozenset[str]
    absent: tuple[Absent, ...] = ()
    agent: bool = False


@dataclass(frozen=True)
class Approval:
    person: Person
    behalf: Absent | None
    text: str
    edits: bool
    proven: bool
    glass: bool = False


@dataclass
class Request:
    """What was held, and everything that was said since."""

    asked: tuple[Asked, ...]
    requester: str
    aliases: frozenset[str]
    owner: str | None
    self_approval: bool
    low: bool
    confirm_edits: bool
    step_up: bool
    text: str = "sent"
    said: list[Approval] = field(default_factory=list)

    def told(self, *more: Person) -> list[set[str]]:
        seen: list[Person | Absent] = [*more, *(each.person for each in self.said)]
        seen += [each for person in more for each in person.absent]
        return [{self.requester, *self.aliases}, *({each.address, *each.aliases} for each in seen)]

    def may_approve_own(self) -> bool:
        return self.self_approval and self.low and self.owner is None and "@" in self.requester and self.text == "sent"


def reach(addresses: Iterable[str], told: Sequence[set[str]]) -> set[str]:
    """Every address of the same people, walking from set to set."""
    seen, waiting = set[str](), list(addresses)
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        for each in told:
            if address in each:
                waiting.extend(each)
    return seen


def may(request: Request, person: Person, behalf: Absent | None, now: int) -> bool:
    """Whether ``person`` may approve at all, by their own groups or by those of ``behalf``. Says nothing of whose turn it is."""
    told = request.told(person)
    me = reach([person.address, *person.aliases], told)
    if person.agent:
        return False
    if request.owner is not None and request.owner in me:
        return False
    own = bool(me & {request.requester, *request.aliases})
    if own and not request.may_approve_own():
        return False
    groups = set(person.groups)
    if behalf is not None:
        away = reach([behalf.address, *behalf.aliases], told)
        side = {request.requester, *request.aliases} | ({request.owner} if request.owner else set())
        if own or behalf not in person.absent or now >= behalf.until or away & me or away & reach(side, told):
            return False
        groups |= behalf.groups
    return any(each.group in groups for each in request.asked)


def enough(request: Request) -> bool:
    """Whether some way to seat the approvals of the text as it is keeps every promise."""
    told = request.told()
    barred = {request.owner} if request.owner else set[str]()
    if not request.may_approve_own():
        barred |= {request.requester, *request.aliases}
    counted = [
        (number, each)
        for number, each in enumerate(request.said)
        if each.text == request.text and not reach([each.person.address, *each.person.aliases], told) & barred
    ]
    if any(each.glass for _, each in counted):
        return True
    counted = [(number, each) for number, each in counted if each.proven or not request.step_up]
    return _is_confirmed(request, counted, told) and _seats(request, counted, told)


def _is_confirmed(request: Request, counted: list[tuple[int, Approval]], told: list[set[str]]) -> bool:
    edits = [each for each in request.said if each.edits]
    if not request.confirm_edits or not edits:
        return True
    editor = reach([edits[-1].person.address, *edits[-1].person.aliases], told)
    return any(each.person.address not in editor for _, each in counted)


def _seats(request: Request, counted: list[tuple[int, Approval]], told: list[set[str]]) -> bool:
    """Every seat by somebody else, and none before its turn: what it comes after could all be seated by then."""

    def met(asked: Sequence[Asked], until: int) -> bool:
        return fill([each for each in asked for _ in range(each.approvals)], set(), until)

    def fill(seats: list[Asked], used: set[str], until: int) -> bool:
        if not seats:
            return True
        seat, *others = seats
        for number, approval in counted:
            groups = approval.person.groups | (approval.behalf.groups if approval.behalf else frozenset())
            addresses = [approval.person.address, *approval.person.aliases]
            if approval.behalf is not None:
                addresses += [approval.behalf.address, *approval.behalf.aliases]
            names = reach(addresses, told)
            if number >= until or seat.group not in groups or names & used:
                continue
            if met(_before(request, seat), number) and fill(others, used | names, until):
                return True
        return False

    return (
        bool(request.asked) and all(each.approvals for each in request.asked) and met(request.asked, len(request.said))
    )


def _before(request: Request, asked: Asked) -> list[Asked]:
    """What ``asked`` comes after, over however many steps."""
    direct = [each for each in request.asked if each.group in asked.after]
    return [each for each in request.asked if each in direct or any(each in _before(request, one) for one in direct)]


def could_be_enough(request: Request, actors: Sequence[Person], now: int) -> bool:
    """Whether the seats could be filled by ``actors``, each at most once, were they asked in the right order."""
    told = request.told(*actors)
    ways: list[list[set[str]]] = []
    for seat in (each for each in request.asked for _ in range(each.approvals)):
        found = []
        for person in actors:
            for behalf in (None, *person.absent):
                groups = person.groups | (behalf.groups if behalf else frozenset())
                if seat.group in groups and may(request, person, behalf, now):
                    found.append(reach([person.address, *([behalf.address] if behalf else [])], told))
        ways.append(found)

    def fill(at: int, used: set[str]) -> bool:
        return at == len(ways) or any(not names & used and fill(at + 1, used | names) for names in ways[at])

    return bool(ways) and fill(0, set())
