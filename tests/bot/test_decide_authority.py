"""Promise 5 with real people in a real store: aliases, stages, absence, one's own requests, and who changed the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.glass import BreakGlass
from bot.grants import Grants
from bot.happenings import calls
from bot.offers import offers
from bot.pieces import Action
from bot.separation import MOST_VERSIONS
from holdpoint.errors import BadEdit, MayNotDecide
from holdpoint.model import (
    DecisionKind,
    Edit,
    GrantLimits,
    GrantScope,
    Hold,
    Mention,
    PartRole,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    Role,
    StandIn,
    State,
)
from holdpoint.policy import people
from holdpoint.standing import Change, ChangeKind
from tests.bot.world import POLICY, World, conversation
from tests.conftest import MovingClock
from tests.support.builders import DANA

SAM, SAM2, KIM, LENA, ADA, DANA2 = (
    f"{name}@example.com" for name in ("sam", "s.smith", "kim", "lena", "ada", "d.jones")
)
APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT
PROMPT = "messages/0/content"
HOUR = 3_600_000
TWO = (Requirement("security", 2),)
STAGED = (Requirement("legal", 1), Requirement("security", 1, after=("legal",)))


def person(
    principal: str, *groups: str, also: Sequence[str] = (), away: Sequence[StandIn] = (), admin: bool = False
) -> Reviewer:
    roles = frozenset({Role.ADMIN}) if admin else frozenset[Role]()
    return Reviewer(
        principal, frozenset(groups), roles, "slack", aliases=frozenset(also), stands_in_for=tuple(away)
    )  # fmt: skip


async def held(
    world: World,
    *requirements: Requirement,
    by: Requester = DANA,
    risk: Risk = Risk.HIGH,
    terms: ReviewTerms | None = None,
    text: str = "the password",
) -> Hold:
    asked = requirements or (Requirement("security", 1),)
    draft = conversation(
        (PartRole.USER, text),
        requester=by,
        requirements=asked,
        risk=risk,
        terms=terms or ReviewTerms(),
        escalations=(),
    )
    return await world.hold_draft(draft)


async def decide(world: World, hold: Hold, who: Reviewer, kind: DecisionKind = APPROVE, *, edit: str = "") -> Hold:
    edits = [Edit(PROMPT, edit)] if edit else []
    return await world.decider.decide(hold.id, who, kind, digest=hold.digest, edits=edits)


@pytest.mark.promise(3)
@pytest.mark.promise(5)
@pytest.mark.parametrize("told", [(SAM2,), ()])
async def test_two_addresses_of_one_person_at_the_same_moment_are_one_approval(
    world: World, told: tuple[str, ...]
) -> None:
    hold = await held(world, *TWO)
    one, other = person(SAM, "security", also=told), person(SAM2, "security", also=(SAM,))
    await asyncio.gather(*(decide(world, hold, who) for who in (one, other) * 5))
    now = await world.store.holds.get(hold.id)
    assert now.state is State.PENDING
    assert len(now.decisions) == 1, "the second address repeats what the first has said"
    assert (await decide(world, now, person(KIM, "security"))).state is State.APPROVED


@pytest.mark.promise(5)
async def test_a_decision_records_who_else_its_person_is_and_in_whose_place_it_was_made(world: World) -> None:
    hold = await held(world)
    absent = StandIn(SAM, frozenset({"security"}), world.clock() + HOUR, frozenset({SAM2}))
    decided = await decide(world, hold, person(LENA, "legal", also=("l.lang@example.com",), away=[absent]))
    (said,) = decided.decisions
    assert decided.state is State.APPROVED
    assert (said.by, said.aliases, said.behalf, said.behalf_aliases) == (LENA, ("l.lang@example.com",), (SAM,), (SAM2,))
    assert said.behalf_until_ms == absent.until_ms
    assert said.groups == ("legal", "security")


@pytest.mark.promise(5)
async def test_a_turn_that_has_not_come_is_refused_and_then_counts(world: World) -> None:
    hold = await held(world, *STAGED, terms=ReviewTerms(mentions=frozenset({Mention.HELD})))
    sam, lena = person(SAM, "security"), person(LENA, "legal")
    for kind in (APPROVE, REJECT):
        with pytest.raises(MayNotDecide, match="not yet the turn of security: legal has to approve before"):
            await decide(world, hold, sam, kind)
    assert [call.groups for call in calls(hold)] == [("legal",)]
    first = await decide(world, hold, lena)
    assert first.state is State.PENDING
    assert [(call.key, call.groups) for call in calls(first)][1:] == [("call security", ("security",))]
    assert (await decide(world, first, sam)).state is State.APPROVED


@pytest.mark.promise(5)
async def test_who_has_approved_in_vain_approves_again_when_it_counts(world: World) -> None:
    asked = (
        Requirement("legal", 1),
        Requirement("platform", 1),
        Requirement("security", 1, after=("legal", "platform")),
    )
    hold = await held(world, *asked)
    both = person(SAM, "legal", "security")
    await decide(world, hold, person(LENA, "legal"))
    spare = await decide(world, hold, both)
    assert (await decide(world, hold, both)).rev == spare.rev, "a repeat"
    await decide(world, hold, person(ADA, "platform"))
    assert (await decide(world, hold, both)).state is State.APPROVED


SMALL = ReviewTerms(self_approval=True, grant=GrantLimits(5, HOUR, frozenset(GrantScope)))
ALLOWING = POLICY.replace("rules:\n", "authority: {self_approval: low}\nrules:\n", 1).replace("risk: high", "risk: low")


async def push(world: World, text: str, by: str = "test", *, confirmed_by: str = "") -> None:
    head = await world.store.config.policy_number()
    if confirmed_by:
        change = Change(f"c{head}", ChangeKind.POLICY, by, world.clock(), "", head, text=text)
        await world.store.changes.propose(change)
        await world.store.changes.confirm(change.id, by=confirmed_by)
    else:
        await world.store.config.push_policy(text, expect=head, by=by)
    await world.live.look()


@pytest.mark.promise(5)
async def test_requesters_approve_their_own_where_the_policy_says_so_and_still_does(world: World) -> None:
    dana = person(DANA2, "security", also=(DANA.principal,))
    hold = await held(world, risk=Risk.LOW, terms=SMALL)
    with pytest.raises(MayNotDecide, match="By the policy in force nobody may approve"):
        await decide(world, hold, dana)
    await push(world, ALLOWING)
    with pytest.raises(MayNotDecide, match="as you sent it"):
        await decide(world, hold, dana, edit="a phrase")
    grants = Grants(world.store, world.live, world.decider, clock=world.clock)
    with pytest.raises(MayNotDecide, match="your own request"):
        await grants.approve_similar(hold.id, dana, digest=hold.digest, scope=GrantScope.REQUESTER, uses=1, age_ms=1)
    offered, _ = offers(hold, now_ms=world.clock(), viewer=dana, masked=False)
    assert Action.APPROVE in offered
    assert not {Action.EDIT, Action.GRANT} & set(offered)
    assert (await decide(world, hold, dana)).state is State.APPROVED


@pytest.mark.promise(5)
async def test_whoever_stands_in_makes_no_grants(world: World) -> None:
    hold = await held(world, terms=SMALL)
    lena = person(LENA, away=[StandIn(SAM, frozenset({"security"}), world.clock() + HOUR)])
    grants = Grants(world.store, world.live, world.decider, clock=world.clock)
    with pytest.raises(MayNotDecide, match="makes no standing approvals"):
        await grants.approve_similar(hold.id, lena, digest=hold.digest, scope=GrantScope.REQUESTER, uses=1, age_ms=1)
    offered, _ = offers(hold, now_ms=world.clock(), viewer=lena, masked=False)
    assert Action.GRANT not in offered


EDITS = {
    "a confirmation": "authority: {step_up: {risk: low, within: 5m}}\nrules:\n",
    "another order": "rules:\n",
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("what", EDITS)
async def test_an_edit_does_not_get_round_what_the_policy_asks_of_its_text_by_now(world: World, what: str) -> None:
    hold = await held(world, Requirement("legal", 1), Requirement("security", 1))
    asked = "[{group: security, approvals: 1}]"
    later = "[{group: legal}, {group: security, after: legal}]" if what == "another order" else asked
    await push(world, POLICY.replace("rules:\n", EDITS[what], 1).replace(asked, later))
    with pytest.raises(BadEdit, match="which this hold does not ask for"):
        await decide(world, hold, person(SAM, "security"), edit="another password")


def forward(world: World, *, hours: int) -> None:
    assert isinstance(world.clock, MovingClock)
    world.clock.forward(seconds=hours * 3600)


SEPARATED = POLICY.replace("rules:\n", "authority: {separation: 24h}\nrules:\n", 1)
CHANGED = SEPARATED.replace("Credentials in a prompt", "Credentials in any prompt")
APART = ReviewTerms(separation_ms=24 * HOUR)


@pytest.mark.promise(5)
async def test_who_has_changed_a_rule_does_not_approve_under_it_for_a_while(world: World) -> None:
    await push(world, SEPARATED)
    forward(world, hours=25)
    await push(world, CHANGED, by=SAM, confirmed_by=KIM)
    hold = await held(world, terms=APART)
    sam, kim, lee = (person(who, "security") for who in (SAM, KIM, "lee@example.com"))
    for who in (sam, kim, person(SAM2, "security", also=(SAM,))):
        with pytest.raises(MayNotDecide, match=r"Rule secrets was changed by .* and kim"):
            await decide(world, hold, who)
    assert (await decide(world, hold, lee)).state is State.APPROVED
    assert (await decide(world, await held(world, terms=APART), sam, REJECT)).state is State.REJECTED
    forward(world, hours=25)
    assert (await decide(world, await held(world, terms=APART), sam)).state is State.APPROVED


@pytest.mark.promise(5)
async def test_taking_the_section_out_frees_nobody_for_what_is_held_already(world: World) -> None:
    await push(world, SEPARATED)
    hold = await held(world, terms=APART)
    await push(world, POLICY, by=SAM)
    with pytest.raises(MayNotDecide, match="Rule secrets was changed"):
        await decide(world, hold, person(SAM, "security"))


@pytest.mark.promise(5)
@pytest.mark.parametrize("confirmed", [False, True])
async def test_who_changed_a_rule_is_known_under_their_other_addresses(world: World, *, confirmed: bool) -> None:
    await push(world, SEPARATED)
    store, head = world.store, await world.store.config.policy_number()
    if confirmed:
        await store.changes.propose(Change("c1", ChangeKind.POLICY, ADA, world.clock(), "", head, text=CHANGED))
        await store.changes.confirm("c1", by=SAM2, aliases={SAM})
    else:
        await store.config.push_policy(CHANGED, expect=head, by=SAM2, aliases={SAM})
    await world.live.look()
    hold = await held(world, terms=APART)
    with pytest.raises(MayNotDecide, match="Rule secrets was changed"):
        await decide(world, hold, person(SAM, "security"))
    assert (await decide(world, hold, person(KIM, "security"))).state is State.APPROVED


@pytest.mark.promise(5)
async def test_a_rule_that_only_the_policy_in_force_applies_separates_too(world: World) -> None:
    await push(world, SEPARATED)
    forward(world, hours=25)
    added = "  - {id: phrases, when: {prompt: {matches: [password]}}, verdict: review, reviewers: [{group: security}]}\nroutes:"
    await push(world, SEPARATED.replace("routes:", added), by=SAM)
    hold = await held(world)
    with pytest.raises(MayNotDecide, match="Rule phrases was changed"):
        await decide(world, hold, person(SAM, "security"))
    assert (await decide(world, hold, person(KIM, "security"))).state is State.APPROVED


@pytest.mark.promise(5)
@pytest.mark.parametrize("confirmed", [False, True])
async def test_a_push_from_a_machine_whose_clock_is_behind_hides_nobody(world: World, *, confirmed: bool) -> None:
    await push(world, SEPARATED)
    forward(world, hours=25)
    await push(world, CHANGED, by=SAM)
    forward(world, hours=-30)
    await push(world, f"{CHANGED}# again\n", by=KIM, confirmed_by=ADA if confirmed else "")
    forward(world, hours=31)
    hold = await held(world, terms=APART)
    with pytest.raises(MayNotDecide, match="Rule secrets was changed"):
        await decide(world, hold, person(SAM, "security"))
    assert (await decide(world, hold, person(KIM, "security"))).state is State.APPROVED


@pytest.mark.promise(5)
async def test_a_flood_of_versions_hides_nobody(world: World) -> None:
    await push(world, CHANGED, by=SAM)
    for number in range(MOST_VERSIONS + 1):
        head = await world.store.config.policy_number()
        await world.store.config.push_policy(f"{CHANGED}# {number}\n", expect=head, by="test")
    await world.live.look()
    hold = await held(world, terms=APART)
    with pytest.raises(MayNotDecide, match="cannot be known who has changed"):
        await decide(world, hold, person(SAM, "security"))


@pytest.mark.promise(5)
async def test_glass_under_another_address(world: World) -> None:
    glass = BreakGlass(world.store, world.live, clock=world.clock, metrics=world.metrics)
    why = "production is down"
    own = await held(world, *TWO, risk=Risk.LOW, terms=SMALL)
    with pytest.raises(MayNotDecide, match="your own request"):
        await glass.break_glass(own.id, person(DANA2, also=(DANA.principal,), admin=True), why)
    hold = await held(world, *TWO)
    broken = await glass.break_glass(hold.id, person(SAM, also=(SAM2,), admin=True), why)
    again = await glass.break_glass(hold.id, person(SAM2, also=(SAM,), admin=True), why)
    assert again.rev == broken.rev
    for who in (person(SAM2, admin=True), person(SAM2, also=(SAM,), admin=True)):
        with pytest.raises(MayNotDecide, match="You broke the glass yourself"):
            await glass.review(hold.id, who)
    await glass.review(hold.id, person(ADA, admin=True))


@pytest.mark.promise(5)
async def test_nobody_confirms_their_own_change_under_another_address(world: World) -> None:
    change = Change("c1", ChangeKind.POLICY, SAM, world.clock(), "", 1, text=POLICY, aliases=(SAM2,))
    await world.store.changes.propose(change)
    for by, also in ((SAM2, ()), (" S.Smith@example.com", ()), (KIM, (SAM2,))):
        with pytest.raises(MayNotDecide):
            await world.store.changes.confirm("c1", by=by, aliases=also)
    assert people.is_among(people.of_reviewer(person(KIM, also=(SAM2,))), (change.by, *change.aliases))
    await world.store.changes.confirm("c1", by=KIM)
    assert (await world.store.config.policy_version(2)).confirmed_by == KIM


@pytest.mark.promise(5)
async def test_a_grant_does_not_cover_its_maker_under_another_address(world: World) -> None:
    terms = "    grants: {uses: 20, for: 8h, to: [requester, group]}\n"
    await push(world, POLICY.replace("approvals: 1}]\n", f"approvals: 1}}]\n{terms}", 1))
    hold = await held(world, terms=SMALL)
    grants = Grants(world.store, world.live, world.decider, clock=world.clock)
    sam = person(SAM, "security", also=(SAM2,))
    _, grant = await grants.approve_similar(
        hold.id, sam, digest=hold.digest, scope=GrantScope.GROUP, subject="contractors", uses=1, age_ms=HOUR
    )
    assert people.is_own(Requester(SAM2, frozenset()), grant.by, *grant.aliases)
    again = replace(sam, principal=SAM2, aliases=frozenset({SAM}))
    _, same = await grants.approve_similar(
        hold.id, again, digest=hold.digest, scope=GrantScope.GROUP, subject="contractors", uses=1, age_ms=HOUR
    )
    assert same.id == grant.id, "one grant for each hold and person"


@pytest.mark.promise(5)
async def test_a_grant_that_was_made_only_when_asked_again_covers_no_address_of_its_maker(world: World) -> None:
    terms = "    grants: {uses: 20, for: 8h, to: [requester, group]}\n"
    await push(world, POLICY.replace("approvals: 1}]\n", f"approvals: 1}}]\n{terms}", 1))
    hold = await held(world, terms=SMALL)
    await decide(world, hold, person(SAM, "security"))  # and the process died before it made the grant
    grants = Grants(world.store, world.live, world.decider, clock=world.clock)
    _, grant = await grants.approve_similar(
        hold.id, person(SAM2, "security", also=(SAM,)), digest=hold.digest, scope=GrantScope.GROUP,
        subject="contractors", uses=1, age_ms=HOUR,
    )  # fmt: skip
    for maker in (SAM, SAM2):
        assert people.is_own(Requester(maker, frozenset()), grant.by, *grant.aliases), maker
