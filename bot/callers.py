"""Whom a call in a thread means, as principals. Pure; a platform turns them into mentions of its own."""

from __future__ import annotations

from bot.platform import Call
from holdpoint.model import Mention
from holdpoint.policy.document import Group

MOST_CALLED = 10
REASONS = {
    Mention.HELD: "This waits for a decision:",
    Mention.REMINDER: "Half of the time is over, and this still waits:",
    Mention.ESCALATION: "You may decide on this, too:",
}


def people(group: Group, call: Call) -> list[str]:
    """The members that a platform may know by e-mail, ten at most: never the requester, nor who has decided already."""
    requester = call.hold.requester
    out = {requester.principal, requester.owner, *(done.by for done in call.hold.decisions)}
    return [member for member in sorted(group.members) if member not in out and "@" in member][:MOST_CALLED]
