"""Grants: standing approvals, each use of which is counted and recorded in the script that allows it.

A grant never changes but by being revoked. Its uses are counted beside it, so that using one does not make every
process read its configuration again; only making, revoking and spending a grant does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import EventKind, Requester
from holdpoint.standing import Grant
from holdpoint.store import keys, standing_events
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script
from holdpoint.store.config import configure

_USE = Script("use_grant")
_GRANT = TypeAdapter(Grant)
_ATTEMPTS = 8  # as many people may revoke one grant at the very same moment


@dataclass(frozen=True, slots=True)
class GrantUse:
    """A grant, and how many requests it has let pass."""

    grant: Grant
    used: int

    def is_usable(self, now_ms: int) -> bool:
        """Whether another request may pass by it."""
        grant = self.grant
        return grant.revoked_ms is None and now_ms < grant.expires_ms and self.used < grant.uses


class Grants:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock, retention_ms: int) -> None:
        self._client = client
        self._clock = clock
        self._retention_ms = retention_ms

    async def make(self, grant: Grant) -> Grant:
        """Put ``grant`` in force in every process. A grant that stands under its id is left, and returned, as it is."""
        try:
            await self._set(grant, b"", EventKind.GRANT_MADE, standing_events.grant_made(grant))
        except Conflict:
            return await self.get(grant.id)
        return grant

    async def revoke(self, grant_id: str, *, by: str) -> Grant:
        """End a grant now: no later `use` of it says yes. One that was revoked before is returned as it is.

        Raises:
            NotFound: there is no such grant (any more).
            Conflict: it kept changing; nobody but others who revoke it can do that.
        """
        for _ in range(_ATTEMPTS):
            seen = await self._seen(grant_id)
            grant = _GRANT.validate_json(seen)
            if grant.revoked_ms is not None:
                return grant
            revoked = replace(grant, revoked_ms=self._clock(), revoked_by=by)
            try:
                await self._set(revoked, seen, EventKind.GRANT_REVOKED, standing_events.grant_revoked(revoked))
            except Conflict:
                continue
            return revoked
        raise Conflict("the grant kept changing")

    async def use(
        self,
        grant_id: str,
        *,
        request: str,
        requester: Requester,
        connection: str,
        digest: str,
        rules: Sequence[str],
        most: int,
    ) -> bool:
        """Let ``request`` pass, as one use. The same request counts once, however often this is called.

        ``rules`` would have held the request. ``most`` is how many uses the policy in force lets a grant have. False:
        the grant is not there, revoked, expired or spent, and nothing was changed.
        """
        data = standing_events.grant_use(
            request=request, requester=requester, connection=connection, digest=digest, rules=rules
        )
        answer = await self._client.script(
            _USE,
            [keys.GRANTS, keys.grant_uses(grant_id), keys.REVISION, keys.TRAFFIC],
            [grant_id, self._clock(), request, most, data, self._retention_ms],
        )
        return bool(answer == b"ok")

    async def get(self, grant_id: str) -> Grant:
        """One grant.

        Raises:
            NotFound: there is no such grant (any more).
        """
        return _GRANT.validate_json(await self._seen(grant_id))

    async def all(self) -> list[GrantUse]:
        """Every grant that is kept, oldest first: revoked, expired and spent ones too."""
        rows = await self._client.command("HVALS", keys.GRANTS)
        grants = sorted((_GRANT.validate_json(raw) for raw in rows), key=lambda grant: (grant.created_ms, grant.id))
        if not grants:
            return []
        used = await self._client.pipeline([("HLEN", keys.grant_uses(grant.id)) for grant in grants])
        return [GrantUse(grant, int(count)) for grant, count in zip(grants, used, strict=True)]

    async def prune(self) -> None:
        """Drop grants that ended a retention time ago. Until its own end even a revoked one stays, so that nobody makes it anew."""
        before = self._clock() - self._retention_ms
        over = [each.grant.id for each in await self.all() if each.grant.expires_ms < before]
        if over:
            await self._client.command("HDEL", keys.GRANTS, *over)

    async def _seen(self, grant_id: str) -> bytes:
        raw: bytes | None = await self._client.command("HGET", keys.GRANTS, grant_id)
        if raw is None:
            raise NotFound(f"there is no grant {grant_id!r}")
        return raw

    async def _set(self, grant: Grant, seen: bytes, kind: EventKind, data: bytes) -> None:
        await configure(
            self._client, keys.GRANTS, grant.id, seen, to_json(grant),
            now_ms=self._clock(), kind=kind, subject=grant.id, data=data,
        )  # fmt: skip
