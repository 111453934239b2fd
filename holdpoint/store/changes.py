"""Changes of policy and routes that wait for a second admin (`changes.second_admin` in the policy).

A change is applied by the script that confirms it: change, policy or route, revision and events together. A policy that
moved on meanwhile is not overwritten: the change has gone stale, and stays until somebody drops it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, MayNotDecide, NotFound
from holdpoint.model import EventKind
from holdpoint.policy import people
from holdpoint.standing import Change, ChangeKind
from holdpoint.store import config_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script
from holdpoint.store.config import not_before, version_json

MOST_WAITING = 100

_PROPOSE = Script("propose")
_CONFIRM_POLICY = Script("confirm_policy")
_CONFIRM_ROUTE = Script("confirm_route")
_DROP = Script("drop_change")
_CHANGE = TypeAdapter(Change)


class Changes:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def propose(self, change: Change) -> None:
        """Keep ``change`` until it is confirmed or dropped.

        Raises:
            Conflict: its id is taken, or `MOST_WAITING` changes wait already.
        """
        answer = await self._client.script(
            _PROPOSE,
            [keys.CHANGES, keys.EVENTS],
            [self._clock(), change.id, to_json(change), MOST_WAITING, config_events.change_proposed(change)],
        )
        if answer != b"ok":
            full = f"{MOST_WAITING} changes wait already: confirm or drop some"
            raise Conflict(full if answer == b"full" else f"there is a change {change.id!r} already")

    async def get(self, change_id: str) -> Change:
        """One change that waits.

        Raises:
            NotFound: there is no such change, or it was confirmed or dropped.
        """
        return _CHANGE.validate_json(await self._seen(change_id))

    async def all(self) -> list[Change]:
        """Everything that waits, oldest first; stale ones too."""
        rows = await self._client.command("HVALS", keys.CHANGES)
        return sorted((_CHANGE.validate_json(raw) for raw in rows), key=lambda change: (change.at_ms, change.id))

    async def confirm(self, change_id: str, *, by: str, aliases: Collection[str] = ()) -> Change:
        """Apply a change. ``by`` was verified to be an admin; it must be somebody else than who proposed it.

        ``aliases`` are other principals of ``by``.

        Raises:
            NotFound: there is no such change, or it was confirmed or dropped.
            MayNotDecide: ``by`` proposed it.
            Conflict: it has gone stale; says why. It still waits.
        """
        seen = await self._seen(change_id)
        change = _CHANGE.validate_json(seen)
        if people.is_among(people.names(by, *aliases), (change.by, *change.aliases)):
            raise MayNotDecide("You proposed this change; another admin has to confirm it.")
        match change.kind:
            case ChangeKind.POLICY:
                await self._confirm_policy(change, seen, by, aliases)
            case ChangeKind.ROUTE_ADD | ChangeKind.ROUTE_REMOVE:
                await self._confirm_route(change, seen, by)
            case _:
                assert_never(change.kind)
        return change

    async def drop(self, change_id: str, *, by: str) -> Change:
        """Forget a change.

        Raises:
            NotFound: there is no such change, or it was confirmed or dropped.
        """
        seen = await self._seen(change_id)
        change = _CHANGE.validate_json(seen)
        answer = await self._client.script(
            _DROP,
            [keys.CHANGES, keys.EVENTS],
            [self._clock(), change_id, seen, config_events.change_ended(change, by=by)],
        )
        if answer != b"ok":
            raise _gone(change_id)
        return change

    async def _confirm_policy(self, change: Change, seen: bytes, by: str, aliases: Collection[str] = ()) -> None:
        now = await not_before(self._client, change.expect, now_ms=self._clock())
        note = "; ".join(filter(None, [change.note, f"confirmed by {by}"]))
        both = {*change.aliases, *aliases}
        version = version_json(
            text=change.text, by=change.by, at_ms=now, note=note, aliases=both, confirmed_by=by
        )  # fmt: skip
        pushed = config_events.policy_pushed(by=change.by, note=note, text=change.text, after=change.expect)
        word, number = await self._client.script(
            _CONFIRM_POLICY,
            [keys.CHANGES, keys.REVISION, keys.POLICY_HEAD, keys.POLICY_VERSIONS, keys.EVENTS],
            [now, change.id, seen, change.expect, version, config_events.change_ended(change, by=by), pushed],
        )
        if word == b"moved":
            raise Conflict(
                f"change {change.id} has gone stale: it was made from version {change.expect} of the policy, and"
                f" version {number} is in force"
            )
        if word != b"ok":
            raise _gone(change.id)

    async def _confirm_route(self, change: Change, seen: bytes, by: str) -> None:
        now = self._clock()
        adds = change.kind is ChangeKind.ROUTE_ADD
        kind = EventKind.ROUTE_ADDED if adds else EventKind.ROUTE_REMOVED
        word = await self._client.script(
            _CONFIRM_ROUTE,
            [keys.CHANGES, keys.REVISION, keys.ROUTES, keys.EVENTS],
            [
                now, change.id, seen, f"{change.group}\t{change.channel}",
                to_json({"by": change.by, "at_ms": now}) if adds else b"",
                config_events.change_ended(change, by=by), kind, change.group,
                config_events.route_changed(group=change.group, channel=change.channel, by=change.by),
            ],
        )  # fmt: skip
        if word == b"moved":
            raise Conflict(f"change {change.id} has gone stale: the route is {'there' if adds else 'gone'} already")
        if word != b"ok":
            raise _gone(change.id)

    async def _seen(self, change_id: str) -> bytes:
        raw: bytes | None = await self._client.command("HGET", keys.CHANGES, change_id)
        if raw is None:
            raise _gone(change_id)
        return raw


def _gone(change_id: str) -> NotFound:
    return NotFound(f"no change {change_id!r} waits (any more)")
