"""``route …``: which channels get whose cards."""

from __future__ import annotations

import re
from dataclasses import replace

from bot.admin.changes import new_change, submit
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.sample import sample_view
from bot.answers import Answer, Table, refusal
from holdpoint.errors import ChannelError
from holdpoint.mailbox import mailbox
from holdpoint.model import Route
from holdpoint.snapshot import WEB, Snapshot
from holdpoint.standing import ChangeKind

# A channel, a group chat or a meeting; a personal chat.
_TEAMS = r"(?:19:[\w.-]{1,150}@[a-z0-9.]{1,40}|a:[\w-]{1,200})"
_CHANNEL = re.compile(rf"web|slack:(?:[TE][A-Z0-9]{{2,20}}/)?[CG][A-Z0-9]{{2,20}}|teams:{_TEAMS}", re.ASCII)
_SLACK_MENTION = re.compile(r"<#([CG][A-Z0-9]+)(?:\|[^>]*)?>")
_GROUP = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_NO_GROUP = refusal("That is no name of a group: letters, digits and . _ - @, or * for everybody else.")
_NO_CHANNEL = refusal("That is no channel. Write web, slack:C0123ABC, teams:<conversation> or email:<address>.")
_NOT_HERE = refusal(
    "This is typed in the channel or group chat that is meant. From elsewhere: route add <group> <channel>"
)


async def _list(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    snapshot = office.live.snapshot
    rows = [(route.group, channel, "policy") for route in snapshot.policy.routes for channel in route.channels]
    rows += [(route.group, channel, "command") for route in snapshot.routes for channel in route.channels]
    if not rows:
        return Answer(True, ("There are no routes: every card is in the web inbox only.",))
    return Answer(True, table=Table(("group", "channel", "from"), tuple(sorted(rows))))


async def _add(office: Office, call: Call) -> Answer:
    group, channel = call["group"], _channel(call["channel"])
    wrong = _wrong(group, channel)
    if wrong is not None:
        return wrong
    if _is_added(office.live.snapshot, group, channel):
        return Answer(True, (f"Cards for {group} already go to {channel}.",))
    shown = Answer(True, (f"Cards for {group} also go to {channel}.",), text=f"+ {group} → {channel}")
    change = new_change(office, call, ChangeKind.ROUTE_ADD, expect=_version(office), group=group, channel=channel)
    done = await submit(office, call, change, shown, loosens=False)
    # Both are hints and no refusals: keys and tokens may carry groups that the policy does not list, and the app may
    # be added to the channel later.
    known = group == "*" or group in office.live.snapshot.policy.groups
    lookup = office.lookups.get(channel.partition(":")[0])
    notes = [] if known else [f"Note: the policy lists no members of {group}."]
    notes += [f"Note: {why}" for why in [await lookup(channel)] if why] if lookup is not None else []
    return replace(done, lines=(*done.lines, *notes))


async def _add_here(office: Office, call: Call) -> Answer:
    return await _add(office, _there("add", call)) if _CHANNEL.fullmatch(call.place) else _NOT_HERE


async def _remove_here(office: Office, call: Call) -> Answer:
    return await _remove(office, _there("remove", call)) if _CHANNEL.fullmatch(call.place) else _NOT_HERE


def _there(verb: str, call: Call) -> Call:
    """The same with the channel written out: what is asked about it may be confirmed from anywhere."""
    text = f"route {verb} {call['group']} {call.place}"
    return replace(call, text=text, arguments={"group": call["group"], "channel": call.place})


async def _remove(office: Office, call: Call) -> Answer:
    group, channel = call["group"], _channel(call["channel"])
    wrong = _wrong(group, channel)
    if wrong is not None:
        return wrong
    snapshot = office.live.snapshot
    if not _is_added(snapshot, group, channel):
        return refusal(f"No route from {group} to {channel} was added by command. The policy's own are changed there.")
    left = _without(snapshot, group, channel).channels_for({group})
    only_web = left == (WEB,)
    lines = [f"Cards for {group} no longer go to {channel}."]
    lines.append("Then they are in the web inbox only." if only_web else f"They go to {', '.join(left)}.")
    shown = Answer(True, tuple(lines), text=f"- {group} → {channel}")
    change = new_change(office, call, ChangeKind.ROUTE_REMOVE, expect=_version(office), group=group, channel=channel)
    return await submit(office, call, change, shown, loosens=only_web)


async def _test(office: Office, call: Call) -> Answer:
    """Where a request of the group would go, and a card there that says that it is only a sample."""
    group = call["group"]
    if not _GROUP.fullmatch(group):
        return _NO_GROUP
    snapshot = office.live.snapshot
    named = frozenset() if group == "*" else frozenset({group})
    rows = [
        (channel, _reason(snapshot, group, channel), await _sampled(office, group, channel))
        for channel in snapshot.channels_for(named)
    ]
    lines = [f"A request of {'anybody else' if group == '*' else group} that is held appears here:"]
    if group != "*" and group not in snapshot.policy.groups:
        lines.append(f"Note: the policy lists no members of {group}; keys and tokens may carry it.")
    return Answer(True, tuple(lines), Table(("channel", "because of", "sample"), tuple(rows)))


async def _sampled(office: Office, group: str, channel: str) -> str:
    if channel == WEB:
        return "none: every hold is in the inbox"
    kind = channel.partition(":")[0]
    sampler = office.samplers.get(kind)
    if sampler is None:
        return f"none: {kind} is not connected to this process"
    try:
        await sampler.sample(channel, sample_view(group, now_ms=office.clock(), link_base=office.link_base))
    except ChannelError as error:
        return f"failed: {error}"
    return "posted"


def _reason(snapshot: Snapshot, group: str, channel: str) -> str:
    """Which route names the channel."""
    for routes, source in ((snapshot.policy.routes, "policy"), (snapshot.routes, "command")):
        for name in (group, "*"):
            if any(route.group == name and channel in route.channels for route in routes):
                return f"the route of {name} ({source})"
    return "always"


def _channel(typed: str) -> str:
    return _SLACK_MENTION.sub(r"slack:\1", typed)


def _wrong(group: str, channel: str) -> Answer | None:
    if not _GROUP.fullmatch(group):
        return _NO_GROUP
    return None if _is_channel(channel) else _NO_CHANNEL


def _is_channel(channel: str) -> bool:
    kind, _, address = channel.partition(":")
    return mailbox(address) is not None if kind == "email" else bool(_CHANNEL.fullmatch(channel))


def _is_added(snapshot: Snapshot, group: str, channel: str) -> bool:
    return any(route.group == group and channel in route.channels for route in snapshot.routes)


def _without(snapshot: Snapshot, group: str, channel: str) -> Snapshot:
    routes = tuple(
        Route(route.group, tuple(c for c in route.channels if c != channel)) if route.group == group else route
        for route in snapshot.routes
    )
    return replace(snapshot, routes=routes)


def _version(office: Office) -> int:
    return office.live.snapshot.policy.version


TABLE: tuple[Command, ...] = (
    command("route list", Access.ADMINS, "which channels get whose cards", _list),
    command(
        "route add <group> <channel>", Access.ADMINS, "send a group's cards to a channel, such as slack:C0123ABC", _add
    ),
    command("route remove <group> <channel>", Access.ADMINS, "stop that", _remove),
    command(
        "route here <group>", Access.ADMINS, "send a group's cards to the channel in which this is typed", _add_here
    ),
    command("route here remove <group>", Access.ADMINS, "stop that", _remove_here),
    command("route test <group>", Access.ADMINS, "where a request of the group would go, with a sample card", _test),
)
