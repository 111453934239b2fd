"""What an admin changes while everything runs: the policy's versions, the keys, the routes added by command.

Every change is one script: value, revision and event together. Processes look at the revision several times a second.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import orjson
from pydantic import TypeAdapter

from holdpoint import key_life
from holdpoint.apikey import NewKey
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.key_life import KeyRotation
from holdpoint.model import EventKind, KeyRecord, Route
from holdpoint.store import config_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script
from holdpoint.store.wire import Argument

_PUSH = Script("push_policy")
_CONFIGURE = Script("configure")
_ROTATE = Script("rotate_key")


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """One version of the policy document, and who wrote it; ``confirmed_by`` where a second admin had to.

    ``aliases`` are other principals of both.
    """

    version: int
    text: str
    by: str
    at_ms: int
    note: str
    confirmed_by: str = ""
    aliases: tuple[str, ...] = ()


_STORED_POLICY = TypeAdapter(StoredPolicy)
_KEY = TypeAdapter(KeyRecord)


class Config:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def revision(self) -> int:
        """Grows with every change of policy, keys or routes."""
        return int(await self._client.shared_command("GET", keys.REVISION) or 0)

    async def policy_number(self) -> int:
        """The version of the policy in force; 0 where there is none."""
        return int(await self._client.command("GET", keys.POLICY_HEAD) or 0)

    async def policy(self) -> StoredPolicy | None:
        """The policy in force."""
        head = await self.policy_number()
        return await self.policy_version(head) if head else None

    async def policy_version(self, version: int) -> StoredPolicy:
        """One version.

        Raises:
            NotFound: there is no such version.
        """
        raw = await self._client.command("HGET", keys.POLICY_VERSIONS, version)
        if raw is None:
            raise NotFound(f"there is no version {version} of the policy")
        return _STORED_POLICY.validate_python({**orjson.loads(raw), "version": version})

    async def policy_history(self, limit: int = 50) -> list[StoredPolicy]:
        """The newest versions, newest first."""
        head = await self.policy_number()
        return [await self.policy_version(version) for version in range(head, max(head - limit, 0), -1)]

    async def push_policy(
        self, text: str, *, expect: int, by: str, note: str = "", aliases: Collection[str] = ()
    ) -> int:  # fmt: skip
        """Put ``text`` (already validated) in force if the head is ``expect`` (0: none yet). Returns its version.

        ``aliases`` are other principals of ``by``.

        Raises:
            Conflict: the head is another one.
        """
        now = await not_before(self._client, expect, now_ms=self._clock())
        value = version_json(text=text, by=by, at_ms=now, note=note, aliases=aliases)
        data = config_events.policy_pushed(by=by, note=note, text=text, after=expect)
        word, number = await self._client.script(
            _PUSH, [keys.REVISION, keys.POLICY_HEAD, keys.POLICY_VERSIONS, keys.EVENTS], [now, expect, value, data]
        )
        if word != b"ok":
            raise Conflict(f"the policy in force is version {number}, not {expect}")
        return int(number)

    async def keys(self) -> list[KeyRecord]:
        """All keys, revoked and expired ones too."""
        rows = await self._client.command("HVALS", keys.API_KEYS)
        return sorted((_KEY.validate_json(raw) for raw in rows), key=lambda record: (record.created_ms, record.id))

    async def put_key(self, record: KeyRecord, *, by: str = "cli") -> None:
        """Add a key.

        Raises:
            Conflict: a key with this id exists.
        """
        await self._configure(
            keys.API_KEYS, record.id, b"", to_json(record),
            EventKind.KEY_CREATED, record.id, config_events.key_changed(record, by=by),
        )  # fmt: skip

    async def rotate_key(
        self, key_id: str, new: NewKey, *, overlap_ms: int, life_ms: int | None = None, by: str
    ) -> KeyRotation:
        """Put ``new`` beside a key, with the same rights, and end the old one after ``overlap_ms``; never later than before.

        ``life_ms`` is how long the new one lives; None: as long as the old one was made for, or `USUAL_LIFE_MS` after one
        without end.

        Raises:
            NotFound: there is no such key.
            Conflict: it is revoked, has expired or was rotated already; or it was changed at the same moment.
        """
        seen = await self._seen_key(key_id)
        rotation = key_life.rotated(
            _KEY.validate_json(seen), new, now_ms=self._clock(), overlap_ms=overlap_ms, life_ms=life_ms
        )
        old, successor = rotation.old, rotation.new
        answer = await self._client.script(
            _ROTATE,
            [keys.REVISION, keys.API_KEYS, keys.EVENTS],
            [
                successor.created_ms, old.id, seen, to_json(old), EventKind.KEY_ROTATED, config_events.key_changed(old, by=by),
                successor.id, to_json(successor), EventKind.KEY_CREATED, config_events.key_changed(successor, by=by),
            ],
        )  # fmt: skip
        if answer != b"ok":
            raise Conflict("somebody else changed the key at the same moment")
        return rotation

    async def revoke_key(self, key_id: str, *, by: str) -> KeyRecord:
        """End a key, for good; every process knows within a second. A revoked key is returned as it is.

        Raises:
            NotFound: there is no such key.
            Conflict: it was changed at the same moment.
        """
        raw = await self._seen_key(key_id)
        record = _KEY.validate_json(raw)
        if record.revoked_ms is not None:
            return record
        revoked = replace(record, revoked_ms=self._clock())
        await self._configure(
            keys.API_KEYS, key_id, raw, to_json(revoked),
            EventKind.KEY_REVOKED, key_id, config_events.key_changed(revoked, by=by),
        )  # fmt: skip
        return revoked

    async def _seen_key(self, key_id: str) -> bytes:
        raw: bytes | None = await self._client.command("HGET", keys.API_KEYS, key_id)
        if raw is None:
            raise NotFound(f"there is no key {key_id!r}")
        return raw

    async def routes(self) -> list[Route]:
        """The routes that were added by command; the policy's own are in the policy."""
        by_group: dict[str, list[str]] = {}
        for raw in sorted(await self._client.command("HKEYS", keys.ROUTES)):
            group, _, channel = raw.decode().partition("\t")
            by_group.setdefault(group, []).append(channel)
        return [Route(group, tuple(channels)) for group, channels in by_group.items()]

    async def add_route(self, group: str, channel: str, *, by: str) -> bool:
        """Send cards of ``group`` to ``channel`` too. False when that is so already."""
        value = to_json({"by": by, "at_ms": self._clock()})
        return await self._change_route(group, channel, value, EventKind.ROUTE_ADDED, by)

    async def remove_route(self, group: str, channel: str, *, by: str) -> bool:
        """Undo `add_route`. False when there is no such route."""
        return await self._change_route(group, channel, b"", EventKind.ROUTE_REMOVED, by)

    async def _change_route(self, group: str, channel: str, value: bytes, kind: EventKind, by: str) -> bool:
        field = f"{group}\t{channel}"
        seen = await self._client.command("HGET", keys.ROUTES, field)
        if bool(seen) == bool(value):
            return False
        data = config_events.route_changed(group=group, channel=channel, by=by)
        await self._configure(keys.ROUTES, field, seen or b"", value, kind, group, data)
        return True

    async def _configure(
        self, key: str, field: str, seen: bytes, value: Argument, kind: EventKind, subject: str, data: bytes
    ) -> None:
        await configure(
            self._client, key, field, seen, value, now_ms=self._clock(), kind=kind, subject=subject, data=data
        )


