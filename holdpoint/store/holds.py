"""The verbs of a hold: hold, attach, leave, decide, escalate, expire, cancel, release, close.

Each change is one Lua script that changes state, indexes and outbox together and wakes the waiter. A script acts only
on the ``rev`` that its caller saw; who comes late gets a `Conflict` and reads again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound, OverLimit
from holdpoint.lifecycle import deadline_after_escalation, deadline_at, pending_due_ms
from holdpoint.model import Decision, DecisionKind, EventKind, Hold, Outcome, Similar, State
from holdpoint.standing import BrokenGlass
from holdpoint.store import codec, hold_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script, as_dict
from holdpoint.store.drafts import Draft
from holdpoint.store.fingerprints import fingerprint
from holdpoint.store.gateways import Gateways
from holdpoint.store.hold_document import load_fingerprint
from holdpoint.store.hold_ids import HoldIds
from holdpoint.store.limits import UNLIMITED, Allowance, Limits
from holdpoint.store.reading import HoldReader
from holdpoint.store.responses import StoredResponse, response_arguments
from holdpoint.store.wire import Argument

TIMER = "timer"  # the channel of a decision that the deadline itself makes
GLASS_WITHIN_MS = 300_000  # an approval for an emergency is not one for later

_WHY = {b"late": "the deadline has passed", b"state": "the hold is in another state"}

_HOLD = Script("hold", "_window")
_ATTACH = Script("attach")
_LEAVE = Script("leave")
_MAKE_ASYNCHRONOUS = Script("make_asynchronous")
_DECIDE = Script("decide")
_ESCALATE = Script("escalate")
_END = Script("end")
_RELEASE = Script("release")
_CLOSE = Script("close")
_DELIVERED = Script("delivered")
_NOTE_SIMILAR = Script("note_similar")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things are kept, in milliseconds (see `Settings`)."""

    retention_ms: int
    collect_within_ms: int

    def ttl_ms(self, open_ms: int) -> int:
        """How long Redis keeps a hold that may be pending for another ``open_ms``."""
        return open_ms + self.collect_within_ms + self.retention_ms


