"""The route through Slack: posted, clicked, decided, redrawn everywhere. Over HTTP and over Socket Mode."""

from __future__ import annotations

import asyncio

import pytest

from bot import slack as names
from holdpoint.model import DecisionKind, Requester, Requirement, State
from tests.bot.slack.conftest import World
from tests.support.builders import OUTCOME, make_decision
from tests.support.waiting import wait_until


async def test_a_hold_is_posted_to_its_routes_and_to_the_requester(world: World) -> None:
    hold = await world.hold()
    for channel in (world.security, world.second):
        card = await world.card(hold, channel)
        for words in (
            "dana@example.com",
            "contractors",
            "demo",
            "production",
            "secrets",
            "High risk",
            "Waiting for 1 approval from security",
            "what is the admin password",
            "Credentials in a prompt",
        ):
            assert words in card.seen.text
        assert card.seen.dates[0] == hold.deadline_ms // 1000
        assert card.buttons == [names.APPROVE, names.EDIT, names.REJECT, names.ASK, names.CLAIM, names.OPEN]
        assert "password" not in card.text
        assert not card.unfurl
    dm = await world.dm(hold)
    assert "held" in dm.seen.text
    assert dm.buttons == [names.JUSTIFY, names.CANCEL, names.QUIET]
    assert world.slack.workspace.messages(world.leads.id) == []


@pytest.mark.promise(6)
async def test_an_approval_is_recorded_before_it_is_acknowledged_and_shown_everywhere(world: World) -> None:
    hold = await world.hold()
    card, other, dm = await world.card(hold), await world.card(hold, world.second), await world.dm(hold)
    delivery = await world.slack.click(world.sam, card, names.APPROVE)
    assert delivery.acked
    stored = await world.store.holds.get(hold.id)
    assert stored.state is State.APPROVED
    decision = stored.decisions[0]
    assert (decision.by, decision.channel, decision.digest) == ("sam@example.com", "slack", hold.digest)
    for copy in (card, other):
        await world.shows(copy, "Approved by sam from Slack")
        assert copy.buttons == [names.OPEN]
    await world.shows(dm, "Your request was approved")
    assert dm.buttons == []
    released = await world.store.holds.release(hold.id, gateway="g1")
    await world.store.holds.close(released, state=State.COMPLETED, outcome=OUTCOME, response=None)
    await world.shows(dm, "Your request was answered")
    await world.shows(card, "the model has answered")
    assert world.slack.told(world.sam) == []


async def test_a_rejection_asks_for_a_reason_and_tells_the_requester(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    assert (await world.slack.click(world.sam, card, names.REJECT)).acked
    (modal,) = world.slack.workspace.modals(world.sam)
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    assert (await world.slack.submit(world.sam, modal, {"reason": "Not <!channel> today & never"})).acked
    assert not modal.open
    stored = await world.store.holds.get(hold.id)
    assert (stored.state, stored.decisions[0].reason) == (State.REJECTED, "Not <!channel> today & never")
    for copy in (card, await world.dm(hold)):
        await world.shows(copy, "Not <!channel> today & never")
        assert copy.seen.notified == []


async def test_an_edit_approves_the_new_text(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.EDIT)
    (modal,) = world.slack.workspace.modals(world.sam)
    assert (await world.slack.submit(world.sam, modal, {"part-0": "what is the guest password"})).acked
    stored = await world.store.holds.get(hold.id)
    assert stored.state is State.APPROVED
    assert stored.query.parts[0].text == "what is the guest password"
    assert b"guest" in stored.query.body
    assert stored.digest != hold.digest
    await world.shows(card, "+ what is the guest password")
    assert "Approved with edits by sam" in card.seen.text


async def test_an_untouched_edit_modal_is_a_plain_approval(world: World) -> None:
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.EDIT)
    (modal,) = world.slack.workspace.modals(world.sam)
    await world.slack.submit(world.sam, modal, {"part-0": "what is the admin password\r\n", "reason": "fine"})
    stored = await world.store.holds.get(hold.id)
    assert (stored.state, stored.decisions[0].edits, stored.digest) == (State.APPROVED, (), hold.digest)
    assert stored.decisions[0].reason == "fine"


async def test_an_edit_that_the_policy_blocks_stays_in_the_modal(world: World) -> None:
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.EDIT)
    (modal,) = world.slack.workspace.modals(world.sam)
    await world.slack.submit(world.sam, modal, {"part-0": "what are the launch codes"})
    assert modal.open
    assert "never" in modal.errors["part-0"]
    assert (await world.store.holds.get(hold.id)).state is State.PENDING


async def test_two_reviewers_race_and_the_second_reads_who_won(world: World) -> None:
    hold = await world.hold()
    card, other = await world.card(hold), await world.card(hold, world.second)
    first, second = await asyncio.gather(
        world.slack.click(world.sam, card, names.APPROVE), world.slack.click(world.kim, other, names.APPROVE)
    )
    assert first.acked
    assert second.acked
    (decision,) = (await world.store.holds.get(hold.id)).decisions
    loser = world.kim if decision.by == "sam@example.com" else world.sam
    await world.told(loser, f"Already approved by {decision.name}")


async def test_a_quorum_shows_its_progress(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.APPROVE)
    await world.shows(card, "1 of 2 from security: sam")
    assert names.APPROVE in card.buttons
    await world.slack.click(world.kim, card, names.APPROVE)
    await world.shows(card, "Approved by sam and kim")
    assert len((await world.store.holds.get(hold.id)).decisions) == 2


