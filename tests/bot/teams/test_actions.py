"""Approve, reject, edit: by whom, of what, once; and what the one who clicked sees at once (promises 3, 5, 6)."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import GrantLimits, GrantScope, Hold, Requirement, ReviewTerms, Risk, State
from tests.bot.teams.hands import all_noted, press, stored, value_of
from tests.bot.teams.world import World
from tests.support.builders import make_decision
from tests.support.waiting import wait_until

ACTS = [names.APPROVE, names.REJECT, names.EDIT, names.CLAIM, names.UNCLAIM, names.ASK, names.GRANT]
TERMS = ReviewTerms(grant=GrantLimits(10, 3_600_000, frozenset(GrantScope)))
WORDS = {"reason": "because", "text": "What for?", "scope": "requester", "uses": "1", "age": "60000"}


async def decided_by(world: World, hold: Hold, who: str) -> Hold:
    """Somebody was quicker, somewhere else."""
    return await world.store.holds.decide(hold, make_decision(hold, by=who), state=State.APPROVED, body=None)


async def test_who_approves_sees_the_new_state_at_once_and_everybody_after_that(world: World) -> None:
    hold = await world.hold()
    card, other, dm = await world.card(hold), await world.card(hold, "second"), await world.dm(hold)
    seen = await world.user("sam").click(card, names.APPROVE)
    assert seen.kind == "card"
    assert "pproved by Sam" in seen.seen
    assert names.APPROVE not in seen.verbs
    assert (await stored(world, hold)).decisions[0].by == "sam@example.com"
    for copy in (card, other, dm):
        await world.shows(copy, "pproved by Sam")


@pytest.mark.promise(3)
async def test_a_click_that_comes_twice_counts_once(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.teams.set(copies=2)
    assert (await world.user("sam").click(card, names.APPROVE)).kind == "card"
    await world.teams.set(copies=1)
    again = await press(world, "sam", card, names.APPROVE, value_of(hold))
    assert again.kind == "card"
    after = await stored(world, hold)
    assert [done.by for done in after.decisions] == ["sam@example.com"]
    assert after.state is State.PENDING


async def test_a_rejection_carries_its_reason_to_the_requester(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    seen = await world.user("sam").click(card, names.REJECT, {"reason.reject": "Not <at>today</at>, *please*"})
    assert "Rejected" in seen.seen
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].reason) == (State.REJECTED, "Not <at>today</at>, *please*")
    await world.shows(await world.dm(hold), "Not <at>today</at>, *please*")


async def test_a_rejection_needs_a_reason(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for reason in ("", "  \n ", None, 7, ["x"], {"a": 1}):
        seen = await press(world, "sam", card, names.REJECT, value_of(hold), **{"reason.reject": reason})
        assert seen.kind == "message"  # the card stays, and with it what else was typed
        assert "Say why" in seen.said
    assert (await stored(world, hold)).state is State.PENDING


async def test_an_edited_text_is_what_is_approved(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    given = {"part-0.edit": "what is the guest password", "reason.edit": "the guest's one will do"}
    seen = await world.user("kim").click(card, names.EDIT, given)
    after = await stored(world, hold)
    assert (after.state, after.query.parts[0].text) == (State.APPROVED, "what is the guest password")
    assert after.decisions[0].reason == "the guest's one will do"
    assert "guest" in seen.seen
    await world.shows(card, "guest")


async def test_a_text_that_came_back_as_it_was_is_no_edit(world: World) -> None:
    hold = await world.hold()
    await world.user("kim").click(
        await world.card(hold), names.EDIT, {"part-0.edit": f"{hold.query.parts[0].text}\r\n"}
    )
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].edits) == (State.APPROVED, ())


async def test_an_edit_of_what_is_not_there_changes_nothing(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for part in ("part-9", "part-x", "part--1", "part-", "part-٣", "part-1e3"):
        seen = await press(world, "sam", card, names.EDIT, value_of(hold), **{part: "other"})
        assert "oes not fit this request" in seen.said
    assert (await stored(world, hold)).rev == hold.rev


async def test_what_the_policy_blocks_cannot_be_written_into_a_text(world: World) -> None:
    hold = await world.hold()
    seen = await press(world, "sam", await world.card(hold), names.EDIT, value_of(hold), **{"part-0": "launch codes"})
    assert "blocks" in seen.said
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.parametrize("names_in_order", [("reason.edit", "reason.reject"), ("reason.reject", "reason.edit")])
async def test_inputs_of_another_form_on_the_card_are_not_taken(world: World, names_in_order: tuple[str, ...]) -> None:
    hold = await world.hold()
    given = {name: f"from {name}" for name in names_in_order}
    await press(world, "sam", await world.card(hold), names.REJECT, value_of(hold), **given)
    assert (await stored(world, hold)).decisions[0].reason == "from reason.reject"


async def test_who_is_late_sees_the_card_as_it_is_and_who_won(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    await decided_by(world, hold, "kim@example.com")
    for verb in ACTS:
        seen = await press(world, "sam", card, verb, value_of(hold), **WORDS)
        assert seen.kind == "card", (verb, seen.value)
        assert "Already approved by kim@example.com" in seen.texts[0]
        assert set(seen.verbs) == set()


@pytest.mark.promise(2)
async def test_a_card_of_another_text_decides_nothing_and_becomes_the_right_one(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.user("kim").click(card, names.EDIT, {"part-0.edit": "what is the guest password"})
    seen = await press(world, "sam", card, names.APPROVE, value_of(hold))
    assert "edited the text since" in seen.texts[0]
    assert "what is the guest password" in seen.seen
    assert names.APPROVE in seen.verbs  # of the new text
    assert len((await stored(world, hold)).decisions) == 1
    assert seen.card is not None
    now = await stored(world, hold)
    fresh = next(each for each in seen.card["actions"] if each.get("verb") == names.APPROVE)
    assert fresh["data"]["hold"] == value_of(now)


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("who", "words"), [("ola", "Only security"), ("dana", "own request"), ("lee", "Only security")]
)
async def test_who_may_not_decide_sees_the_card_without_buttons_and_why(world: World, who: str, words: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for verb in ACTS:
        seen = await press(world, who, card, verb, value_of(hold), **WORDS)
        assert (seen.kind, seen.verbs) == ("card", []), (verb, seen.value)
        assert words in seen.seen
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(5)
async def test_membership_counts_as_it_is_at_the_decision(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.user("sam").click(card, names.APPROVE)
    known = await world.store.config.policy()
    assert known is not None
    text = known.text.replace("sam@example.com, kim@example.com", "sam@example.com")
    await world.store.config.push_policy(text, expect=known.version, by="test")
    await wait_until(lambda: world.live.snapshot.policy.version == 2, "the policy is live")
    assert "security" in (await press(world, "kim", card, names.APPROVE, value_of(hold))).seen
    assert len((await stored(world, hold)).decisions) == 1


async def test_an_old_client_decides_by_message(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    assert (await world.user("sam").click(card, names.APPROVE, old_client=True)).kind == "sent"
    await world.becomes(hold, State.APPROVED)
    await world.shows(card, "pproved by Sam")


async def test_an_old_client_is_told_in_words_who_won(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    await decided_by(world, hold, "kim@example.com")
    activity = await world.teams.activity("message", "sam", "security")
    data = {"verb": names.APPROVE, "hold": value_of(hold)}
    await world.teams.deliver({**activity, "replyToId": card.id, "value": data})

    async def told() -> bool:
        return any("Already approved by kim" in each.seen for each in await world.teams.messages("security"))

    await wait_until(told, "it is said where sam clicked", every=0.02)


async def all_drawn(world: World, hold: Hold) -> None:
    await wait_until(lambda: all_noted(world, hold), "all copies are noted", every=0.02)


async def test_a_copy_that_nobody_knows_is_adopted_when_it_is_clicked(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    target = f"teams:{card.conversation}"
    await world.store.cards.forget(hold.id, target)
    await world.user("sam").click(card, names.APPROVE)
    await world.shows(card, "pproved by Sam")

    async def known() -> bool:
        place = (await world.store.cards.all(hold.id)).get(target)
        return place is not None and place.message == card.id

    await wait_until(known, "its place is known again")


@pytest.mark.promise(2)
@pytest.mark.parametrize("lost", [False, True], ids=["place known", "place lost"])
async def test_no_hold_is_drawn_over_the_card_of_another(
    world: World, lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A manipulated client names a hold of the same conversation in a click on another one's card."""
    hold, other = await world.hold(), await world.hold(risk=Risk.LOW)
    card, second = await world.card(hold), await world.card(other, "second")
    await all_drawn(world, hold)
    await all_drawn(world, other)
    if lost:
        await world.store.cards.forget(other.id, f"teams:{card.conversation}")
    await press(world, "sam", card, names.CLAIM, value_of(other))
    await world.shows(second, "Sam Example")
    await wait_until(lambda: "cannot show" in caplog.text or "adopted" in caplog.text, "the message was looked at")
    assert hold.id in (await world.teams.message(card)).seen
    places = (await world.store.cards.all(other.id)).values()
    assert card.id not in {place.message for place in places}


@pytest.mark.promise(2)
async def test_a_click_in_a_conversation_where_the_hold_is_not_shown_leaves_nothing_there(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As from a copy that somebody has forwarded: the person counts, the place does not."""
    hold = await world.hold()
    await world.card(hold)
    await all_drawn(world, hold)
    elsewhere = {"conversation": (await world.teams.activity("invoke", "sam", "huddle"))["conversation"]}
    seen = await press(world, "ola", await world.card(hold), names.APPROVE, value_of(hold), changes=elsewhere)
    assert (seen.kind, "password" in str(seen.value)) == ("message", False)
    seen = await press(world, "sam", await world.card(hold), names.APPROVE, value_of(hold), changes=elsewhere)
    assert "pproved by Sam" in seen.seen
    await wait_until(lambda: "cannot show" in caplog.text, "the place was looked at", every=0.02)
    assert f"teams:{world.teams.conversation('huddle')}" not in await world.store.cards.all(hold.id)
    assert hold.id not in str(await world.teams.cards("huddle"))