class Holds(HoldReader):
    """All that can happen to a hold. Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(
        self, client: Client, *, clock: Clock, lifetimes: Lifetimes, gateways: Gateways, limits: Limits
    ) -> None:
        super().__init__(client, clock=clock, gateways=gateways)
        self._lifetimes = lifetimes
        self._limits = limits
        self._ids = HoldIds()

    async def hold(
        self,
        draft: Draft,
        *,
        gateway: str,
        idempotency_key: str | None,
        allowance: Allowance = UNLIMITED,
        if_first: bool = False,
    ) -> Hold:
        """Create a hold. ``gateway`` waits for it, unless the draft is asynchronous.

        ``if_first``: only when there is nothing that the request could come back to, so that most need not look before.

        Raises:
            Conflict: the Idempotency-Key came to stand for another hold meanwhile, or it is not the first; find it.
            OverLimit: one of the budgets of ``allowance`` has no room for it.
        """
        now = self._clock()
        requester, connection = draft.requester, draft.query.connection
        same = fingerprint(requester, connection, draft.digest)
        idem = fingerprint(requester, connection, f"key:{idempotency_key}")
        new = self._new(draft, gateway, now)
        fields = codec.new_fields(draft, new, fingerprint=same)
        limit_keys, limit_arguments = self._limits.of_hold(allowance)
        answer = await self._client.shared_script(
            _HOLD,
            [keys.hold(new.id), keys.state(State.PENDING), keys.DUE, keys.EVENTS, keys.same(same),
             keys.idempotency(idem), keys.at(new.waiter),
             keys.requests_of(requester.owner or requester.principal), keys.state(State.APPROVED), *limit_keys],
            [new.id, now, new.due_ms, self._lifetimes.ttl_ms(new.deadline_ms - now),
             _unless(idempotency_key, if_first=if_first), int(bool(new.waiter)),
             hold_events.hold_created(draft, deadline_ms=new.deadline_ms), *limit_arguments, *_pairs(fields)],
        )  # fmt: skip
        if isinstance(answer, list):
            raise OverLimit(answer[0] - 1, answer[1])
        if answer != b"ok":
            raise Conflict("there is a hold that the request may come back to")
        return new

    async def attach(self, hold: Hold, *, gateway: str) -> Hold:
        """Wait for ``hold`` from now on. A hold in a final state is returned as it is.

        Raises:
            Conflict: the hold changed since it was read.
        """
        if hold.state.is_final:
            return hold
        returned = replace(hold, return_by_ms=None)
        await self._run(
            _ATTACH,
            [keys.hold(hold.id), keys.DUE, keys.EVENTS, keys.at(gateway), keys.at(hold.waiter),
             keys.wake(hold.waiter)],
            [hold.id, self._clock(), hold.rev, gateway, pending_due_ms(returned)],
        )  # fmt: skip
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
        await self._client.shared_script(
            _MAKE_ASYNCHRONOUS, [keys.hold(hold_id), keys.at(gateway)], [hold_id, gateway]
        )  # fmt: skip

    async def decide(self, hold: Hold, decision: Decision, *, state: State, body: bytes | None) -> Hold:
        """Write ``decision``, and the ``state`` that follows from it (pending while the quorum is not reached).

        ``body`` is the canonical body with the decision's edits, if it has any. A decision that breaks the glass is put
        down for review with it, and has to be collected within `GLASS_WITHIN_MS`.

        Raises:
            Conflict: the hold changed since it was read, is not pending, or its deadline has passed.
        """
        now = self._clock()
        decisions = (*hold.decisions, decision)
        final = state is State.REJECTED
        claim_ends = hold.claim is not None and hold.claim.by == decision.by
        due: Argument = ""
        if state is State.PENDING:
            confirming = tuple(each for each in hold.confirming if each.by != decision.by)
            due = pending_due_ms(replace(hold, claim=None if claim_ends else hold.claim, confirming=confirming))
        elif state is State.APPROVED:
            due = now + (GLASS_WITHIN_MS if decision.glass else self._lifetimes.collect_within_ms)
        late_from = "" if decision.channel == TIMER else deadline_at(hold, now)
        answer = await self._client.shared_script(
            _DECIDE,
            [keys.hold(hold.id), keys.state(State.PENDING), keys.state(state), keys.DUE, keys.EVENTS,
             keys.wake(hold.waiter), keys.GLASS],
            [hold.id, now, hold.rev, state, due, codec.decisions_json(decisions), decision.result_digest, body or b"",
             int(bool(hold.waiter)), _decision_event(decision, state), hold_events.decided(decision, body),
             late_from, self._lifetimes.retention_ms if final else "", decision.reason if final else "",
             int(claim_ends), to_json(_broken(hold, decision)) if decision.glass else "",
             codec.confirming_field(decision.by)],
        )  # fmt: skip
        if isinstance(answer, bytes):
            raise conflict(answer)
        return codec.load_hold(as_dict(answer))

    async def escalate(self, hold: Hold) -> Hold:
        """Let the next group of the chain join.

        Raises:
            Conflict: the hold changed since it was read.
        """
        now = self._clock()
        deadline = deadline_after_escalation(hold, now)
        after = replace(hold, escalated=hold.escalated + 1, deadline_ms=deadline)
        group = hold.evaluation.escalations[hold.escalated].group
        await self._run(
            _ESCALATE,
            [keys.hold(hold.id), keys.DUE, keys.EVENTS],
            [hold.id, now, hold.rev, after.escalated, deadline, pending_due_ms(after),
             hold_events.escalated(group, deadline_ms=deadline), self._lifetimes.ttl_ms(deadline - now)],
        )  # fmt: skip
        return replace(after, rev=hold.rev + 1, due_ms=pending_due_ms(after))

    async def expire(self, hold: Hold, *, reason: str) -> Hold:
        """Nobody decided in time, or nobody collected the approval.

        Raises:
            Conflict: the hold changed since it was read.
        """
        return await self._end(hold, State.EXPIRED, by="policy", reason=reason)

    async def cancel(self, hold: Hold, *, by: str, reason: str) -> Hold:
        """The requester withdrew, or left and did not come back.

        Raises:
            Conflict: the hold changed since it was read, or is not pending.
        """
        return await self._end(hold, State.CANCELLED, by=by, reason=reason)

    async def release(self, hold_id: str, *, gateway: str, token: str | None = None) -> Hold:
        """Spend the approval; only after this returns may the hold be forwarded, and only by the caller.

        ``token`` makes a repeat of the very same attempt safe, after an answer of Redis was lost.

        Raises:
            Conflict: it is not approved (any more).
        """
        answer = await self._client.shared_script(
            _RELEASE,
            [keys.hold(hold_id), keys.state(State.APPROVED), keys.state(State.RELEASED), keys.DUE, keys.EVENTS,
             keys.at(gateway)],
            [hold_id, self._clock(), gateway, token or secrets.token_hex(8)],
        )  # fmt: skip
        if isinstance(answer, bytes):
            raise Conflict(f"the hold is {answer.decode()}, not approved")
        return codec.load_hold(as_dict(answer))

    async def close(
        self, hold: Hold, *, state: State, outcome: Outcome, response: StoredResponse | None
    ) -> None:  # fmt: skip
        """Write what became of a hold that its ``releaser`` forwarded: completed or failed.

        Raises:
            Conflict: the hold is not released, or by another gateway.
        """
        fresh_waiter = await self._client.shared_command("HGET", keys.hold(hold.id), "waiter")
        waiter = (fresh_waiter or b"").decode()
        elsewhere = bool(waiter) and waiter != hold.releaser
        kind = EventKind.HOLD_COMPLETED if state is State.COMPLETED else EventKind.HOLD_FAILED
        await self._run(
            _CLOSE,
            [keys.hold(hold.id), keys.state(State.RELEASED), keys.state(state), keys.DUE, keys.EVENTS,
             keys.at(hold.releaser), keys.response(hold.id), keys.wake(waiter)],
            [hold.id, self._clock(), hold.releaser, state, codec.outcome_json(outcome), self._lifetimes.retention_ms,
             int(elsewhere), kind, hold_events.closed(outcome), *response_arguments(response)],
        )  # fmt: skip

    async def delivered(self, hold_id: str, *, gateway: str) -> None:
        """The outcome reached the client: an identical request is a new one from now on."""
        doc = await self._client.shared_command("HGET", keys.hold(hold_id), "doc")
        if doc is None:
            return
        same = load_fingerprint(doc)
        await self._client.shared_script(
            _DELIVERED, [keys.hold(hold_id), keys.same(same), keys.at(gateway)], [hold_id, gateway]
        )  # fmt: skip

    async def note_similar(self, hold_id: str, similar: Similar) -> Similar:
        """Keep ``similar`` with the hold, unless something is noted already; returns what is.

        Raises:
            NotFound: there is no such hold (any more).
        """
        noted = await self._client.shared_script(_NOTE_SIMILAR, [keys.hold(hold_id)], [codec.similar_json(similar)])
        if noted is None:
            raise NotFound(f"there is no hold {hold_id!r}")
        return codec.load_similar(noted)

    async def forget(self, hold_id: str) -> None:
        """Take a hold that no longer exists off the timer's list and the indexes."""
        await self._client.pipeline(
            [("ZREM", keys.DUE, hold_id), *(("ZREM", keys.state(each), hold_id) for each in State)]
        )

    async def prune(self) -> None:
        """Drop closed holds from the indexes once their retention is over (the holds themselves have a TTL)."""
        before = self._clock() - self._lifetimes.retention_ms - self._lifetimes.collect_within_ms
        final = [each for each in State if each.is_final]
        await self._client.pipeline([("ZREMRANGEBYSCORE", keys.state(each), "-inf", before) for each in final])

    def _new(self, draft: Draft, gateway: str, now: int) -> Hold:
        """The hold that is to be."""
        waiter = "" if draft.asynchronous else gateway
        deadline = now + draft.evaluation.timeout_ms
        new = codec.new_hold(draft, self._ids.new(now), created_ms=now, deadline_ms=deadline, waiter=waiter)
        return replace(new, due_ms=pending_due_ms(new))

    async def _end(self, hold: Hold, state: State, *, by: str, reason: str) -> Hold:
        kind = EventKind.HOLD_EXPIRED if state is State.EXPIRED else EventKind.HOLD_CANCELLED
        await self._run(
            _END,
            [keys.hold(hold.id), keys.state(hold.state), keys.state(state), keys.DUE, keys.EVENTS,
             keys.wake(hold.waiter)],
            [hold.id, self._clock(), hold.rev, state, reason, self._lifetimes.retention_ms, int(bool(hold.waiter)),
             kind, hold_events.ended(by=by, reason=reason)],
        )  # fmt: skip
        return await self.get(hold.id)

    async def _run(self, script: Script, keys_: Sequence[str], arguments: Sequence[Argument]) -> None:
        answer = await self._client.shared_script(script, keys_, arguments)
        if answer != b"ok":
            raise conflict(answer)


def conflict(answer: bytes) -> Conflict:
    """What a script's refusal means."""
    return Conflict(_WHY.get(answer, "the hold has changed"))


def _decision_event(decision: Decision, state: State) -> EventKind:
    if decision.kind is DecisionKind.REJECT:
        return EventKind.HOLD_REJECTED
    return EventKind.HOLD_APPROVED if state is State.APPROVED else EventKind.HOLD_DECIDED


def _broken(hold: Hold, decision: Decision) -> BrokenGlass:
    return BrokenGlass(hold.id, decision.by, decision.name, decision.reason, decision.at_ms, aliases=decision.aliases)


def _pairs(fields: Mapping[str, Argument]) -> list[Argument]:
    return [item for pair in fields.items() for item in pair]


def _unless(idempotency_key: str | None, *, if_first: bool) -> str:
    """What may not be known already when a hold is created; see `lua/hold.lua`."""
    if idempotency_key is not None:
        return "key"
    return "same" if if_first else ""
