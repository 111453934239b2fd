"""Slack accounts that are linked to a principal, and authority that is gone the moment Slack says so (promise 5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot import slack as names
from bot.linking import Linking, SignedIn
from bot.slack.directory import TWICE
from holdpoint.model import EventKind, Requester, Requirement, Reviewer, Role, State
from tests.bot.slack.conftest import MakeWorld, World
from tests.bot.slack.hands import modal_of, stored
from tests.bot.slack.test_commands import say
from tests.bot.slack.test_identity import STRANGERS, _dm_place
from tests.fakes.slack import Fault, User
from tests.support.waiting import wait_until

SAM = "sam@example.com"
SIGNED_IN = SignedIn(Reviewer(SAM, frozenset({"security"}), frozenset({Role.REVIEWER}), "web"), "a sign-in at test")


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


async def link(world: World, user: User, who: SignedIn = SIGNED_IN) -> None:
    """All of it: typed in Slack, said yes to on the page, typed in Slack."""
    answer = await say(world, user, "link")
    found = re.search(r"https://holdpoint\.test/link/([\w-]{43})", answer.seen.text)
    assert found is not None, answer.seen.text
    assert found[0] in str(answer.blocks[-1])  # as a button, too
    _, code = await Linking(world.store, world.live, clock=world.clock).confirm(found[1], who)
    assert f"This account is {who.reviewer.principal}" in (await say(world, user, f"link {code}")).seen.text


async def outsider(world: World, name: str = "Nia", email: str = "nia@chat.example") -> User:
    """A member of the workspace and of all channels, whom the policy does not know."""
    user = world.slack.workspace.add_user(f"{name} Example", email)
    for channel in (world.security, world.second, world.leads):
        channel.members.add(user.id)
    return user


async def kinds(world: World) -> list[EventKind]:
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    return [each.kind for each in events if each.kind.value.startswith("link.")]


async def test_a_linked_account_decides_as_its_principal(world: World) -> None:
    nia = await outsider(world)
    hold = await world.hold()
    card = await world.card(hold)
    await world.slack.click(nia, card, names.APPROVE)
    await world.told(nia, "Only security")
    await link(world, nia)
    who = (await say(world, nia, "whoami")).seen.text
    assert all(word in who for word in (SAM, "security", "a link of nia@chat.example", "T0TEAM", "a sign-in at test"))
    await world.slack.click(nia, card, names.APPROVE)
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].by) == (State.APPROVED, SAM)
    assert await kinds(world) == [EventKind.LINK_MADE]


async def test_unlink_and_links(http: World) -> None:
    nia = await outsider(http)
    assert "not linked" in (await say(http, nia, "unlink")).seen.text
    await link(http, nia)
    assert "linked already" in (await say(http, nia, "link")).seen.text
    assert "Only admins" in (await say(http, nia, "links")).seen.text
    assert "Only admins" in (await say(http, nia, "unlink lee@example.com")).seen.text
    assert "nia@chat.example" in (await say(http, http.lee, "links")).seen.text
    assert "1 account unlinked" in (await say(http, http.lee, f"unlink {SAM}")).seen.text
    assert "No account is linked" in (await say(http, http.lee, f"unlink {SAM}")).seen.text
    assert "No chat account" in (await say(http, http.lee, "links")).seen.text
    assert "e-mail address nia@chat.example" in (await say(http, nia, "whoami")).seen.text
    await link(http, nia)
    assert "nia@chat.example again" in (await say(http, nia, "unlink")).seen.text
    assert await kinds(http) == [EventKind.LINK_MADE, EventKind.LINK_REMOVED] * 2


@pytest.mark.promise(5)
async def test_whoever_follows_an_address_that_was_sent_to_them_is_bound_to_nothing(http: World) -> None:
    """The attack: an attacker types link, sends Sam the address, and Sam says yes on the page."""
    mallory = await outsider(http, "Mallory", "mallory@chat.example")
    answer = (await say(http, mallory, "link")).seen.text
    token = re.findall(r"/link/([\w-]{43})", answer)[0]
    await Linking(http.store, http.live, clock=http.clock).confirm(token, SIGNED_IN)
    for text in ("link", "link 00000000", "link yes", "whoami"):
        seen = (await say(http, mallory, text)).seen.text
        assert "This account is sam" not in seen
    card = await http.card(await http.hold())
    await http.slack.click(mallory, card, names.APPROVE)
    await http.told(mallory, "Only security")
    assert await kinds(http) == []


@pytest.mark.promise(5)
@pytest.mark.parametrize("is_linked", [False, True], ids=["by e-mail", "by link"])
async def test_authority_is_gone_at_once(http: World, *, is_linked: bool) -> None:
    user = http.sam
    if is_linked:
        user = await outsider(http)
        await link(http, user)
    for name, flags, words in STRANGERS:
        # They have decided a moment ago, so that everything about them is remembered; a modal is open already.
        first, second, third = [await http.hold(requirements=(Requirement("security", 2),)) for _ in range(3)]
        cards = [await http.card(each) for each in (first, second, third)]
        await http.slack.click(user, cards[0], names.APPROVE)
        assert len((await stored(http, first)).decisions) == 1, name
        await http.slack.click(user, cards[2], names.REJECT)
        modal = modal_of(http, user)
        before = {flag: getattr(user, flag) for flag in flags}
        for flag, value in flags.items():
            setattr(user, flag, value)
        http.slack.workspace.ephemerals.clear()
        await http.slack.click(user, cards[1], names.APPROVE)
        await http.told(user, words)
        await http.slack.submit(user, modal, {"reason": "no"})
        for hold in (second, third):
            after = await stored(http, hold)
            assert (after.state, after.decisions) == (State.PENDING, ()), name
        for other in http.slack.workspace.modals(user):
            await http.slack.close_view(user, other)
        for flag, value in before.items():
            setattr(user, flag, value)


@pytest.mark.promise(5)
async def test_what_slack_cannot_be_asked_decides_nothing_however_recently_it_answered(http: World) -> None:
    cards = [await http.card(await http.hold(requirements=(Requirement("security", 2),))) for _ in range(2)]
    await http.slack.click(http.sam, cards[0], names.APPROVE)
    http.slack.fault("users.info", Fault("status", status=503), times=2)
    await http.slack.click(http.sam, cards[1], names.APPROVE)
    await http.told(http.sam, "Not recorded")


async def test_a_decision_asks_slack_once(http: World) -> None:
    hold = await http.hold()
    card = await http.card(hold)
    await http.dm(hold)  # for which Slack is asked who the requester is
    before = http.slack.count("users.info") + http.slack.count("users.lookupByEmail")
    await http.slack.click(http.sam, card, names.APPROVE)
    assert http.slack.count("users.info") + http.slack.count("users.lookupByEmail") == before + 1


@pytest.mark.promise(5)
async def test_a_changed_address_voids_the_link_and_the_person_reads_how_to_link_anew(http: World) -> None:
    nia = await outsider(http)
    await link(http, nia)
    hold = await http.hold()
    card = await http.card(hold)
    nia.email = "n.married@chat.example"
    await http.slack.click(nia, card, names.APPROVE)
    await http.told(nia, "type link to link it anew")
    assert (await stored(http, hold)).state is State.PENDING
    assert await kinds(http) == [EventKind.LINK_MADE, EventKind.LINK_VOIDED]
    assert f"to {SAM}, void since" in (await say(http, nia, "whoami")).seen.text
    assert "void since" in (await say(http, http.lee, "links")).seen.text
    await http.slack.click(nia, card, names.APPROVE)
    await http.told(nia, "Only security")
    await link(http, nia)
    await http.slack.click(nia, card, names.APPROVE)
    assert (await stored(http, hold)).state is State.APPROVED


async def test_slacks_own_word_voids_the_link_at_once_and_they_are_told(world: World) -> None:
    nia = await outsider(world)
    await link(world, nia)
    calls = len(world.slack.calls)
    await world.slack.event({"type": "user_change", "user": world.kim.as_json(with_email=True)})
    await world.slack.event({"type": "user_change", "user": {"id": nia.id, "profile": {"email": "x@y.example"}}})
    await world.slack.event({"type": "user_change", "user": {}})
    assert await kinds(world) == [EventKind.LINK_MADE]  # what an event says is a hint: Slack is asked
    asked = [call.method for call in world.slack.calls[calls:]]
    assert asked.count("users.info") == 1  # and only about who is linked
    nia.email = "n@chat.example"
    await world.slack.event({"type": "user_change", "user": nia.as_json(with_email=True)})
    await wait_until(lambda: _told_in_dm(world, nia, "type link"), "they are told")
    assert await kinds(world) == [EventKind.LINK_MADE, EventKind.LINK_VOIDED]


async def test_an_event_about_somebody_linked_is_answered_while_slack_is_away(http: World) -> None:
    nia = await outsider(http)
    await link(http, nia)
    http.slack.fault("users.info", Fault("status", status=503))
    (delivery,) = await http.slack.event({"type": "user_change", "user": nia.as_json(with_email=True)})
    assert delivery.acked
    assert await kinds(http) == [EventKind.LINK_MADE]


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "event",
    [
        {"type": "subteam_members_changed", "subteam_id": "S0ONCALL", "removed_users": ["U1"]},
        {"type": "subteam_updated", "subteam": {"id": "S0ONCALL"}},
    ],
)
async def test_who_is_taken_out_of_a_user_group_is_out_of_it_when_slack_says_so(
    http: World, event: dict[str, Any]
) -> None:
    http.slack.workspace.usergroups["S0ONCALL"] = [http.ola.id]
    assert "oncall" in (await say(http, http.ola, "whoami")).seen.text
    http.slack.workspace.usergroups["S0ONCALL"] = []
    for other in ({"type": event["type"], "subteam_id": "S0OTHER"}, {"type": event["type"]}):
        await http.slack.event(other)
    assert "oncall" in (await say(http, http.ola, "whoami")).seen.text
    await http.slack.event(event)
    assert "oncall" not in (await say(http, http.ola, "whoami")).seen.text


def _told_in_dm(world: World, user: User, words: str) -> bool:
    return any(words in message.seen.text for message in world.slack.workspace.direct(user.id).messages.values())


async def test_a_requester_hears_in_the_account_that_is_linked_to_them(http: World) -> None:
    nia = await outsider(http)
    robin = SignedIn(Reviewer("robin@example.com", frozenset(), frozenset(), "web"), "a sign-in at test")
    await link(http, nia, robin)
    hold = await http.hold(requester=Requester("robin@example.com", frozenset({"contractors"})))
    message = await http.dm(hold, nia)
    await http.slack.click(nia, message, names.CANCEL)
    assert (await stored(http, hold)).state is State.CANCELLED


async def test_a_requester_does_not_hear_where_their_address_is_somebody_else(http: World) -> None:
    """Dana's account is linked to robin: what dana's key sent is not robin's to hear."""
    robin = SignedIn(Reviewer("robin@example.com", frozenset(), frozenset(), "web"), "a sign-in at test")
    await link(http, http.dana, robin)
    hold = await http.hold()
    await http.card(hold)

    place: str = await wait_until(lambda: _dm_place(http, hold.id), "the message is given up")
    assert "nobody" in place


