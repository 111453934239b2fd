"""Promises 2, 3, 5 and 6 where people decide: the truth table of who, what and when; edits; races."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.decide import Decider
from holdpoint import canonical
from holdpoint.clock import now_ms
from holdpoint.errors import (
    BadEdit,
    DecisionError,
    MayNotDecide,
    NotFound,
    NotRead,
    StoreUnavailable,
    TooLate,
    WrongDigest,
)
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import (
    DecisionKind,
    Edit,
    EventKind,
    Hold,
    PartRole,
    Requester,
    Requirement,
    ReviewTerms,
    Risk,
    State,
)
from holdpoint.store import Store
from tests.bot.world import World, conversation, make_world
from tests.conftest import MovingClock
from tests.support.builders import hold_in
from tests.support.redis_server import RedisServer

SAM, KIM, LENA, PAT, DANA = (f"{name}@example.com" for name in ("sam", "kim", "lena", "pat", "dana"))
APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT
PROMPT = "messages/0/content"


async def decide(
    world: World,
    hold: Hold,
    who: str,
    kind: DecisionKind = APPROVE,
    *,
    edits: Sequence[Edit] = (),
    digest: str | None = None,
    reason: str = "",
    seen_whole: bool = True,
) -> Hold:
    reviewer = await world.who(who)
    return await world.decider.decide(
        hold.id,
        reviewer,
        kind,
        digest=hold.digest if digest is None else digest,
        edits=edits,
        reason=reason,
        seen_whole=seen_whole,
    )


TABLE = [
    # who, the requester is, groups asked for, edits?, refusal (None: it counts)
    (SAM, Requester(DANA, frozenset()), ("security",), None),
    (KIM, Requester(DANA, frozenset()), ("security",), None),
    (LENA, Requester(DANA, frozenset()), ("security",), "Only security may decide"),
    (LENA, Requester(DANA, frozenset()), ("security", "legal"), None),
    (PAT, Requester(DANA, frozenset()), ("security",), "Only security may decide"),
    ("ada@example.com", Requester(DANA, frozenset()), ("security",), "Only security may decide"),
    (DANA, Requester(DANA, frozenset()), ("security",), "your own request"),
    (SAM, Requester(SAM, frozenset()), ("security",), "your own request"),
    (SAM, Requester("helper", frozenset(), owner=SAM), ("security",), "an agent of yours"),
    (KIM, Requester("helper", frozenset(), owner=SAM), ("security",), None),
    ("robot", Requester(DANA, frozenset()), ("security",), "An agent's key may not decide"),
    (SAM, Requester(DANA, frozenset()), (), "names no reviewers"),
]


@pytest.mark.promise(5)
@pytest.mark.parametrize("kind", [APPROVE, REJECT, "edit"])
@pytest.mark.parametrize(("who", "requester", "groups", "refusal"), TABLE)
async def test_every_decision_is_authorised(
    world: World, who: str, requester: Requester, groups: tuple[str, ...], refusal: str | None, kind: DecisionKind | str
) -> None:
    requirements = tuple(Requirement(group, 1) for group in groups)
    draft = conversation((PartRole.USER, "the password"), requester=requester, requirements=requirements)
    draft = replace(draft, evaluation=replace(draft.evaluation, requirements=requirements))
    hold = await world.hold_draft(draft)
    edits = [Edit(PROMPT, "the pass phrase")] if kind == "edit" else []
    choice = REJECT if kind is REJECT else APPROVE
    if refusal is None:
        decided = await decide(world, hold, who, choice, edits=edits)
        assert decided.decisions[-1].by == who
        return
    with pytest.raises(MayNotDecide, match=refusal):
        await decide(world, hold, who, choice, edits=edits)
    assert await world.store.holds.get(hold.id) == hold


@pytest.mark.promise(5)
async def test_groups_count_as_they_are_at_that_moment(world: World) -> None:
    hold = await world.hold()
    policy = await world.store.config.policy()
    assert policy is not None
    without_sam = policy.text.replace("[sam@example.com, kim@example.com]", "[kim@example.com]")
    await world.store.config.push_policy(without_sam, expect=1, by="test")
    await world.live.look()
    with pytest.raises(MayNotDecide):
        await decide(world, hold, SAM)


@pytest.mark.promise(5)
async def test_who_joined_by_escalation_may_decide(world: World) -> None:
    hold = await world.hold()
    with pytest.raises(MayNotDecide):
        await decide(world, hold, PAT)
    escalated = await world.store.holds.escalate(hold)
    assert (await decide(world, escalated, PAT)).state is State.APPROVED


@pytest.mark.promise(5)
async def test_a_quorum_counts_people_and_not_clicks(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), requirements=(Requirement("security", 2),))
    hold = await world.hold_draft(draft)
    once = await decide(world, hold, SAM)
    twice = await decide(world, hold, SAM)
    assert (once.state, twice.rev, len(twice.decisions)) == (State.PENDING, once.rev, 1)
    assert (await decide(world, hold, KIM)).state is State.APPROVED


@pytest.mark.promise(5)
async def test_all_groups_have_to_agree(world: World) -> None:
    draft = conversation((PartRole.USER, "x"), requirements=(Requirement("security", 1), Requirement("legal", 1)))
    hold = await world.hold_draft(draft)
    assert (await decide(world, hold, SAM)).state is State.PENDING
    assert (await decide(world, hold, KIM)).state is State.PENDING
    assert (await decide(world, hold, LENA)).state is State.APPROVED


async def test_one_rejection_ends_a_quorum(world: World) -> None:
    draft = conversation((PartRole.USER, "x"), requirements=(Requirement("security", 2),))
    hold = await world.hold_draft(draft)
    await decide(world, hold, SAM)
    rejected = await decide(world, hold, KIM, REJECT, reason="not like this")
    assert (rejected.state, rejected.decisions[-1].reason) == (State.REJECTED, "not like this")


async def test_the_same_person_may_change_their_mind_while_it_waits(world: World) -> None:
    draft = conversation((PartRole.USER, "x"), requirements=(Requirement("security", 2),))
    hold = await world.hold_draft(draft)
    await decide(world, hold, SAM)
    assert (await decide(world, hold, SAM, REJECT)).state is State.REJECTED


@pytest.mark.promise(5)
@pytest.mark.parametrize("kind", [APPROVE, REJECT])
async def test_who_comes_late_is_told_who_won(world: World, clock: MovingClock, kind: DecisionKind) -> None:
    hold = await world.hold()
    await decide(world, hold, KIM, kind)
    clock.forward(seconds=3)
    word = "approved" if kind is APPROVE else "rejected"
    for later in (APPROVE, REJECT):
        with pytest.raises(TooLate, match=rf"Already {word} by Kim \(kim@example.com\) 3.0 s ago"):
            await decide(world, hold, SAM, later)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
async def test_only_a_pending_hold_can_be_decided(world: World, state: State) -> None:
    hold = await hold_in(world.store, state, gateway="g#1")
    with pytest.raises(TooLate):
        await decide(world, hold, KIM)
    assert (await world.store.holds.get(hold.id)).rev == hold.rev


async def test_after_the_deadline_nobody_can(world: World, clock: MovingClock) -> None:
    hold = await world.hold()
    clock.ms = hold.deadline_ms
    with pytest.raises(TooLate, match="deadline has passed"):
        await decide(world, hold, SAM)


@pytest.mark.promise(2)
@pytest.mark.parametrize("kind", [APPROVE, REJECT])
async def test_a_decision_on_another_text_does_not_count(world: World, kind: DecisionKind) -> None:
    hold, other = await world.hold(), await world.hold("another password")
    with pytest.raises(WrongDigest):
        await decide(world, hold, SAM, kind, digest=other.digest)
    assert (await world.store.holds.get(hold.id)).rev == hold.rev


@pytest.mark.promise(2)
async def test_edits_become_the_body_and_its_digest(world: World) -> None:
    hold = await world.hold("the password")
    edited = await decide(world, hold, SAM, edits=[Edit(PROMPT, "the weather")])
    assert canonical.lookup(canonical.parse(edited.query.body), PROMPT) == "the weather"
    digest = canonical.digest(connection="demo", method="POST", target=hold.target, body=edited.query.body)
    assert (edited.digest, edited.original_digest) == (digest, hold.digest)
    (decision,) = edited.decisions
    assert (decision.digest, decision.result_digest) == (hold.digest, digest)
    assert decision.before == (Edit(PROMPT, "the password"),)


@pytest.mark.promise(2)
async def test_an_edit_voids_approvals_of_the_former_text(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), requirements=(Requirement("security", 2),))
    hold = await world.hold_draft(draft)
    await decide(world, hold, SAM)
    edited = await decide(world, hold, KIM, edits=[Edit(PROMPT, "the weather")])
    assert edited.state is State.PENDING
    with pytest.raises(WrongDigest, match="Kim has edited the text"):
        await decide(world, hold, SAM, REJECT)
    assert (await decide(world, edited, SAM)).state is State.APPROVED


BAD_EDITS = {
    "names a part that this request does not have": [Edit("messages/7/content", "x")],
    "two edits name the same part": [Edit(PROMPT, "x"), Edit(PROMPT, "y")],
    "changes nothing": [Edit(PROMPT, "the password")],
    "not valid Unicode": [Edit(PROMPT, "\ud800")],
    "blocks the edited text": [Edit(PROMPT, "BEGIN PRIVATE KEY")],
    "does not let the edited text through": [Edit(PROMPT, "call 555-0100")],
    "needs 1 from legal": [Edit(PROMPT, "sign the contract")],
}


@pytest.mark.promise(1)
@pytest.mark.parametrize(("problem", "edits"), BAD_EDITS.items())
async def test_a_bad_edit_changes_nothing(world: World, problem: str, edits: list[Edit]) -> None:
    hold = await world.hold("the password")
    with pytest.raises(BadEdit, match=problem):
        await decide(world, hold, SAM, edits=edits)
    assert await world.store.holds.get(hold.id) == hold


async def test_only_what_the_model_reads_as_a_message_can_be_edited(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), (PartRole.USER, "x"))
    parts = (draft.query.parts[0], replace(draft.query.parts[1], role=PartRole.DEFINITION))
    hold = await world.hold_draft(replace(draft, query=replace(draft.query, parts=parts)))
    with pytest.raises(BadEdit, match="cannot be edited"):
        await decide(world, hold, SAM, edits=[Edit("messages/1/content", "y")])


async def test_a_rejection_carries_no_edits(world: World) -> None:
    with pytest.raises(BadEdit, match="cannot carry edits"):
        await decide(world, await world.hold(), SAM, REJECT, edits=[Edit(PROMPT, "x")])


@pytest.mark.promise(8)
async def test_masked_places_of_an_edited_text_come_back_whole(world: World) -> None:
    hold = await world.hold("password of 4111 1111 1111 1111")
    edited = await decide(world, hold, SAM, edits=[Edit(PROMPT, "code of ⟦card number 1⟧")])
    assert edited.query.parts[0].text == "code of 4111 1111 1111 1111"
    again = await decide(world, hold, SAM, edits=[Edit(PROMPT, "code of ⟦card number 1⟧")])
    assert again.rev == edited.rev


async def test_an_unknown_hold(world: World) -> None:
    with pytest.raises(NotFound):
        await world.decider.decide("h0", await world.who(SAM), APPROVE, digest="x")


@pytest.mark.promise(3)
async def test_of_many_at_once_one_decision_wins(world: World) -> None:
    hold = await world.hold()
    choices = [(who, kind) for who in (SAM, KIM) for kind in (APPROVE, REJECT)] * 3
    other = Decider(world.store, world.live, clock=world.clock, metrics=Metrics(), link_base="")  # a second bot

    async def click(number: int, who: str, kind: DecisionKind) -> Hold | DecisionError:
        reviewer = await world.who(who)
        try:
            return await (world.decider, other)[number % 2].decide(hold.id, reviewer, kind, digest=hold.digest)
        except DecisionError as error:
            return error

    answers = await asyncio.gather(*(click(n, who, kind) for n, (who, kind) in enumerate(choices)))
    final = await world.store.holds.get(hold.id)
    assert len(final.decisions) == 1
    won = [answer for answer in answers if isinstance(answer, Hold)]
    assert {answer.decisions for answer in won} == {final.decisions}
    events = await world.store.outbox.read("events", group="test", block_ms=1, count=100)
    events += await world.store.outbox.read("events", group="test", block_ms=1, count=100)
    kinds = [event.kind for event in events if event.subject == hold.id]
    assert sorted(set(kinds) & {EventKind.HOLD_APPROVED, EventKind.HOLD_REJECTED}) == kinds[1:]


async def test_a_large_quorum_at_the_same_moment_loses_no_approval(world: World) -> None:
    people = [f"p{number}@example.com" for number in range(12)]
    for person in people:
        await world.add_key(person, groups=frozenset({"security"}))
    draft = conversation((PartRole.USER, "x"), requirements=(Requirement("security", 12),))
    hold = await world.hold_draft(draft)
    await asyncio.gather(*(decide(world, hold, person) for person in people))
    final = await world.store.holds.get(hold.id)
    assert final.state is State.APPROVED
    assert {decision.by for decision in final.decisions} == set(people)


@pytest.mark.promise(6)
async def test_without_redis_the_person_sees_that_it_was_not_stored(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    world = await make_world(store, now_ms)
    hold = await world.hold()
    reviewer = await world.who(SAM)
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await world.decider.decide(hold.id, reviewer, APPROVE, digest=hold.digest)
    redis_server.start()
    decided = await world.decider.decide(hold.id, reviewer, APPROVE, digest=hold.digest)
    assert decided.state is State.APPROVED
    await store.aclose()


async def test_decisions_are_counted(world: World, clock: MovingClock) -> None:
    hold = await world.hold()
    clock.forward(seconds=42)
    await decide(world, hold, SAM)
    assert world.metrics.decisions["api", "approve"] == 1
    assert world.metrics.decision_seconds.total == 42.0


async def test_stale_configuration_refuses(store: Store, clock: MovingClock) -> None:
    """A bot that cannot look at the policy does not decide by an old one."""
    live = Live(store, clock=clock)
    decider = Decider(store, live, clock=clock, metrics=Metrics(), link_base="")
    world = await make_world(store, clock)
    hold = await world.hold()
    reviewer = await world.who(SAM)
    assert live.snapshot.revision == -1
    await decider.decide(hold.id, reviewer, APPROVE, digest=hold.digest)
    assert live.snapshot.revision > 0


@pytest.mark.promise(1)
async def test_a_rule_that_is_pushed_while_a_request_waits_stops_its_approval(world: World) -> None:
    hold = await world.hold()
    head = await world.store.config.policy()
    assert head is not None
    rule = "  - {id: incident, description: Not today, verdict: block, when: {connections: [demo]}}\n"
    text = head.text.replace("rules:\n", f"rules:\n{rule}", 1)
    assert rule in text
    await world.store.config.push_policy(text, expect=head.version, by="test")
    await world.live.look()
    with pytest.raises(MayNotDecide, match="rule incident"):
        await decide(world, hold, SAM)
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    assert (await decide(world, hold, SAM, REJECT)).state is State.REJECTED


# What was shown


@pytest.mark.promise(2)
@pytest.mark.parametrize("edits", [[], [Edit(PROMPT, "the weather")]], ids=["as it is", "edited"])
async def test_at_high_risk_a_cut_text_is_approved_by_who_has_read_all_of_it(world: World, edits: list[Edit]) -> None:
    hold = await world.hold("the password")
    with pytest.raises(NotRead, match="View full"):
        await decide(world, hold, SAM, edits=edits, seen_whole=False)
    await world.store.talk.read(hold.id, by=KIM, digest=hold.digest, channel="slack")
    await world.store.talk.read(hold.id, by=SAM, digest="0" * 64, channel="slack")
    with pytest.raises(NotRead):
        await decide(world, hold, SAM, edits=edits, seen_whole=False)
    assert await world.store.holds.get(hold.id) == hold
    await world.store.talk.read(hold.id, by=SAM, digest=hold.digest, channel="slack")
    assert (await decide(world, hold, SAM, edits=edits, seen_whole=False)).state is State.APPROVED


@pytest.mark.promise(2)
async def test_who_has_read_the_former_text_has_not_read_the_edited_one(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), requirements=(Requirement("security", 2),))
    hold = await world.hold_draft(draft)
    await world.store.talk.read(hold.id, by=SAM, digest=hold.digest, channel="slack")
    edited = await decide(world, hold, KIM, edits=[Edit(PROMPT, "the weather")])
    with pytest.raises(NotRead):
        await decide(world, edited, SAM, seen_whole=False)


@pytest.mark.parametrize("risk", [Risk.LOW, Risk.MEDIUM])
async def test_at_lower_risk_the_card_is_enough(world: World, risk: Risk) -> None:
    hold = await world.hold_draft(conversation((PartRole.USER, "the password"), risk=risk))
    assert (await decide(world, hold, SAM, seen_whole=False)).state is State.APPROVED


async def test_nobody_has_to_read_on_to_reject(world: World) -> None:
    hold = await world.hold()
    assert (await decide(world, hold, SAM, REJECT, seen_whole=False)).state is State.REJECTED


async def test_who_may_not_decide_is_told_so_and_not_to_read(world: World) -> None:
    with pytest.raises(MayNotDecide, match="Only security"):
        await decide(world, await world.hold(), LENA, seen_whole=False)


# Edits that somebody else has to confirm


@pytest.mark.promise(5)
async def test_an_edit_is_confirmed_by_somebody_else(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), terms=ReviewTerms(confirm_edits=True))
    hold = await world.hold_draft(draft)
    edited = await decide(world, hold, SAM, edits=[Edit(PROMPT, "the weather")])
    assert edited.state is State.PENDING
    assert (await decide(world, edited, SAM)).state is State.PENDING, "not by who edited it"
    with pytest.raises(MayNotDecide):
        await decide(world, edited, LENA)
    assert (await decide(world, edited, KIM)).state is State.APPROVED


async def test_a_text_that_nobody_edited_needs_no_confirmation(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), terms=ReviewTerms(confirm_edits=True))
    assert (await decide(world, await world.hold_draft(draft), SAM)).state is State.APPROVED


@pytest.mark.promise(1)
async def test_an_edit_into_a_rule_that_has_edits_confirmed_is_refused(world: World) -> None:
    hold = await world.hold("the password")
    head = await world.store.config.policy()
    assert head is not None
    rule = (
        "  - {id: weather, description: Careful, verdict: review, when: {prompt: {matches: [weather]}},"
        " reviewers: [{group: security, approvals: 1}], confirm_edits: true}\n"
    )
    await world.store.config.push_policy(head.text.replace("rules:\n", f"rules:\n{rule}", 1), expect=1, by="test")
    await world.live.look()
    with pytest.raises(BadEdit, match=r"somebody else to confirm it.*rule weather"):
        await decide(world, hold, SAM, edits=[Edit(PROMPT, "the weather")])
    assert (await decide(world, hold, SAM, edits=[Edit(PROMPT, "the time")])).state is State.APPROVED
