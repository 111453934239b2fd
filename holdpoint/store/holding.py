"""The verbs of a hold on the side of its request: hold, attach, leave, make_asynchronous, delivered.

As in holds.py, which has what becomes of the hold then: each change is one Lua script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, OverLimit, StoreUnavailable, Unheard
from holdpoint.lifecycle import longest_open_ms, pending_due_ms
from holdpoint.model import Hold, State
from holdpoint.store import codec, hold_events, keys
from holdpoint.store.client import Client, Script, is_refusal
from holdpoint.store.conflicts import conflict
from holdpoint.store.drafts import Draft
from holdpoint.store.fingerprints import fingerprint
from holdpoint.store.gateways import Gateways
from holdpoint.store.hold_document import load_fingerprint
from holdpoint.store.hold_ids import HoldIds
from holdpoint.store.lifetimes import Lifetimes
from holdpoint.store.limits import UNLIMITED, Allowance, Limits
from holdpoint.store.reading import HoldReader
from holdpoint.store.wire import Argument

_HOLD = Script("hold", "_window")
_ATTACH = Script("attach")
_LEAVE = Script("leave")
_MAKE_ASYNCHRONOUS = Script("make_asynchronous")
_DELIVERED = Script("delivered")
_FREE_KEY = Script("free_key")


class Holding(HoldReader):
    """A hold is made, and a gateway waits for it, goes and comes back. Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(
        self, client: Client, *, clock: Clock, lifetimes: Lifetimes, gateways: Gateways, limits: Limits
    ) -> None:
        super().__init__(client, clock=clock, gateways=gateways)
        self._lifetimes = lifetimes
        self._limits = limits
        self._ids = HoldIds()

    async def hold(
        self, draft: Draft, *, gateway: str, idempotency_key: str | None, allowance: Allowance = UNLIMITED,
        if_first: bool = False,
    ) -> Hold:  # fmt: skip
        """Create a hold. ``gateway`` waits for it, unless the draft is asynchronous.

        ``if_first``: only when there is nothing that the request could come back to, so that most need not look before.

        Raises:
            Conflict: the Idempotency-Key came to stand for another hold meanwhile, or it is not the first; find it.
            OverLimit: one of the budgets of ``allowance`` has no room for it.
            Unheard: it may have been created all the same.
        """
        now = self._clock()
        requester, connection = draft.requester, draft.query.connection
        same = fingerprint(requester, connection, draft.digest)
        idempotency = fingerprint(requester, connection, f"key:{idempotency_key}")
        new = self._new(draft, gateway, now)
        fields = codec.new_fields(draft, new, fingerprint=same)
        limit_keys, limit_arguments = self._limits.of_hold(allowance)
        answer = await self._heard(
            new.id,
            _HOLD,
            [keys.hold(new.id), keys.state(State.PENDING), keys.DUE, keys.EVENTS, keys.same(same),
             keys.idempotency(idempotency), keys.at(new.waiter),
             keys.requests_of(requester.owner or requester.principal), keys.state(State.APPROVED), *limit_keys],
            [new.id, now, new.due_ms, self._lifetimes.ttl_ms(new.deadline_ms - now),
             _unless(idempotency_key, if_first=if_first), int(bool(new.waiter)),
             hold_events.hold_created(draft, deadline_ms=new.deadline_ms),
             self._lifetimes.ttl_ms(longest_open_ms(draft.evaluation)), *limit_arguments, *_pairs(fields)],
        )  # fmt: skip
        if isinstance(answer, list):
            raise OverLimit(answer[0] - 1, answer[1])
        if answer != b"ok":
            if not if_first:
                await self._free(keys.idempotency(idempotency))
            raise Conflict("there is a hold that the request may come back to")
        return new

    async def attach(self, hold: Hold, *, gateway: str) -> Hold:
        """Wait for ``hold`` from now on. A hold in a final state is returned as it is.

        Raises:
            Conflict: the hold changed since it was read.
            Unheard: it may have been written that ``gateway`` waits.
        """
        if hold.state.is_final:
            return hold
        returned = replace(hold, return_by_ms=None)
        answer = await self._heard(
            hold.id,
            _ATTACH,
            [keys.hold(hold.id), keys.DUE, keys.EVENTS, keys.at(gateway), keys.at(hold.waiter),
             keys.wake(hold.waiter), keys.same(fingerprint(hold.requester, hold.connection, hold.original_digest))],
            [hold.id, self._clock(), hold.rev, gateway, pending_due_ms(returned)],
        )  # fmt: skip
        if answer != b"ok":
            raise conflict(answer)
        return replace(
            hold, rev=hold.rev + 1, waiter=gateway, left_ms=None, return_by_ms=None, asynchronous=False
        )  # fmt: skip

    async def leave(self, hold_id: str, *, gateway: str, grace_ms: int) -> None:
        """The client that waited is gone; while pending, it has ``grace_ms`` to come back. No-op for other waiters."""
        now = self._clock()
        await self._client.shared_script(
            _LEAVE,
            [keys.hold(hold_id), keys.DUE, keys.EVENTS, keys.at(gateway)],
            [hold_id, now, gateway, now + grace_ms],
        )

    async def make_asynchronous(self, hold_id: str, *, gateway: str) -> None:
        """The waiter was told to come back for the response. No-op for other waiters."""
        same = await self._same(hold_id)
        if same is not None:
            await self._client.shared_script(
                _MAKE_ASYNCHRONOUS, [keys.hold(hold_id), keys.at(gateway), same], [hold_id, gateway]
            )

    async def delivered(self, hold_id: str, *, gateway: str) -> None:
        """The outcome reached the client: an identical request is a new one from now on."""
        same = await self._same(hold_id)
        if same is not None:
            await self._client.shared_script(
                _DELIVERED, [keys.hold(hold_id), same, keys.at(gateway)], [hold_id, gateway]
            )

    async def _same(self, hold_id: str) -> str | None:
        """The list of what is identical to a hold; None when there is no such hold (any more)."""
        doc = await self._client.shared_command("HGET", keys.hold(hold_id), "doc")
        return None if doc is None else keys.same(load_fingerprint(doc))

    async def _free(self, idempotency: str) -> None:
        """Who has looked found no hold, though the key stands for one: it is kept no longer, and the key goes after it."""
        hold_id = await self._client.shared_command("GET", idempotency)
        if hold_id is not None:
            await self._client.shared_script(_FREE_KEY, [idempotency, keys.hold(hold_id.decode())], [hold_id])

    def _new(self, draft: Draft, gateway: str, now: int) -> Hold:
        """The hold that is to be."""
        waiter = "" if draft.asynchronous else gateway
        deadline = now + draft.evaluation.timeout_ms
        new = codec.new_hold(draft, self._ids.new(now), created_ms=now, deadline_ms=deadline, waiter=waiter)
        return replace(new, due_ms=pending_due_ms(new))

    async def _heard(self, hold: str, script: Script, names: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """What ``script`` answers, by which somebody waits for ``hold``; or `Unheard`, unless it surely did nothing."""
        try:
            return await self._client.shared_script(script, names, arguments)
        except StoreUnavailable as error:
            if is_refusal(error):
                raise
            raise Unheard(hold, str(error)) from error

    async def _run(self, script: Script, keys_: Sequence[str], arguments: Sequence[Argument]) -> None:
        """Do it, or raise `Conflict`."""
        answer = await self._client.shared_script(script, keys_, arguments)
        if answer != b"ok":
            raise conflict(answer)


def _pairs(fields: Mapping[str, Argument]) -> list[Argument]:
    return [item for pair in fields.items() for item in pair]


def _unless(idempotency_key: str | None, *, if_first: bool) -> str:
    """What may not be known already when a hold is created; see `lua/hold.lua`."""
    if idempotency_key is not None:
        return "key"
    return "same" if if_first else ""