@pytest.mark.promise(5)
async def test_nobody_decides_on_their_own_request_by_a_linked_account(http: World) -> None:
    nia = await outsider(http)
    await link(http, nia)
    for principal in (SAM, "nia@chat.example"):
        hold = await http.hold(requester=Requester(principal, frozenset({"contractors"})))
        http.slack.workspace.ephemerals.clear()
        await http.slack.click(nia, await http.card(hold), names.APPROVE)
        await http.told(nia, "your own request")
        assert (await stored(http, hold)).state is State.PENDING


@pytest.mark.promise(5)
async def test_two_accounts_with_one_address_are_not_two_people_nor_one(http: World) -> None:
    """Slack forbids it; were it so, only the one counts that Slack names for the address."""
    card = await http.card(await http.hold(requirements=(Requirement("security", 2),)))
    await http.slack.click(http.sam, card, names.APPROVE)
    twin = await outsider(http, "Twin", SAM)
    other = await http.card(await http.hold(requirements=(Requirement("security", 2),)))
    await http.slack.click(twin, other, names.APPROVE)
    await http.told(twin, TWICE)
    # Once the account before is gone, the address is the other one's.
    http.sam.email, http.sam.deleted = None, True
    assert SAM in (await say(http, twin, "whoami")).seen.text


@pytest.mark.promise(5)
async def test_an_address_that_passes_on_does_not_bring_the_link_along(http: World) -> None:
    nia = await outsider(http)
    await link(http, nia)
    nia.deleted, nia.email = True, None
    heir = await outsider(http, "Heir", "nia@chat.example")
    await http.slack.click(heir, await http.card(await http.hold()), names.APPROVE)
    await http.told(heir, "Only security")
