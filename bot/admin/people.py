"""``groups``, ``reviewers``, ``whoami``, ``quiet``: who is who, and who wants to hear what."""

from __future__ import annotations

from bot.absence import own_lines
from bot.admin.linking import known_by
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import many
from bot.answers import Answer, Table
from holdpoint.model import Role
from holdpoint.policy.groups import Group
from holdpoint.store.quiet import Quiet

_MOST_NAMED = 20
_HEARD = {
    Quiet.ALL: "You hear of your own requests from the moment at which they are held.",
    Quiet.DECISIONS: "You hear of your own requests once they are decided, and when somebody asks you something.",
    Quiet.NONE: "You get no messages about your own requests. What happens is recorded all the same.",
}


async def _groups(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    snapshot = office.live.snapshot
    policy = snapshot.policy
    routed = {route.group for route in (*policy.routes, *snapshot.routes)}
    names = sorted({*policy.groups, *(routed - {"*"}), *(name for named in policy.roles.values() for name in named)})
    if not names:
        return Answer(True, ("The policy names no groups.",))
    rows = tuple(
        (
            name, _members(policy.groups.get(name)),
            ", ".join(sorted(role for role, named in policy.roles.items() if name in named)),
            ", ".join(snapshot.channels_for({name})),
        )
        for name in names
    )  # fmt: skip  # in the order of the header
    note = "Keys and tokens may carry groups, too."
    return Answer(True, (note,), Table(("group", "members", "roles", "cards go to"), rows))


async def _reviewers(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    policy = office.live.snapshot.policy
    names = sorted(policy.roles.get(Role.REVIEWER, frozenset()))
    if not names:
        return Answer(True, ("The policy names nobody who may decide.",))
    rows = tuple((name, _members(policy.groups.get(name))) for name in names)
    keys = sum(Role.REVIEWER in key.roles and key.revoked_ms is None for key in office.live.snapshot.keys.values())
    line = f"These groups may decide on what rules send to them; {many(keys, 'key')} may review, too."
    return Answer(True, (line,), Table(("group", "members"), rows))


async def _whoami(office: Office, call: Call) -> Answer:
    by = call.by
    rows = (
        ("principal", by.principal),
        ("groups", ", ".join(sorted(by.groups)) or "none"),
        ("roles", ", ".join(sorted(by.roles)) or "none"),
        *known_by(office, by.account, by.channel),
        ("also known as", ", ".join(sorted(by.aliases - {by.principal})) or "nobody else"),
        *own_lines(by, office.live.snapshot, office.clock()),
    )
    return Answer(True, table=Table(("", ""), rows))


async def _quiet(office: Office, call: Call) -> Answer:
    quiet = Quiet(call["all|decisions|none"])
    before = await office.store.quiet.get(call.by.principal)
    await office.store.quiet.set(call.by.principal, quiet)
    diff = "" if before is quiet else f"- {before.value}\n+ {quiet.value}"
    return Answer(True, (_HEARD[quiet],), text=diff)


def _members(group: Group | None) -> str:
    if group is None:
        return "none in the policy"
    named = sorted(group.members)
    shown = ", ".join(named[:_MOST_NAMED])
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    usergroup = f"Slack user group {group.slack_usergroup}" if group.slack_usergroup else ""
    return "; ".join(filter(None, [f"{shown}{more}", usergroup])) or "none in the policy"


TABLE: tuple[Command, ...] = (
    command("groups", Access.OVERSEERS, "the groups, their members, roles and channels", _groups),
    command("reviewers", Access.OVERSEERS, "who may decide", _reviewers),
    command("whoami", Access.EVERYBODY, "how Holdpoint knows you", _whoami),
    command("quiet all|decisions|none", Access.EVERYBODY, "what you are told of your own requests", _quiet),
)
