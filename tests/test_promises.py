"""A Hypothesis state machine: two gateways, two bots, several reviewers, a moving clock, one real Redis.

The rules do what people, clients, crashes and time do, in any order. After every step the outbox is replayed, and the
promises are checked against what was said there and against what "the model" was sent.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bot.decide import Decider
from bot.timer import Timer
from holdpoint import canonical
from holdpoint.errors import Conflict, DecisionError
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import TRANSITIONS, DecisionKind, Edit, Hold, Requester, Requirement, Reviewer, Role, State
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import OUTCOME, make_draft, make_evaluation
from tests.support.programs import POLICY
from tests.support.redis_server import RedisServer

T = TypeVar("T")

GROUPS = {
    "sam@example.com": {"security"},
    "kim@example.com": {"security", "legal"},
    "lee@example.com": {"legal"},
    "pat@example.com": {"platform-leads"},
    "dana@example.com": {"contractors", "security"},
}
REQUESTERS = [
    Requester("dana@example.com", frozenset({"contractors"})),
    Requester("sam@example.com", frozenset({"security"})),
    Requester("build-agent", frozenset({"agents"}), owner="kim@example.com"),
]
REQUIREMENTS = [
    (Requirement("security", 1),),
    (Requirement("security", 2),),
    (Requirement("security", 1), Requirement("legal", 1)),
]
GRACE_MS = 60_000


class Promises(RuleBasedStateMachine):
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = MovingClock()
        self.sent: list[tuple[str, bytes]] = []  # what the model was sent: (hold id, body)
        self.numbers = itertools.count()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]  # every awaitable here is a coroutine

    @initialize()
    def set_up(self) -> None:
        with redis.Redis.from_url(SERVER.url) as client:
            client.flushall()
        self.run(self._open())

    async def _open(self) -> None:
        self.store = await Store.open(SERVER.url, clock=self.clock)
        await self.store.config.push_policy(POLICY.format(upstream="http://127.0.0.1:9"), expect=0, by="test")
        metrics = Metrics()
        self.lives = [Live(self.store, clock=self.clock) for _ in range(2)]
        for live in self.lives:
            await live.look()
        self.deciders = [Decider(self.store, live, clock=self.clock, metrics=metrics) for live in self.lives]
        self.timers = [
            Timer(self.store, clock=self.clock, metrics=metrics, abandon_grace_ms=GRACE_MS) for _ in range(2)
        ]
        self.gateways = [await self.store.gateways.start(f"gateway-{n}") for n in range(2)]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.aclose())
        self.loop.close()

    # What requesters, clients and gateways do

    @rule(
        target=holds,
        gateway=st.integers(0, 1),
        requester=st.sampled_from(REQUESTERS),
        requirements=st.sampled_from(REQUIREMENTS),
        asynchronous=st.booleans(),
    )
    def ask(self, gateway: int, requester: Requester, requirements: Any, asynchronous: bool) -> str:
        draft = make_draft(
            prompt=f"the password, number {next(self.numbers)}",
            requester=requester,
            evaluation=make_evaluation(requirements=requirements),
            asynchronous=asynchronous,
        )
        hold = self.run(self.store.holds.hold(draft, gateway=self.gateways[gateway], idempotency_key=None))
        return hold.id

    @rule(hold=holds, gateway=st.integers(0, 1))
    def leave(self, hold: str, gateway: int) -> None:
        self.run(self.store.holds.leave(hold, gateway=self.gateways[gateway], grace_ms=GRACE_MS))

    @rule(hold=holds, gateway=st.integers(0, 1), retrying=st.booleans())
    def come_back(self, hold: str, gateway: int, retrying: bool) -> None:
        seen = self.run(self.store.holds.get(hold))
        found = self.run(
            self.store.holds.find(
                requester=seen.requester, connection=seen.connection, digest=seen.original_digest,
                idempotency_key=None, retrying=retrying,
            )
        )  # fmt: skip
        assert found is None or found.id == hold, "a request comes back to its own hold"
        if found is not None:
            self.run(self.store.holds.attach(found, gateway=self.gateways[gateway]))

    @rule(hold=holds, gateways=st.lists(st.integers(0, 1), min_size=1, max_size=3))
    def release(self, hold: str, gateways: list[int]) -> None:
        """Several at once try to spend the approval; whoever gets it sends the body to the model."""

        async def try_one(gateway: str) -> None:
            with suppress(Conflict):
                released = await self.store.holds.release(hold, gateway=gateway)
                self.sent.append((released.id, released.query.body))

        async def race() -> None:
            await asyncio.gather(*(try_one(self.gateways[g]) for g in gateways))

        self.run(race())

    @rule(hold=holds, well=st.booleans())
    def finish(self, hold: str, well: bool) -> None:
        seen = self.run(self.store.holds.get(hold))
        if seen.state is State.RELEASED:
            state = State.COMPLETED if well else State.FAILED
            self.run(self.store.holds.close(seen, state=state, outcome=OUTCOME, response=None))
            self.run(self.store.holds.delivered(hold, gateway=seen.releaser))

    @rule(gateway=st.integers(0, 1))
    def gateway_crashes(self, gateway: int) -> None:
        self.gateways[gateway] = self.run(self.store.gateways.start(f"gateway-{gateway}"))

    @rule(hold=holds)
    def withdraw(self, hold: str) -> None:
        seen = self.run(self.store.holds.get(hold))
        with suppress(Conflict):
            self.run(self.store.holds.cancel(seen, by=seen.requester.principal, reason="withdrawn"))

    # What reviewers and time do

    @rule(
        hold=holds,
        who=st.lists(st.sampled_from(sorted(GROUPS)), min_size=1, max_size=3),
        kind=st.sampled_from([DecisionKind.APPROVE, DecisionKind.APPROVE, DecisionKind.REJECT]),
        stale=st.booleans(),
        edit=st.booleans(),
    )
    def decide(self, hold: str, who: list[str], kind: DecisionKind, stale: bool, edit: bool) -> None:
        """Several reviewers click at once, on two bots; some look at an outdated card."""
        seen = self.run(self.store.holds.get(hold))
        digest = seen.original_digest if stale else seen.digest
        edits: tuple[Edit, ...] = ()
        if edit and kind is DecisionKind.APPROVE:
            edits = (Edit("messages/0/content", f"the weather, number {next(self.numbers)}"),)

        async def click(bot: int, principal: str) -> None:
            reviewer = Reviewer(principal, frozenset(GROUPS[principal]), frozenset({Role.REVIEWER}), "api", principal)
            with suppress(DecisionError):
                await self.deciders[bot].decide(hold, reviewer, kind, digest=digest, edits=edits)

        async def race() -> None:
            await asyncio.gather(*(click(n % 2, principal) for n, principal in enumerate(who)))

        self.run(race())

    @rule(seconds=st.sampled_from([1, 61, 300, 601, 3601]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)
        for gateway in self.gateways:
            self.run(self.store.gateways.beat(gateway))

    @rule()
    def both_timers_look(self) -> None:
        async def look() -> None:
            await asyncio.gather(*(timer.look() for timer in self.timers), *(timer.sweep() for timer in self.timers))

        self.run(look())

    # What must hold, always

    @invariant()
    def the_promises_hold(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = self.run(self.store._client.command("XRANGE", "hp:{p00}:events", "-", "+"))
        events = self.run(self.store.outbox.follow("events", after="0", block_ms=1)) if rows else []
        by_hold: dict[str, list[Any]] = {}
        for event in events:
            if event.kind.value.startswith("hold."):
                by_hold.setdefault(event.subject, []).append(event)
        for hold_id, told in by_hold.items():
            self.check(self.run(self.store.holds.get(hold_id)), told)
        sent = [hold_id for hold_id, _ in self.sent]
        assert len(sent) == len(set(sent)), "promise 3: one approval, one release"

    def check(self, hold: Hold, told: list[Any]) -> None:
        revs = [event.data["rev"] for event in told]
        assert revs == sorted(set(revs)), "each change is told once, in order"
        states = [State(event.data["state"]) for event in told]
        for before, after in itertools.pairwise(states):
            assert before is after or after in TRANSITIONS[before], "the state machine is kept"
        assert states[-1] is hold.state, "promise 4: state and record agree"
        for _, body in (each for each in self.sent if each[0] == hold.id):
            self.check_forwarded(hold, body)
        for decision in hold.decisions:
            allowed = {r.group for r in hold.requirements} | {g for r in hold.requirements for g in r.alternates}
            assert allowed & GROUPS[decision.by], "promise 5: the right group"
            assert decision.by not in (hold.requester.principal, hold.requester.owner), "promise 5: not one's own"

    def check_forwarded(self, hold: Hold, body: bytes) -> None:
        digest = canonical.digest(connection=hold.connection, method=hold.method, target=hold.target, body=body)
        approvals = [d for d in hold.decisions if d.kind is DecisionKind.APPROVE and d.result_digest == digest]
        assert digest == hold.digest, "promise 2: what was approved is what was forwarded"
        people = {decision.by for decision in approvals}
        needed = sum(requirement.approvals for requirement in hold.requirements)
        assert len(people) >= needed, "promises 1 and 5: a quorum of distinct people approved this very text"
        assert not any(d.kind is DecisionKind.REJECT for d in hold.decisions)


SERVER: RedisServer


@pytest.mark.promise(3)
def test_the_promises_hold_whatever_happens(shared_redis: RedisServer) -> None:
    global SERVER  # noqa: PLW0603 - Hypothesis makes the machine itself
    SERVER = shared_redis
    Promises.TestCase.settings = settings(
        max_examples=100,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    machine = Promises.TestCase("runTest")
    machine.runTest()
