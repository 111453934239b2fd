"""Teams accounts that are linked to a principal, and authority that is gone the moment the roster says so (promise 5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot.linking import Linking, SignedIn
from bot.teams import APPROVE
from bot.teams.commands import IN_CHAT
from bot.teams.rosters import NOT_THERE
from holdpoint.model import EventKind, Requester, Requirement, Reviewer, Role, State
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.hands import press, stored, value_of
from tests.bot.teams.test_commands import ask, ask_in
from tests.bot.teams.world import World

SAM = "sam@example.com"
SIGNED_IN = SignedIn(Reviewer(SAM, frozenset({"security"}), frozenset({Role.REVIEWER}), "web"), "a sign-in at test")
ROBIN = SignedIn(Reviewer("robin@example.com", frozenset(), frozenset(), "web"), "a sign-in at test")
ADDRESS = re.compile(r"https://holdpoint\.test/link/([\w-]{43})")

CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("a guest", {"role": "guest"}, "Guests"),
    ("an anonymous account", {"role": "anonymous"}, "anonymous"),
    ("an invited account", {"upn": "ola_x.example#EXT#@example.onmicrosoft.com"}, "Guests"),
    ("no address", {"email": None, "upn": None}, "no e-mail"),
]


async def link(world: World, key: str, who: SignedIn = SIGNED_IN) -> None:
    """All of it: typed in their chat with the bot, said yes to on the page, typed in the chat."""
    found = ADDRESS.search((await ask(world, key, "link")).seen)
    assert found is not None
    _, code = await Linking(world.store, world.live, clock=world.clock).confirm(found[1], who)
    await ask(world, key, f"link {code}", f"This account is {who.reviewer.principal}")


async def kinds(world: World) -> list[EventKind]:
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    return [each.kind for each in events if each.kind.value.startswith("link.")]


async def test_a_linked_account_decides_as_its_principal(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await press(world, "ola", card, APPROVE, value_of(hold))
    assert (await stored(world, hold)).state is State.PENDING
    await link(world, "ola")
    who = (await ask(world, "ola", "whoami")).seen
    assert all(word in who for word in (SAM, "security", "a link of ola@example.com", world.teams.tenant))
    await world.user("ola").click(card, APPROVE)
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].by) == (State.APPROVED, SAM)
    await ask(world, "ola", "unlink", "ola@example.com again")
    assert await kinds(world) == [EventKind.LINK_MADE, EventKind.LINK_REMOVED]


@pytest.mark.promise(8)
async def test_in_a_channel_the_address_is_shown_to_the_asker_alone(world: World) -> None:
    reply, answer = await ask_in(world, "ola", "security", "link")
    assert reply.seen == IN_CHAT
    assert answer is not None
    assert ADDRESS.search(answer.seen) is not None
    await link(world, "ola", ROBIN)  # whose chat is found by the link from now on
    reply, answer = await ask_in(world, "ola", "security", "whoami")
    assert answer is not None
    assert (reply.seen, "robin@example.com" in answer.seen) == (IN_CHAT, True)


@pytest.mark.promise(5)
async def test_authority_is_gone_at_once(world: World) -> None:
    ola = world.user("ola")
    await link(world, "ola")
    for name, changes, words in CHANGES:
        before = {each: getattr(ola.person, each) for each in changes}
        first, second = [await world.hold(requirements=(Requirement("security", 2),)) for _ in range(2)]
        cards = [await world.card(each) for each in (first, second)]
        await ola.click(cards[0], APPROVE)
        assert len((await stored(world, first)).decisions) == 1, name
        await ola.change(**changes)
        answer = await ola.click(cards[1], APPROVE)
        assert words in str(answer.value), name
        assert (await stored(world, second)).decisions == (), name
        await ola.change(**before)
    assert await kinds(world) == [EventKind.LINK_MADE]  # the account counts again, and it is the same one


@pytest.mark.promise(5)
@pytest.mark.parametrize("tell", [True, False], ids=["teams says so", "unheard of"])
async def test_who_leaves_the_team_decides_nothing_there(world: World, *, tell: bool) -> None:
    await link(world, "ola")
    hold = await world.hold()
    card = await world.card(hold)
    await world.user("ola").refresh(card)  # so that everything about them is remembered
    activity = await world.teams.activity("invoke", "ola", card.conversation)
    await world.teams.leave("security", "ola", tell=tell)
    data = {"verb": APPROVE, "hold": value_of(hold)}
    value = {"action": {"type": "Action.Execute", "verb": APPROVE, "data": data}, "trigger": "manual"}
    given = {"name": "adaptiveCard/action", "value": value, "replyToId": card.id}
    assert NOT_THERE in str((await world.teams.deliver({**activity, **given})).body)
    assert (await stored(world, hold)).state is State.PENDING
    assert world.errors() == [0]


@pytest.mark.promise(5)
async def test_a_changed_address_voids_the_link(world: World) -> None:
    ola = world.user("ola")
    await link(world, "ola")
    hold = await world.hold()
    card = await world.card(hold)
    await ola.change(email="o.married@example.com")
    assert "type link to link it anew" in str((await ola.click(card, APPROVE)).value)
    assert await kinds(world) == [EventKind.LINK_MADE, EventKind.LINK_VOIDED]
    await press(world, "ola", card, APPROVE, value_of(hold))
    assert (await stored(world, hold)).state is State.PENDING
    await link(world, "ola")
    await ola.click(card, APPROVE)
    assert (await stored(world, hold)).state is State.APPROVED


async def test_a_requester_hears_in_the_account_that_is_linked_to_them(world: World) -> None:
    await link(world, "ola", ROBIN)
    hold = await world.hold(requester=Requester("robin@example.com", frozenset({"contractors"})))
    assert hold.id in str((await world.dm(hold, "ola")).card)


async def test_one_principal_has_accounts_on_both_platforms_and_one_of_them_is_enough(make_world: MakeWorld) -> None:
    """Approvals by Slack and by Teams, of one person, are one person's."""
    world = await make_world()
    await link(world, "ola")
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    for key in ("ola", "sam"):  # sam's own account is sam@example.com by its address
        await world.user(key).click(card, APPROVE)
    after = await stored(world, hold)
    assert after.state is State.PENDING
    await world.user("kim").click(card, APPROVE)
    assert (await stored(world, hold)).state is State.APPROVED
