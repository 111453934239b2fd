"""``break-glass …``: an admin lets one request pass alone, and another admin looks at it afterwards."""

from __future__ import annotations

from bot.admin.holds import UNKNOWN, unless_unedited, visible_hold
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import moment
from bot.answers import Answer, Table


async def _break(office: Office, call: Call) -> Answer:
    hold = await visible_hold(office, call["hold"], call.by)
    if hold is None:
        return UNKNOWN
    question = await unless_unedited(office, call, hold)
    if question is not None:
        return question
    await office.glass.break_glass(hold.id, call.by, call["reason"], digest=hold.digest)
    return Answer(
        True,
        (
            f"Hold {hold.id} is approved by you alone. It has to be collected within minutes.",
            f"This is announced, and on the list until another admin has looked at it: break-glass review {hold.id}",
        ),
    )


async def _list(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    broken = await office.store.glass.all()
    if not broken:
        return Answer(True, ("No broken glass waits for a review.",))
    rows = tuple((each.hold, each.name or each.by, moment(each.at_ms), each.reason) for each in broken)
    return Answer(True, table=Table(("hold", "by", "at", "reason"), rows))


async def _review(office: Office, call: Call) -> Answer:
    broken = await office.glass.review(call["hold"], call.by)
    return Answer(True, (f"Hold {broken.hold}, let through by {broken.name or broken.by}, is off the list.",))


TABLE: tuple[Command, ...] = (
    command(
        "break-glass <hold> <reason…>", Access.ADMINS, "approve one hold alone, in an emergency", _break, personal=True
    ),
    command("break-glass list", Access.OVERSEERS, "what was let through so, and nobody has looked at yet", _list),
    command("break-glass review <hold>", Access.ADMINS, "you have looked at it", _review, personal=True),
)
