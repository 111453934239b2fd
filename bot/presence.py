"""Who of those who may decide on a hold is there: whom to call, and what a card says when nobody is. Pure.

Nobody's authority and no deadline depends on this. It only spares people a call: who is away is left out, and their
delegate called instead; a group outside its hours is left out. Where that would leave nobody for something that a hold
needs, everybody is called as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.absence import until_words
from bot.callers import MOST_CALLED
from bot.platform import Call
from bot.until import told
from holdpoint.absence import Absence
from holdpoint.model import Hold, Requirement, State
from holdpoint.policy import authority, people
from holdpoint.policy.groups import Group
from holdpoint.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Calling:
    """One group that is called. ``people`` are principals, of its members and of who stands in for them, ten at most."""

    group: Group
    people: tuple[str, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """Those who are no members: where a platform's own list is called, they are not on it by the policy's word."""
        return tuple(person for person in self.people if person not in self.group.members)


def callings(call: Call, snapshot: Snapshot, now_ms: int) -> list[Calling]:
    """The groups that ``call`` means, with whom to call of each: never the requester, nor who has decided already."""
    groups = [each for name in call.groups if (each := snapshot.policy.groups.get(name)) is not None]
    missing = authority.progress(call.hold, call.hold.decisions).missing
    as_ever = {
        name for need in missing if not _is_anybody_there(need, call.hold, snapshot, now_ms) for name in _names(need)
    }
    found = []
    for group in groups:
        if group.name in as_ever:
            found.append(Calling(group, _members(group, call.hold)[:MOST_CALLED]))
        elif _is_open(group, now_ms):
            there = tuple(dict.fromkeys(_there(group, call.hold, snapshot, now_ms)))
            found.append(Calling(group, there[:MOST_CALLED]))
    return found


def off_sentence(hold: Hold, snapshot: Snapshot, now_ms: int) -> str:
    """That nobody is there of a group that has to decide, until when; empty where somebody is, or nothing is known.

    ``security is off until Mon 2026-11-23 09:00 Europe/Berlin. Its people may still decide``
    """
    if hold.state is not State.PENDING:
        return ""
    said: dict[str, None] = {}
    nobody: set[str] = set()
    for need in authority.progress(hold, hold.decisions).missing:
        off = {name: _why_off(name, hold, snapshot, now_ms) for name in _names(need)}
        if all(off.values()):
            nobody.update(off)
        if all(off.values()) or hold.escalated:
            said.update(dict.fromkeys(filter(None, off.values())))
    if not said:
        return ""
    line = "; ".join(said)
    return f"{line}. {'Their' if len(nobody) > 1 else 'Its'} people may still decide" if nobody else line


def moved_ms(hold: Hold) -> int:
    """When something last happened to a hold that waits: as of then a card that everybody sees says who is there."""
    steps = hold.evaluation.escalations[: hold.escalated]
    return max(
        hold.created_ms,
        hold.reminded_ms or 0,
        *(hold.created_ms + step.after_ms for step in steps),
        *(each.at_ms for each in hold.decisions),
        *(each.answered_ms or each.at_ms for each in hold.questions),
    )


def _names(need: Requirement) -> tuple[str, ...]:
    return (need.group, *need.alternates)


def _is_open(group: Group, now_ms: int) -> bool:
    return group.hours is None or group.hours.contains(now_ms)


def _is_anybody_there(need: Requirement, hold: Hold, snapshot: Snapshot, now_ms: int) -> bool:
    """Whether somebody can be called who is there."""
    groups = [each for name in _names(need) if (each := snapshot.policy.groups.get(name)) is not None]
    return any(
        _is_open(group, now_ms) and (_is_kept(group) or any(_there(group, hold, snapshot, now_ms))) for group in groups
    )


def _is_kept(group: Group) -> bool:
    """Whether a platform knows its people, so that nobody here knows who of them is away."""
    return bool(group.slack_usergroup or group.teams_team or group.entra_group)


def _members(group: Group, hold: Hold) -> tuple[str, ...]:
    out = _out(hold)
    return tuple(each for each in sorted(group.members) if "@" in each and people.canonical(each) not in out)


def _there(group: Group, hold: Hold, snapshot: Snapshot, now_ms: int) -> Iterator[str]:
    """Its members who are there, and in the place of the others those who stand in for them."""
    out = _out(hold)
    for member in _members(group, hold):
        absence = snapshot.absences.of(member, now_ms)
        person = member if absence is None else absence.delegate
        is_there = absence is None or snapshot.absences.of(person, now_ms) is None
        if person and is_there and people.canonical(person) not in out:
            yield person


def _out(hold: Hold) -> people.Names:
    """Who is not called in any case: the requester's side, and who has decided, in whosever place."""
    decided = (name for done in hold.decisions for name in (done.by, *done.aliases, *done.behalf))
    return people.of_requester(hold.requester) | people.names(hold.requester.owner or "", *decided)


def _why_off(name: str, hold: Hold, snapshot: Snapshot, now_ms: int) -> str:
    """``security is off until …``, ``everybody in security is away until …``; empty where somebody may be there."""
    group = snapshot.policy.groups.get(name)
    if group is None:
        return ""
    if group.hours is not None and not group.hours.contains(now_ms):
        opens = group.hours.opens(now_ms)
        return f"{name} is off until {told(*opens)}" if opens is not None else f"{name} is off"
    members = _members(group, hold)
    if _is_kept(group) or not members or any(_there(group, hold, snapshot, now_ms)):
        return ""
    away = [absence for member in members if (absence := snapshot.absences.of(member, now_ms)) is not None]
    return f"everybody in {name} is away, the first until {until_words(_first(away))}" if away else ""


def _first(away: list[Absence]) -> Absence:
    return min(away, key=lambda each: each.until_ms)
