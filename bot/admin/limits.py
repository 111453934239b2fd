"""``limits``: what the policy limits, and who is near."""

from __future__ import annotations

from typing import assert_never

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import suggestion
from bot.answers import Answer, Table, refusal
from holdpoint.policy.limits import Limit, Measure, Per
from holdpoint.store.limits import Use

_MOST_ROWS = 20
_NEAR = 0.8


async def _limits(office: Office, call: Call) -> Answer:
    limits = {limit.id: limit for limit in office.live.snapshot.policy.limits}
    if not limits:
        return Answer(True, ("The policy has no limits.",))
    named = call.get("limit")
    if named and named not in limits:
        return refusal(f"The policy has no such limit.{suggestion(named, limits)}")
    shown = {named: limits[named]} if named else limits
    lines = [_described(limit) for limit in shown.values()]
    found = sorted(_near(shown, await office.store.limits.used()), key=lambda row: row[0], reverse=True)
    over = sum(share >= 1 for share, _ in found)
    near = sum(share >= _NEAR for share, _ in found) - over
    lines.append(f"At their limit now: {over}; near it: {near}.")
    if len(found) > _MOST_ROWS:
        lines.append(f"{len(found) - _MOST_ROWS:,} who use less of theirs are left out here.")
    rows = tuple(cells for _, cells in found[:_MOST_ROWS])
    return Answer(True, tuple(lines), table=Table(("limit", "who", "what", "used", "of"), rows) if rows else None)


def _described(limit: Limit) -> str:
    """``contractors: 60 requests per minute, 5 holds at once; for each requester in contractors; to demo.``"""
    amounts = ", ".join(f"{most:,} {_words(measure)}" for measure, most in limit.most.items())
    members = " or ".join(sorted(limit.groups))
    match limit.per:
        case Per.REQUESTER:
            whose = f"for each requester in {members}" if members else "for each requester"
        case Per.GROUP:
            whose = f"for the group {members}" if len(limit.groups) == 1 else f"for each of the groups {members}"
        case Per.CONNECTION:
            whose = "for each connection" + (f", of requesters in {members}" if members else "")
        case _:
            assert_never(limit.per)
    to = f"; to {' or '.join(sorted(limit.connections))}" if limit.connections else ""
    return f"{limit.id}: {amounts}; {whose}{to}."


def _near(limits: dict[str, Limit], uses: list[Use]) -> list[tuple[float, tuple[str, ...]]]:
    """Who has used something of the limits that are in force: how much of it all, and the row that says so."""
    found: list[tuple[float, tuple[str, ...]]] = []
    for use in uses:
        limit = limits.get(use.limit)
        most = limit.most.get(use.measure) if limit is not None and limit.per is use.per else None
        if most is not None and use.used > 0:
            cells = (use.limit, " of ".join(use.subject), _words(use.measure), f"{use.used:,}", f"{most:,}")
            found.append((use.used / most, cells))
    return found


def _words(measure: Measure) -> str:
    return measure.value.replace("_", " ")


TABLE: tuple[Command, ...] = (
    command("limits [limit]", Access.OVERSEERS, "what is limited, and who is at or near a limit now", _limits),
)