async def not_before(client: Client, version: int, *, now_ms: int) -> int:
    """Now; never before ``version``, whose place another one takes: versions have an order, whatever this clock says."""
    raw = await client.command("HGET", keys.POLICY_VERSIONS, version)
    return max(now_ms, int(orjson.loads(raw)["at_ms"])) if raw else now_ms


def version_json(
    *, text: str, by: str, at_ms: int, note: str, aliases: Collection[str], confirmed_by: str = ""
) -> bytes:
    """One version of the policy as it is stored; without what is empty, which older versions do not know."""
    more = {"confirmed_by": confirmed_by, "aliases": sorted(aliases)}
    known = {name: value for name, value in more.items() if value}
    return to_json({"text": text, "by": by, "at_ms": at_ms, "note": note, **known})


async def configure(
    client: Client,
    key: str,
    field: str,
    seen: bytes,
    value: Argument,
    *,
    now_ms: int,
    kind: EventKind,
    subject: str,
    data: bytes,
) -> None:
    """Set ``field`` of the configuration hash ``key`` to ``value`` (empty: delete it), with revision and event.

    Raises:
        Conflict: it is not ``seen`` (empty: not there) any more.
    """
    answer = await client.script(
        _CONFIGURE, [keys.REVISION, key, keys.EVENTS], [now_ms, field, seen, value, kind, subject, data]
    )
    if answer != b"ok":
        raise Conflict("somebody else changed it at the same moment")
