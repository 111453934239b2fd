"""Deadlines: holds escalate, expire, are cancelled, or are approved by their rule; what lost gateways left is swept.

Reviewers are reminded, claims lapse, and a clock that stood for a question runs on.

Every bot runs this. Each step is one script that acts on the ``rev`` that was read, so it happens once however many
bots look at the same hold: who comes second gets a `Conflict` and has nothing left to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import assert_never

from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound, StoreUnavailable
from holdpoint.lifecycle import Step, next_step
from holdpoint.metrics import Metrics
from holdpoint.model import Decision, DecisionKind, Hold, Outcome, State
from holdpoint.store import Store
from holdpoint.store.holds import NOT_COLLECTED, TIMER

LOOK_EVERY_S = 0.25
_SWEEP_EVERY_S = 1.0
_PRUNE_EVERY_S = 60.0
_PAUSE_S = 1.0
_BATCH = 100

NOT_DECIDED = "nobody decided in time"
NOT_BACK = "the client left and did not come back"
LOST = "the gateway that forwarded it was lost"

_log = logging.getLogger("bot.timer")


class Timer:
    """`run` is the task. `look` and `sweep` are its two jobs, once."""

    def __init__(self, store: Store, *, clock: Clock, metrics: Metrics, abandon_grace_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._abandon_grace_ms = abandon_grace_ms

    async def run(self) -> None:
        """Look until cancelled. A lost Redis is waited for: what is due stays due."""
        jobs = ((LOOK_EVERY_S, self.look), (_SWEEP_EVERY_S, self.sweep), (_PRUNE_EVERY_S, self._prune))
        await asyncio.gather(*(self._repeat(every_s, job) for every_s, job in jobs))

    async def _repeat(self, every_s: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await job()
                await asyncio.sleep(every_s)
            except StoreUnavailable as error:
                _log.warning("deadlines wait: %s", error)
                await asyncio.sleep(_PAUSE_S)

    async def _prune(self) -> None:
        store = self._store
        for kept in (store.holds, store.grants, store.glass, store.absences, store.cards):
            await kept.prune()

    async def look(self) -> None:
        """Do what is due now.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        early = 0  # for so many it is not time yet: who has approved again has longer to confirm
        while True:
            due = await self._store.holds.due(_BATCH, skip=early)
            early += [await self._advance(hold_id) for hold_id in due].count(False)
            if len(due) < _BATCH:
                return

    async def sweep(self) -> None:
        """Take over what gateways that are gone had: their clients left, and what they had forwarded failed.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        for gateway, hold_ids in await self._store.gateways.lost():
            for hold_id in hold_ids:
                await self._take_over(hold_id, gateway)
            if await self._store.gateways.forget(gateway):
                _log.info("swept a lost gateway", extra={"gateway": gateway, "holds": len(hold_ids)})

    async def _advance(self, hold_id: str) -> bool:
        """One step of one hold; whether anything happened."""
        try:
            hold = await self._store.holds.get(hold_id)
        except NotFound:
            await self._store.holds.forget(hold_id)
            return True
        try:
            return await self._do(next_step(hold, self._clock()), hold)
        except Conflict:
            return True  # it moved meanwhile: a reviewer, the client or another bot was first

    async def _do(self, step: Step, hold: Hold) -> bool:
        match step:
            case Step.NOTHING:
                return False
            case Step.ESCALATE:
                await self._store.holds.escalate(hold)
            case Step.EXPIRE:
                reason = NOT_COLLECTED if hold.state is State.APPROVED else NOT_DECIDED
                await self._store.holds.expire(hold, reason=reason)
            case Step.CANCEL:
                await self._store.holds.cancel(hold, by="policy", reason=NOT_BACK)
            case Step.ALLOW:
                await self._approve(hold)
            case Step.REMIND:
                await self._store.talk.remind(hold)
            case Step.RESUME:
                await self._store.talk.resume(hold)
            case Step.UNCLAIM:
                await self._store.talk.unclaim(hold, by="policy")
            case Step.LAPSE:
                await self._store.talk.lapse(hold)
            case _:
                assert_never(step)
        _log.info("a hold moved by its deadline", extra={"hold": hold.id, "step": step.value})
        return True

    async def _approve(self, hold: Hold) -> None:
        """The rule says in as many words that silence is consent."""
        now_ms = self._clock()
        decision = Decision(
            kind=DecisionKind.APPROVE,
            by="policy",
            name="",
            groups=(),
            channel=TIMER,
            at_ms=now_ms,
            digest=hold.digest,
            result_digest=hold.digest,
            reason=f"{NOT_DECIDED}, and the rule says allow",
        )
        await self._store.holds.decide(hold, decision, state=State.APPROVED, body=None)
        self._metrics.decisions[TIMER, DecisionKind.APPROVE.value] += 1

    async def _take_over(self, hold_id: str, gateway: str) -> None:
        # Also of a hold that is gone, or that somebody else waits for: it is not one of this gateway's any more.
        await self._store.holds.leave(hold_id, gateway=gateway, grace_ms=self._abandon_grace_ms)
        try:
            hold = await self._store.holds.get(hold_id)
        except NotFound:
            return
        if hold.state is State.RELEASED and hold.releaser == gateway:
            await self._fail(hold)

    async def _fail(self, hold: Hold) -> None:
        """Nobody knows what the model answered, and an approval is good for one release: it is over."""
        started_ms = hold.decisions[-1].at_ms if hold.decisions else hold.created_ms
        outcome = Outcome(
            status=0,
            digest="",
            text="",
            prompt_tokens=None,
            completion_tokens=None,
            duration_ms=max(self._clock() - started_ms, 0),
            size_bytes=0,
            error=LOST,
        )
        try:
            await self._store.holds.close(hold, state=State.FAILED, outcome=outcome, response=None)
        except Conflict:
            return  # it was closed after all
