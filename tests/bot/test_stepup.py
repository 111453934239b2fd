"""When an approval has to be confirmed, what is kept of it, and what confirming it does: the decider and what lies behind the page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.confirmation import Confirmations, NotYours, Settled
from bot.grants import Grants
from bot.timer import Timer
from holdpoint.errors import BadEdit, DecisionError, MayNotDecide, NotFound, StepUpNeeded, TooLate, WrongDigest
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Edit, EventKind, Factor, Hold, Requirement, Reviewer, ReviewTerms, State
from holdpoint.store.bundles import Covered
from holdpoint.store.stepups import LASTS_MS
from tests.bot.world import World
from tests.conftest import MovingClock
from tests.support.builders import make_decision, make_evaluation

SAM, KIM, LENA, PAT = (f"{name}@example.com" for name in ("sam", "kim", "lena", "pat"))
WITHIN_MS = 300_000
STEP_UP = make_evaluation(terms=ReviewTerms(step_up_ms=WITHIN_MS))
PLAIN = make_evaluation()
APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT


@pytest.fixture
def page(world: World) -> Confirmations:
    decider = world.decider
    return Confirmations(
        world.store, decider, Grants(world.store, world.live, decider, clock=world.clock), verifiers={}
    )


async def signed_in(world: World, principal: str = SAM, ago_ms: int | None = None) -> Reviewer:
    who = await world.who(principal, "web")
    return replace(who, auth_ms=None if ago_ms is None else world.clock() - ago_ms)


async def ask(world: World, hold: Hold, who: Reviewer, *, edits: tuple[Edit, ...] = (), reason: str = "") -> str:
    """Approve; the token of the link that is the answer."""
    with pytest.raises(StepUpNeeded) as needed:
        await world.decider.decide(hold.id, who, APPROVE, digest=hold.digest, edits=edits, reason=reason)
    return needed.value.url.removeprefix("http://localhost/confirm/")


async def confirm(
    page: Confirmations, token: str, who: Reviewer, factor: Factor | None = Factor.PASSKEY
) -> list[Settled]:  # fmt: skip
    step_up = await page.opened(token, who)
    return await page.confirm(step_up, await page.reviewer_of(step_up, who), factor=factor)


async def kinds(world: World) -> list[EventKind]:
    return [each.kind for each in await world.store.outbox.follow("events", after="0", block_ms=10)]


@pytest.mark.parametrize(
    ("asked", "kind", "ago_ms", "factor", "counts"),
    [
        (False, APPROVE, None, None, None),
        (False, APPROVE, 0, Factor.PASSKEY, None),  # nobody asked for it, so it is not on the record
        (True, REJECT, None, None, None),
        (True, APPROVE, 0, None, Factor.SIGN_IN),
        (True, APPROVE, WITHIN_MS, None, Factor.SIGN_IN),
        (True, APPROVE, -60_000, None, Factor.SIGN_IN),  # the provider's clock is a little ahead
        (True, APPROVE, None, Factor.PASSKEY, Factor.PASSKEY),
        (True, APPROVE, WITHIN_MS * 9, Factor.PASSKEY, Factor.PASSKEY),
    ],
)
async def test_what_counts_at_once(
    world: World, asked: bool, kind: DecisionKind, ago_ms: int | None, factor: Factor | None, counts: Factor | None
) -> None:
    hold = await world.hold(evaluation=STEP_UP if asked else PLAIN)
    who = await signed_in(world, ago_ms=ago_ms)
    decided = await world.decider.decide(hold.id, who, kind, digest=hold.digest, reason="because", factor=factor)
    assert decided.state is (State.APPROVED if kind is APPROVE else State.REJECTED)
    assert decided.decisions[0].factor is counts


async def test_who_approves_again_as_the_time_runs_out_has_time_again(
    world: World, page: Confirmations, clock: MovingClock
) -> None:
    hold = await world.hold(evaluation=replace(STEP_UP, timeout_ms=3 * LASTS_MS))
    sam = await signed_in(world)
    first = await ask(world, hold, sam)
    clock.forward(seconds=LASTS_MS / 1000 - 120)
    assert await ask(world, hold, sam) == first, "the very same click is the same approval"
    clock.forward(seconds=119)
    again = await ask(world, hold, sam)
    clock.forward(seconds=30)
    assert await confirm(page, again, sam) == [Settled(hold.id)]


@pytest.mark.parametrize("ago_ms", [None, WITHIN_MS + 1, -60_001, WITHIN_MS * 100])
async def test_what_has_to_be_confirmed_changes_nothing_but_what_cards_say(world: World, ago_ms: int | None) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    await ask(world, hold, await signed_in(world, ago_ms=ago_ms))
    after = await world.store.holds.get(hold.id)
    assert (after.state, after.decisions, after.digest) == (State.PENDING, (), hold.digest)
    assert [(each.by, each.name) for each in after.confirming] == [(SAM, "Sam")]


@pytest.mark.parametrize(
    ("who", "digest", "edits", "error"),
    [
        (PAT, "", (), MayNotDecide),
        (SAM, "0" * 64, (), WrongDigest),
        (SAM, "", (Edit("messages/9/content", "x"),), BadEdit),
        (SAM, "", (Edit("messages/0/content", "BEGIN PRIVATE KEY"),), BadEdit),
    ],
    ids=["another group", "another text", "a bad edit", "an edit that is blocked"],
)
async def test_what_could_never_count_is_refused_at_once(
    world: World, who: str, digest: str, edits: tuple[Edit, ...], error: type[DecisionError]
) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    with pytest.raises(error):
        await world.decider.decide(hold.id, await world.who(who), APPROVE, digest=digest or hold.digest, edits=edits)
    assert (await world.store.holds.get(hold.id)).confirming == ()


async def test_an_edit_is_confirmed_as_it_was_made(world: World, page: Confirmations) -> None:
    hold = await world.hold("the password, please", evaluation=STEP_UP)
    who = await signed_in(world)
    token = await ask(world, hold, who, edits=(Edit("messages/0/content", "nothing, thanks"),), reason="softer")
    assert await confirm(page, token, who) == [Settled(hold.id)]
    after = await world.store.holds.get(hold.id)
    assert (after.state, after.query.parts[0].text) == (State.APPROVED, "nothing, thanks")
    (done,) = after.decisions
    assert (done.by, done.channel, done.reason, done.factor) == (SAM, "web", "softer", Factor.PASSKEY)
    assert after.confirming == ()


async def test_one_for_each_hold_and_person_the_last_one(world: World, page: Confirmations) -> None:
    hold = await world.hold(evaluation=replace(STEP_UP, requirements=(Requirement("security", 2),)))
    sam, kim = await signed_in(world), await signed_in(world, KIM)
    first = await ask(world, hold, sam)
    assert await ask(world, hold, sam) == first
    second = await ask(world, hold, sam, reason="another one")
    third = await ask(world, hold, kim)
    assert len({first, second, third}) == 3
    assert [each.by for each in (await world.store.holds.get(hold.id)).confirming] == [KIM, SAM]
    assert await confirm(page, first, sam) == []  # it was replaced
    assert (await world.store.holds.get(hold.id)).decisions == ()
    assert await confirm(page, second, sam) == [Settled(hold.id)]
    assert await confirm(page, third, kim) == [Settled(hold.id)]
    after = await world.store.holds.get(hold.id)
    assert (after.state, [done.by for done in after.decisions]) == (State.APPROVED, [SAM, KIM])


async def test_many_clicks_at_once_are_one(world: World) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    who = await signed_in(world)
    assert len(set(await asyncio.gather(*(ask(world, hold, who) for _ in range(8))))) == 1
    assert (await kinds(world)).count(EventKind.HOLD_CONFIRMING) == 1


async def test_a_link_confirms_once(world: World, page: Confirmations) -> None:
    evaluation = replace(STEP_UP, requirements=(Requirement("security", 2),))
    hold = await world.hold("password", evaluation=evaluation)
    who = await signed_in(world)
    token = await ask(world, hold, who)
    results = await asyncio.gather(*(confirm(page, token, who) for _ in range(4)))
    assert [Settled(hold.id)] in results
    assert len((await world.store.holds.get(hold.id)).decisions) == 1
    assert (await page.opened(token, who)).done_ms == world.clock()
    # Kim changes the text and changes it back: what Sam confirmed once does not come alive again.
    kim = await signed_in(world, KIM, ago_ms=0)
    edited = await world.decider.decide(
        hold.id, kim, APPROVE, digest=hold.digest, edits=[Edit("messages/0/content", "word")]
    )
    assert edited.digest != hold.digest
    with pytest.raises(WrongDigest):
        await world.decider.decide(hold.id, who, APPROVE, digest=edited.original_digest[::-1], factor=Factor.PASSKEY)
    await confirm(page, token, who)
    assert [done.by for done in (await world.store.holds.get(hold.id)).decisions] == [SAM, KIM]


@pytest.mark.parametrize("who", [KIM, PAT, "dana@example.com", "ada@example.com", "robot"])
async def test_nobody_else_may_know_or_confirm(world: World, page: Confirmations, who: str) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    token = await ask(world, hold, await signed_in(world))
    with pytest.raises(NotYours) as refused:
        await page.opened(token, await signed_in(world, who, ago_ms=0))
    assert hold.id not in str(refused.value)
    assert SAM not in str(refused.value)


async def test_an_agent_that_is_called_like_the_person_confirms_nothing(world: World, page: Confirmations) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    token = await ask(world, hold, await signed_in(world))
    with pytest.raises(NotYours):
        await page.opened(token, replace(await signed_in(world), owner=LENA))


@pytest.mark.parametrize("token", ["", "x", "ü" * 20, "a" * 65, "../../keys", "of:h:sam@example.com"])
async def test_other_words_are_no_links(page: Confirmations, world: World, token: str) -> None:
    with pytest.raises(NotFound):
        await page.opened(token, await signed_in(world))


Meanwhile = Callable[[World, Hold], Awaitable[object]]


async def _rejected(world: World, hold: Hold) -> object:
    return await world.store.holds.decide(
        await world.store.holds.get(hold.id), make_decision(hold, REJECT, KIM), state=State.REJECTED, body=None
    )


async def _edited(world: World, hold: Hold) -> object:
    kim = await signed_in(world, KIM, ago_ms=0)
    edits = [Edit("messages/0/content", "another password")]
    return await world.decider.decide(hold.id, kim, APPROVE, digest=hold.digest, edits=edits)


async def _withdrawn(world: World, hold: Hold) -> object:
    now = await world.store.holds.get(hold.id)
    return await world.store.holds.cancel(now, by="dana@example.com", reason="withdrawn")


async def _out_of_the_group(world: World, hold: Hold) -> object:
    head = await world.store.config.policy()
    assert head is not None
    assert hold.decisions == ()
    await world.store.config.push_policy(head.text.replace("sam@example.com, ", ""), expect=head.version, by="ada")
    await world.live.look()
    return None


async def _blocked(world: World, hold: Hold) -> object:
    head = await world.store.config.policy()
    assert head is not None
    assert hold.decisions == ()
    text = head.text.replace("BEGIN PRIVATE KEY", "admin password")
    await world.store.config.push_policy(text, expect=head.version, by="ada")
    await world.live.look()
    return None


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (_rejected, f"Already rejected by {KIM}"),
        (_edited, "has edited the text since"),
        (_withdrawn, "Already cancelled"),
        (_out_of_the_group, "Only security"),
        (_blocked, "blocks this text by now"),
    ],
)
async def test_all_is_looked_at_again(world: World, page: Confirmations, meanwhile: Meanwhile, why: str) -> None:
    two = replace(STEP_UP, requirements=(Requirement("security", 2),))
    hold = await world.hold(evaluation=two)
    who = await signed_in(world)
    token = await ask(world, hold, who)
    await meanwhile(world, hold)
    (settled,) = await confirm(page, token, await signed_in(world))
    assert why in settled.why
    assert SAM not in [done.by for done in (await world.store.holds.get(hold.id)).decisions]
    assert (await page.opened(token, who)).done_ms is None


async def test_the_deadline_does_not_wait(world: World, page: Confirmations, clock: MovingClock) -> None:
    hold = await world.hold(evaluation=replace(STEP_UP, timeout_ms=60_000))
    who = await signed_in(world)
    token = await ask(world, hold, who)
    clock.forward(seconds=61)
    (settled,) = await confirm(page, token, who)
    assert "deadline" in settled.why


async def test_a_sign_in_that_is_too_old_confirms_nothing(world: World, page: Confirmations) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    token = await ask(world, hold, await signed_in(world))
    old = await signed_in(world, ago_ms=WITHIN_MS + 1)
    (settled,) = await confirm(page, token, old, factor=None)
    assert settled.why == StepUpNeeded.NOT_YET
    fresh = await signed_in(world, ago_ms=1)
    assert await confirm(page, token, fresh, factor=None) == [Settled(hold.id)]
    assert (await world.store.holds.get(hold.id)).decisions[0].factor is Factor.SIGN_IN


async def test_a_key_without_the_reviewer_role_confirms_nothing(world: World, page: Confirmations) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    token = await ask(world, hold, await signed_in(world))
    requester = replace(await signed_in(world), roles=frozenset())
    with pytest.raises(MayNotDecide, match="no reviewer role"):
        await confirm(page, token, requester)


async def test_a_platform_that_is_switched_off_confirms_nothing(world: World, page: Confirmations) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    token = await ask(world, hold, replace(await signed_in(world), channel="slack", address="U1"))
    with pytest.raises(MayNotDecide, match="not connected"):
        await confirm(page, token, await signed_in(world))


async def test_several_holds_are_confirmed_together(world: World, page: Confirmations) -> None:
    holds = [await world.hold("the same password", evaluation=STEP_UP) for _ in range(3)]
    who = await signed_in(world)
    covered = [Covered(hold.id, hold.digest) for hold in holds]
    needed = await world.decider.step_up.ask(who, covered)
    again = await world.decider.step_up.ask(who, covered)
    assert needed.url == again.url
    await _rejected(world, holds[1])
    settled = await confirm(page, needed.url.rpartition("/")[2], who)
    assert [bool(each.why) for each in settled] == [False, True, False]
    states = [(await world.store.holds.get(hold.id)).state for hold in holds]
    assert states == [State.APPROVED, State.REJECTED, State.APPROVED]


async def test_nothing_is_kept_for_what_is_over(world: World) -> None:
    hold = await world.hold(evaluation=STEP_UP)
    await _rejected(world, hold)
    with pytest.raises(TooLate):
        await world.decider.step_up.ask(await signed_in(world), [Covered(hold.id, hold.digest)])
    assert (await world.store.holds.get(hold.id)).confirming == ()


async def test_the_cards_forget_what_nobody_confirmed(world: World, clock: MovingClock) -> None:
    hold = await world.hold(
        evaluation=replace(STEP_UP, timeout_ms=3_600_000, escalations=(), terms=replace(STEP_UP.terms, remind=False))
    )
    timer = Timer(world.store, clock=world.clock, metrics=Metrics(), abandon_grace_ms=1000)
    who = await signed_in(world)
    token = await ask(world, hold, who)
    clock.forward(seconds=LASTS_MS / 1000 - 1)
    await timer.look()
    assert (await world.store.holds.get(hold.id)).confirming
    clock.forward(seconds=1)
    await timer.look()
    after = await world.store.holds.get(hold.id)
    assert (after.confirming, after.state) == ((), State.PENDING)
    assert after.due_ms == after.deadline_ms
    assert (await kinds(world))[-1] is EventKind.HOLD_UNCONFIRMED
    with pytest.raises(NotFound):
        await world.store.stepups.get(token)
    assert await ask(world, hold, who) != token
