"""The verbs of a hold once it is made: decide, escalate, expire, cancel, release, close.

Each change is one Lua script that changes state, indexes and outbox together and wakes the waiter. A script acts only
on the ``rev`` that its caller saw; who comes late gets a `Conflict` and reads again.

How a hold is made, waited for and left is in holding.py; how it is looked at, in reading.py.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from holdpoint.errors import Conflict, NotFound
from holdpoint.lifecycle import deadline_after_escalation, deadline_at, pending_due_ms
from holdpoint.model import Decision, DecisionKind, EventKind, Hold, Outcome, Similar, State
from holdpoint.standing import BrokenGlass
from holdpoint.store import codec, hold_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Script, as_dict
from holdpoint.store.conflicts import conflict
from holdpoint.store.holding import Holding
from holdpoint.store.responses import StoredResponse, response_arguments
from holdpoint.store.wire import Argument

TIMER = "timer"  # the channel of a decision that the deadline itself makes
GLASS_WITHIN_MS = 300_000  # an approval for an emergency is not one for later
NOT_COLLECTED = "approved, but never collected"

_DECIDE = Script("decide")
_ESCALATE = Script("escalate")
_END = Script("end")
_RELEASE = Script("release")
_CLOSE = Script("close")
_NOTE_SIMILAR = Script("note_similar")
_BATCH = 500


class Holds(Holding):
    """All that can happen to a hold. Every method raises `StoreUnavailable` when Redis cannot do it."""

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
        late_from = "" if decision.channel == TIMER else deadline_at(hold, now)
        answer = await self._client.shared_script(
            _DECIDE,
            [keys.hold(hold.id), keys.state(State.PENDING), keys.state(state), keys.DUE, keys.EVENTS,
             keys.wake(hold.waiter), keys.GLASS],
            [hold.id, now, hold.rev, state, self._due_after(hold, decision, state, now),
             codec.decisions_json(decisions), decision.result_digest, body or b"",
             int(bool(hold.waiter)), _decision_event(decision, state), hold_events.decided(decision, body),
             late_from, self._lifetimes.retention_ms if final else "", decision.reason if final else "",
             int(_ends_claim(hold, decision)), to_json(_broken(hold, decision)) if decision.glass else "",
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

        An approval whose time to be collected is over expires here, should the timer not have been there yet.

        Raises:
            Conflict: it is not approved (any more).
        """
        answer = await self._client.shared_script(
            _RELEASE,
            [keys.hold(hold_id), keys.state(State.APPROVED), keys.state(State.RELEASED), keys.DUE, keys.EVENTS,
             keys.at(gateway)],
            [hold_id, self._clock(), gateway, token or secrets.token_hex(8)],
        )  # fmt: skip
        if answer == b"late":
            await self.expire(await self.get(hold_id), reason=NOT_COLLECTED)
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
        over = self._clock() - self._lifetimes.retention_ms
        for index in (keys.state(each) for each in State if each.is_final):
            # It goes by the beginnings of holds, and their retention by their ends.
            ids = await self._client.command("ZRANGEBYSCORE", index, "-inf", over)
            for batch in (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)):
                ends = await self._client.pipeline([("HGET", keys.hold(each.decode()), "closed_ms") for each in batch])
                gone = [each for each, end in zip(batch, ends, strict=True) if int(end or 0) <= over]
                if gone:
                    await self._client.command("ZREM", index, *gone)

    def _due_after(self, hold: Hold, decision: Decision, state: State, now: int) -> Argument:
        """When the timer has to look at the hold that ``decision`` brings into ``state``; empty: not any more."""
        if state is State.APPROVED:
            return now + (GLASS_WITHIN_MS if decision.glass else self._lifetimes.collect_within_ms)
        if state is not State.PENDING:
            return ""
        claim = None if _ends_claim(hold, decision) else hold.claim
        confirming = tuple(each for each in hold.confirming if each.by != decision.by)
        return pending_due_ms(replace(hold, claim=claim, confirming=confirming))

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


def _decision_event(decision: Decision, state: State) -> EventKind:
    if decision.kind is DecisionKind.REJECT:
        return EventKind.HOLD_REJECTED
    return EventKind.HOLD_APPROVED if state is State.APPROVED else EventKind.HOLD_DECIDED


def _ends_claim(hold: Hold, decision: Decision) -> bool:
    """Whoever decides is no longer on it."""
    return hold.claim is not None and hold.claim.by == decision.by


def _broken(hold: Hold, decision: Decision) -> BrokenGlass:
    return BrokenGlass(hold.id, decision.by, decision.name, decision.reason, decision.at_ms, aliases=decision.aliases)
