"""``changes …``: what waits for a second admin; and the one way in which commands change policy and routes (`submit`)."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import assert_never

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import diff_of, moment
from bot.answers import Answer, Table, refusal
from holdpoint.errors import Conflict
from holdpoint.policy import check_policy, people
from holdpoint.standing import Change, ChangeKind


def new_change(office: Office, call: Call, kind: ChangeKind, *, expect: int, note: str = "", **what: str) -> Change:
    """A change by who typed the command, with an id of its own. ``what`` as in `Change`: text, or group and channel."""
    change_id = f"c{secrets.token_hex(4)}"
    aliases = tuple(sorted(call.by.aliases))
    return Change(change_id, kind, call.by.principal, office.clock(), note, expect, **what, aliases=aliases)


async def submit(office: Office, call: Call, change: Change, shown: Answer, *, loosens: bool) -> Answer:
    """Apply ``change``, which ``shown`` describes; or ask first when it loosens; or keep it for a second admin.

    Raises:
        Conflict: somebody else was faster; nothing was changed.
    """
    await office.live.catch_up()  # whether a second admin is needed: as of now, not of a second ago
    if office.live.snapshot.policy.second_admin:
        await office.store.changes.propose(change)
        waits = f"Change {change.id} waits for another admin: changes confirm {change.id}"
        return replace(shown, lines=(*shown.lines, waits))
    if loosens:
        question = await office.unless_confirmed(call, shown)
        if question is not None:
            return question
    done = await _apply(office, change)
    await office.live.catch_up()
    return replace(shown, lines=(done,))


async def _apply(office: Office, change: Change) -> str:
    config = office.store.config
    match change.kind:
        case ChangeKind.POLICY:
            version = await config.push_policy(
                change.text, expect=change.expect, by=change.by, note=change.note, aliases=change.aliases
            )  # fmt: skip
            return f"Version {version} is in force."
        case ChangeKind.ROUTE_ADD:
            done = await config.add_route(change.group, change.channel, by=change.by)
            return f"Cards for {change.group} {'now' if done else 'already'} go to {change.channel}."
        case ChangeKind.ROUTE_REMOVE:
            if not await config.remove_route(change.group, change.channel, by=change.by):
                raise Conflict("somebody else has removed this route at the same moment")
            return f"Cards for {change.group} no longer go to {change.channel}."
        case _:
            assert_never(change.kind)


async def _list(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    waiting = await office.store.changes.all()
    if not waiting:
        return Answer(True, ("No change waits for a second admin.",))
    head = await _head(office)
    rows = tuple(
        (change.id, _what(change), change.by, moment(change.at_ms), _stale(change, head) and "stale", change.note)
        for change in waiting
    )
    return Answer(True, table=Table(("id", "change", "by", "at", "", "note"), rows))


async def _show(office: Office, call: Call) -> Answer:
    change = await office.store.changes.get(call["id"])
    head = await _head(office)
    stale = _stale(change, head)
    by = f"Change {change.id} by {change.by}, {moment(change.at_ms)}: {_what(change)}."
    lines = (by, *([f"Note: {change.note}"] if change.note else []), *([stale] if stale else []))
    return Answer(True, lines, text=await _diff(office, change), verbatim=change.kind is ChangeKind.POLICY)


async def _confirm(office: Office, call: Call) -> Answer:
    change = await office.store.changes.get(call["id"])
    if people.is_among(people.of_reviewer(call.by), (change.by, *change.aliases)):
        return refusal("You proposed this change; another admin has to confirm it.")
    stale = _stale(change, await _head(office))
    if stale:
        return refusal(stale)
    if change.kind is ChangeKind.POLICY:
        # Valid when it was proposed; this release may see more.
        await asyncio.to_thread(check_policy, change.text)
    question = await office.unless_confirmed(call, await _show(office, call))
    if question is not None:
        return question
    await office.store.changes.confirm(change.id, by=call.by.principal, aliases=call.by.aliases)
    await office.live.catch_up()
    version = office.live.snapshot.policy.version
    force = f" Version {version} is in force." if change.kind is ChangeKind.POLICY else ""
    return Answer(True, (f"Change {change.id} by {change.by} is made.{force}",))


async def _drop(office: Office, call: Call) -> Answer:
    change = await office.store.changes.drop(call["id"], by=call.by.principal)
    return Answer(True, (f"Change {change.id} by {change.by} is dropped: {_what(change)}.",))


async def _head(office: Office) -> int:
    head = await office.store.config.policy()
    return head.version if head else 0


def _stale(change: Change, head: int) -> str:
    """Why a change of the policy cannot be made any more; empty for one that can, and for routes."""
    if change.kind is not ChangeKind.POLICY or change.expect == head:
        return ""
    return (
        f"It has gone stale: it was made from version {change.expect} of the policy, and version {head} is in force."
        f" Drop it (changes drop {change.id}) and make it again."
    )


def _what(change: Change) -> str:
    match change.kind:
        case ChangeKind.POLICY:
            return f"policy, from version {change.expect}"
        case ChangeKind.ROUTE_ADD | ChangeKind.ROUTE_REMOVE:
            return f"{change.kind.value} {change.group} {change.channel}"
        case _:
            assert_never(change.kind)


async def _diff(office: Office, change: Change) -> str:
    match change.kind:
        case ChangeKind.POLICY:
            before = (await office.store.config.policy_version(change.expect)).text if change.expect else ""
            names = (f"version {change.expect}", f"change {change.id}")
            return await asyncio.to_thread(diff_of, before, change.text, *names)
        case ChangeKind.ROUTE_ADD:
            return f"+ {change.group} → {change.channel}"
        case ChangeKind.ROUTE_REMOVE:
            return f"- {change.group} → {change.channel}"
        case _:
            assert_never(change.kind)


TABLE: tuple[Command, ...] = (
    command("changes list", Access.OVERSEERS, "what waits for a second admin", _list),
    command("changes show <id>", Access.OVERSEERS, "one of them, as a diff", _show),
    command(
        "changes confirm <id>", Access.ADMINS, "make a change that another admin proposed", _confirm, personal=True
    ),
    command("changes drop <id>", Access.ADMINS, "forget it", _drop),
)