@pytest.mark.promise(5)
async def test_who_may_not_decide_reads_why_and_nothing_changes(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for user, words in ((world.ola, "security"), (world.dana, "own request")):
        for button in (names.APPROVE, names.REJECT, names.EDIT):
            world.slack.workspace.ephemerals.clear()
            assert (await world.slack.click(user, card, button)).acked
            await world.told(user, words)
            assert world.slack.workspace.modals(user) == []
    assert (await world.store.holds.get(hold.id)).rev == hold.rev


@pytest.mark.promise(5)
async def test_nobody_decides_for_an_agent_that_they_own(world: World) -> None:
    hold = await world.hold(requester=Requester("build-bot", frozenset({"contractors"}), owner="sam@example.com"))
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.APPROVE)
    await wait_until(lambda: world.slack.told(world.sam), "sam is told")
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    dm = await world.dm(hold, world.sam)  # the owner gets the agent's message
    await world.slack.click(world.sam, dm, names.CANCEL)
    assert (await world.store.holds.get(hold.id)).state is State.CANCELLED


async def test_the_requester_cancels_from_the_message(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    assert (await world.slack.click(world.dana, dm, names.CANCEL)).acked
    stored = await world.store.holds.get(hold.id)
    assert (stored.state, stored.close_reason) == (State.CANCELLED, "withdrawn by the requester")
    await world.shows(dm, "Your request was cancelled")
    await world.shows(card, "Cancelled")
    assert card.buttons == [names.OPEN]


async def test_cancelling_too_late_says_so(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    found = dm.button(names.CANCEL)
    assert found is not None
    await world.slack.click(world.sam, card, names.APPROVE)
    await world.slack.deliver("interactive", world.slack.click_payload(world.dana, dm, *found))
    await world.told(world.dana, "Already approved by sam")


async def test_an_expired_hold_is_shown_as_expired(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    await world.store.holds.expire(hold, reason="nobody decided in time")
    await world.shows(card, "Expired")
    await world.shows(dm, "Your request expired")


async def test_an_escalation_brings_the_card_to_the_group_that_joined(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.store.holds.escalate(hold)
    joined = await world.card(hold, world.leads)
    await world.shows(card, "security or platform-leads")
    await world.slack.click(world.lee, joined, names.APPROVE)
    await world.shows(card, "Approved by lee")


async def test_a_double_delivery_is_one_decision_and_no_reproach(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.APPROVE, copies=2)
    await world.shows(card, "1 of 2")
    assert len((await world.store.holds.get(hold.id)).decisions) == 1
    await world.slack.click(world.kim, card, names.REJECT, copies=2)
    assert len(world.slack.workspace.modals(world.kim)) == 1
    assert world.slack.told(world.sam) + world.slack.told(world.kim) == []


async def test_a_usergroup_counts_as_the_group_that_names_it(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("oncall", 1),))
    card = await world.card(hold)
    world.slack.workspace.usergroups["S0ONCALL"] = [world.ola.id]
    await world.slack.click(world.ola, card, names.APPROVE)
    await world.shows(card, "Approved by ola")
    assert (await world.store.holds.get(hold.id)).decisions[0].groups == ("oncall",)


async def test_a_trigger_that_expired_is_said_in_words(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    found = card.button(names.REJECT)
    assert found is not None
    payload = world.slack.click_payload(world.sam, card, *found)
    user, _, used = world.slack.workspace.triggers[payload["trigger_id"]]
    world.slack.workspace.triggers[payload["trigger_id"]] = (user, 0, used)
    assert (await world.slack.deliver("interactive", payload)).acked
    await world.told(world.sam, "three seconds")


async def test_a_card_that_showed_another_text_decides_nothing_and_is_redrawn(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    found = card.button(names.APPROVE)
    assert found is not None
    await world.slack.click(world.sam, card, names.EDIT)
    (modal,) = world.slack.workspace.modals(world.sam)
    await world.slack.submit(world.sam, modal, {"part-0": "what is the guest password"})
    edits = card.edits
    await world.slack.deliver("interactive", world.slack.click_payload(world.kim, card, *found))
    await world.told(world.kim, "edited")
    await wait_until(lambda: card.edits > edits, "the card is redrawn")
    assert len((await world.store.holds.get(hold.id)).decisions) == 1


async def test_commands(world: World) -> None:
    await world.hold()
    answers = world.slack.workspace.ephemerals

    async def say(user: object, text: str) -> str:
        assert (await world.slack.command(user, world.security, text)).acked  # type: ignore[arg-type]
        return str(answers[-1].blocks) + answers[-1].text

    assert "sam@example.com" in await say(world.sam, "whoami")
    assert "route add" in await say(world.sam, "help")
    assert "Only admins" in await say(world.sam, "route add * slack:C0LEADS")
    assert "slack:C0SECOND" in await say(world.lee, f"route add oncall <#{world.second.id}|second>")
    assert "oncall" in await say(world.lee, "route list")
    assert "no longer" in await say(world.lee, "route remove oncall slack:C0SECOND")
    assert "dana@example.com" in await say(world.sam, "pending")
    assert "do not know" in await say(world.sam, "<!channel> nonsense")
    assert all(e.user for e in answers)


async def test_the_same_decision_through_the_store_redraws_the_cards(world: World) -> None:
    """A decision of another channel: Slack only hears of it through the events."""
    hold = await world.hold()
    card = await world.card(hold)
    await world.store.holds.decide(hold, make_decision(hold, DecisionKind.REJECT), state=State.REJECTED, body=None)
    await world.shows(card, "Rejected by sam@example.com")
