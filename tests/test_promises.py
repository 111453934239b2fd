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

from bot.conversation import Conversation
from bot.decide import Decider
from bot.timer import Timer
from holdpoint.errors import Conflict, DecisionError
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Edit, Escalation, Requester, Requirement, Reviewer, ReviewTerms, Role, State
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import OUTCOME, make_draft, make_evaluation
from tests.support.programs import POLICY
from tests.support.promises import check_decisions, check_forwarded, check_story
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
STEPS = (Escalation(300_000, "platform-leads"),)
TERMS = st.builds(ReviewTerms, question_pauses=st.booleans(), confirm_edits=st.booleans(), remind=st.booleans())
PEOPLE = st.sampled_from(sorted(GROUPS))
GRACE_MS = 60_000


def person(principal: str) -> Reviewer:
    groups = frozenset(GROUPS.get(principal, ()))
    return Reviewer(principal, groups, frozenset({Role.REVIEWER}), "api", principal)


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
        self.deciders = [
            Decider(self.store, live, clock=self.clock, metrics=metrics, link_base="") for live in self.lives
        ]
        self.conversations = [Conversation(self.store, live, clock=self.clock) for live in self.lives]
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
        terms=TERMS,
        escalates=st.booleans(),
        asynchronous=st.booleans(),
    )
    def send(
        self, gateway: int, requester: Requester, requirements: Any, terms: ReviewTerms, escalates: bool, asynchronous: bool
    ) -> str:  # fmt: skip
        draft = make_draft(
            prompt=f"the password, number {next(self.numbers)}",
            requester=requester,
            evaluation=make_evaluation(requirements=requirements, terms=terms, escalations=STEPS[:escalates]),
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
        who=st.lists(PEOPLE, min_size=1, max_size=3),
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
            with suppress(DecisionError):
                await self.deciders[bot].decide(hold, person(principal), kind, digest=digest, edits=edits)

        async def race() -> None:
            await asyncio.gather(*(click(n % 2, principal) for n, principal in enumerate(who)))

        self.run(race())

    @rule(hold=holds, who=PEOPLE, bot=st.integers(0, 1), giving_back=st.booleans())
    def claim(self, hold: str, who: str, bot: int, giving_back: bool) -> None:
        talk = self.conversations[bot]
        with suppress(DecisionError):
            self.run((talk.unclaim if giving_back else talk.claim)(hold, person(who)))

    @rule(hold=holds, who=st.lists(PEOPLE, min_size=1, max_size=2))
    def ask(self, hold: str, who: list[str]) -> None:
        """Several reviewers ask at once, on two bots."""

        async def put(bot: int, principal: str) -> None:
            with suppress(DecisionError):
                await self.conversations[bot].ask(hold, person(principal), f"question {next(self.numbers)}")

        async def race() -> None:
            await asyncio.gather(*(put(n, principal) for n, principal in enumerate(who)))

        self.run(race())

    @rule(hold=holds, who=st.none() | PEOPLE, number=st.integers(0, 1), anew=st.booleans())
    def answer(self, hold: str, who: str | None, number: int, anew: bool) -> None:
        """Mostly the requester; sometimes somebody whom nobody asked, or the answer comes twice."""
        seen = self.run(self.store.holds.get(hold))
        principal = who or seen.requester.owner or seen.requester.principal
        text = f"because {next(self.numbers)}" if anew else "because"
        for question in seen.questions[number : number + 1]:
            with suppress(DecisionError):
                self.run(self.conversations[0].answer(hold, question.id, person(principal), text))

    @rule(hold=holds, who=st.none() | PEOPLE)
    def justify(self, hold: str, who: str | None) -> None:
        seen = self.run(self.store.holds.get(hold))
        principal = who or seen.requester.owner or seen.requester.principal
        with suppress(DecisionError):
            self.run(self.conversations[1].justify(hold, person(principal), f"reason {next(self.numbers)}"))

    @rule(seconds=st.sampled_from([1, 61, 150, 300, 601, 3601]), bots=st.booleans())
    def time_passes(self, seconds: int, bots: bool) -> None:
        """With or without bots that look at what is due."""
        self.clock.forward(seconds=seconds)
        for gateway in self.gateways:
            self.run(self.store.gateways.beat(gateway))
        if bots:
            self.both_timers_look()

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
            hold = self.run(self.store.holds.get(hold_id))
            check_story(hold, told)
            check_decisions(hold, GROUPS)
            for body in (body for sent_for, body in self.sent if sent_for == hold_id):
                check_forwarded(hold, body)
        sent = [hold_id for hold_id, _ in self.sent]
        assert len(sent) == len(set(sent)), "promise 3: one approval, one release"


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
