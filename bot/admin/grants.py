"""``grants …``: the standing approvals that reviewers made from cards."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import many, moment
from bot.answers import Answer, Table
from holdpoint.store.grants import GrantUse


async def _list(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    """Those that let requests pass now; ended ones are in the record."""
    now_ms = office.clock()
    usable = [each for each in await office.store.grants.all() if each.is_usable(now_ms)]
    if not usable:
        return Answer(True, ("No standing approval is in force.",))
    header = ("id", "for", "connection", "rules", "used", "until", "by", "reason")
    return Answer(True, table=Table(header, tuple(_row(each) for each in usable)))


async def _revoke(office: Office, call: Call) -> Answer:
    grant = await office.grants.revoke(call["id"], call.by)
    used = next((each.used for each in await office.store.grants.all() if each.grant.id == grant.id), 0)
    await office.live.look()
    whom = f"{grant.scope.value} {grant.subject}"
    ended = f"Grant {grant.id} for {whom} on {grant.connection} is revoked, after {many(used, 'use')}."
    return Answer(True, (ended,), text=f"- {whom} → {grant.connection} ({', '.join(grant.rules)})")


def _row(each: GrantUse) -> tuple[str, ...]:
    grant = each.grant
    return (
        grant.id, f"{grant.scope.value} {grant.subject}", grant.connection, ", ".join(grant.rules),
        f"{each.used} of {grant.uses}", moment(grant.expires_ms), grant.name or grant.by, grant.reason,
    )  # fmt: skip  # in the order of the header


TABLE: tuple[Command, ...] = (
    command("grants list", Access.REVIEWERS, "the standing approvals in force", _list),
    command("grants revoke <id>", Access.REVIEWERS, "end one: admins, and who made it", _revoke, personal=True),
)
