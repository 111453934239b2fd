"""The commands that people type to the bot: one grammar for every channel.

::

    route list | route add <group> <channel> | route remove <group> <channel>       admins
    pending | show <id>                                                             reviewers, admins, auditors
    whoami | help                                                                   everybody

`Commands.run` takes the text behind ``/holdpoint`` and who typed it, and gives back an `Answer` that a channel renders.
It refuses in words; it raises only when the store is gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.cards import CardView, card_view
from bot.visibility import may_read, may_see
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.live import Live
from holdpoint.model import Hold, Reviewer, Role, State
from holdpoint.store import Store

_CHANNEL = re.compile(r"web|slack:[CG][A-Z0-9]{2,20}|teams:\S{1,200}|email:[^\s@]+@[^\s@]+")
_SLACK_MENTION = re.compile(r"<#([CG][A-Z0-9]+)(?:\|[^>]*)?>")
_GROUP = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_HOLD_ID = re.compile(r"[a-z0-9]{8,64}")
_MOST_PENDING = 20
_SCANNED = 200

USAGE: tuple[tuple[str, str], ...] = (
    ("pending", "what waits for a decision"),
    ("show <id>", "one hold"),
    ("route list", "which channels get whose cards (admins)"),
    ("route add <group> <channel>", "send a group's cards to a channel, such as slack:C0123ABC (admins)"),
    ("route remove <group> <channel>", "stop that (admins)"),
    ("whoami", "how Holdpoint knows you"),
    ("help", "this list"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text under ``header``."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say. ``ok`` is False for a refusal or a wrong command. Plain text throughout; channels escape it."""

    ok: bool
    lines: tuple[str, ...] = ()
    table: Table | None = None
    cards: tuple[CardView, ...] = ()


class Commands:
    """Runs commands."""

    def __init__(self, store: Store, live: Live, *, clock: Clock, link_base: str) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._link_base = link_base

    async def run(self, text: str, reviewer: Reviewer) -> Answer:
        """Run ``text`` ("route add contractors slack:C0123") for ``reviewer``.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        await self._live.ensure_fresh()
        match text.split():
            case [] | ["help"]:
                return _help()
            case ["whoami"]:
                return _whoami(reviewer)
            case ["pending"]:
                return await self._pending(reviewer)
            case ["show", hold_id]:
                return await self._show(hold_id, reviewer)
            case ["route", "list"]:
                return self._refuse_admin(reviewer) or self._route_list()
            case ["route", "add" | "remove" as verb, group, channel]:
                return self._refuse_admin(reviewer) or await self._route_change(verb, group, channel, reviewer)
            case ["route", *_]:
                return _usage("route list", "route add <group> <channel>", "route remove <group> <channel>")
            case ["show", *_]:
                return _usage("show <id>")
            case _:
                return Answer(False, ("I do not know this command.", *_help().lines), _help().table)

    async def _pending(self, reviewer: Reviewer) -> Answer:
        if not may_read(reviewer):
            return _no_reader()
        holds, _ = await self._store.holds.list(state=State.PENDING, limit=_SCANNED, cursor=None)
        mine = [hold for hold in holds if may_see(hold, reviewer)]
        if not mine:
            return Answer(True, ("Nothing waits for a decision.",))
        lines = [f"{len(mine)} waiting."] if len(mine) <= _MOST_PENDING else [f"The newest {_MOST_PENDING}."]
        return Answer(True, tuple(lines), cards=self._cards(mine[:_MOST_PENDING], reviewer))

    async def _show(self, hold_id: str, reviewer: Reviewer) -> Answer:
        if not may_read(reviewer):
            return _no_reader()
        unknown = Answer(False, ("There is no such hold, or it is not for you to see.",))
        if not _HOLD_ID.fullmatch(hold_id):
            return _usage("show <id>")
        try:
            hold = await self._store.holds.get(hold_id)
        except NotFound:
            return unknown
        return Answer(True, cards=self._cards([hold], reviewer)) if may_see(hold, reviewer) else unknown

    def _cards(self, holds: Sequence[Hold], reviewer: Reviewer) -> tuple[CardView, ...]:
        masks = self._live.snapshot.policy.masks
        now_ms = self._clock()
        return tuple(
            card_view(hold, now_ms=now_ms, link_base=self._link_base, masks=masks, viewer=reviewer, limit=2_000)
            for hold in holds
        )

    def _route_list(self) -> Answer:
        snapshot = self._live.snapshot
        rows = [(route.group, channel, "policy") for route in snapshot.policy.routes for channel in route.channels]
        rows += [(route.group, channel, "command") for route in snapshot.routes for channel in route.channels]
        if not rows:
            return Answer(True, ("There are no routes: every card is in the web inbox only.",))
        return Answer(True, table=Table(("group", "channel", "from"), tuple(sorted(rows))))

    async def _route_change(self, verb: str, group: str, channel: str, reviewer: Reviewer) -> Answer:
        channel = _SLACK_MENTION.sub(r"slack:\1", channel)
        if not _GROUP.fullmatch(group) or not _CHANNEL.fullmatch(channel):
            return _usage("route add <group> <channel>", "route remove <group> <channel>")
        change = self._store.config.add_route if verb == "add" else self._store.config.remove_route
        try:
            changed = await change(group, channel, by=reviewer.principal)
        except Conflict:
            return Answer(False, ("Somebody else changed this route at the same moment. Look at `route list`.",))
        await self._live.look()
        if verb == "add":
            done = f"Cards for {group} {'now' if changed else 'already'} go to {channel}."
            # Keys and tokens may carry groups that the policy does not list, so this is a hint and no refusal.
            known = group == "*" or group in self._live.snapshot.policy.groups
            return Answer(True, (done,) if known else (done, f"Note: the policy lists no members of {group}."))
        if changed:
            return Answer(True, (f"Cards for {group} no longer go to {channel}.",))
        return Answer(
            False, (f"No route from {group} to {channel} was added by command. The policy's own are changed there.",)
        )

    def _refuse_admin(self, reviewer: Reviewer) -> Answer | None:
        if Role.ADMIN in reviewer.roles:
            return None
        return Answer(False, ("Only admins may see and change routes.",))


def _whoami(reviewer: Reviewer) -> Answer:
    rows = (
        ("principal", reviewer.principal),
        ("groups", ", ".join(sorted(reviewer.groups)) or "none"),
        ("roles", ", ".join(sorted(reviewer.roles)) or "none"),
    )
    return Answer(True, table=Table(("", ""), rows))


def _help() -> Answer:
    return Answer(True, table=Table(("command", "what it does"), USAGE))


def _usage(*forms: str) -> Answer:
    return Answer(False, ("That is not how the command goes. Try:", *forms))


def _no_reader() -> Answer:
    return Answer(False, ("Only reviewers, admins and auditors may see what is held.",))
