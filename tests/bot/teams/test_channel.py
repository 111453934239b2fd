"""Cards in Teams, from the record to what people see: posted, updated, replied to; refused, deleted, limited, cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bot.platform import Call, MessageGone, NobodyThere, Posted, Reply
from bot.teams.elements import MOST_BYTES, size_bytes
from bot.teams.threads import reply_activity
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.model import Mention, Requester, Risk, State
from holdpoint.store.conversations import Conversation
from tests.bot.teams.chain import LEADS, SECOND, SECURITY, Chain, chain
from tests.fakes.teams import FakeTeams, Seen, TeamsUser
from tests.support.waiting import wait_until, within

LOAD = Requester("load-test", frozenset({"contractors"}))  # no person: nobody is told in a chat of theirs
LEE = Requester("lee@example.com", frozenset({"platform-leads"}), name="Lee")
AGENT = Requester("robot", frozenset({"contractors"}), owner="ola@example.com")


@pytest.fixture
async def here(teams: FakeTeams, redis_url: str) -> AsyncIterator[Chain]:
    async with chain(teams, redis_url) as built:
        yield built


def user_ids(card: Seen) -> list[str]:
    assert card.card is not None
    found: list[str] = card.card["refresh"]["userIds"]
    return found


async def test_a_hold_is_on_a_card_in_every_channel_and_in_the_requesters_chat(here: Chain) -> None:
    hold = await here.hold()
    for place in ("security", "second"):
        card = await here.card(hold, place)
        assert "approve" in card.verbs
        assert card.summary
        assert "admin password" not in card.summary
        assert not card.is_reply
    dm = await here.dm(hold)
    assert "approve" not in dm.verbs
    assert dm.activity["channelData"] == {"notification": {"alert": True}}
    assert not await here.teams.messages("leads")


async def test_a_decision_is_on_every_copy_within_two_seconds(here: Chain) -> None:
    hold = await here.hold()
    copies = [await here.card(hold, "security"), await here.card(hold, "second"), await here.dm(hold)]
    await here.approve(hold)
    async with within(2):
        for place in ("security", "second"):
            card = await here.card(hold, place, shows="Approved")
            assert "approve" not in card.verbs
        await here.dm(hold, shows="approved")
    for copy in copies:
        assert (await here.teams.message(copy)).edits == 1, "updated in place"


async def test_nothing_is_sent_when_nothing_has_changed(here: Chain) -> None:
    hold = await here.hold()
    await here.card(hold, "second")
    await here.dm(hold)
    await here.settled()
    before = len(await here.teams.calls("post", "update"))
    await here.bots[0].drawer.draw(hold.id)
    assert len(await here.teams.calls("post", "update")) == before


async def test_views_are_refreshed_for_the_requester_first_and_then_the_reviewers(here: Chain) -> None:
    hold = await here.hold(requester=replace(AGENT, principal="dana@example.com"))
    card = await here.card(hold)
    names = ("dana", "ola", "sam", "kim")
    assert user_ids(card)[:2] == [here.teams.people[name].id for name in names[:2]]
    assert set(user_ids(card)) == {here.teams.people[name].id for name in names}, (
        "who is not in the roster is not named"
    )
    assert here.teams.people["lee"].id not in user_ids(card)
    await here.approve(hold)
    done = await here.card(hold, shows="Approved")
    assert done.card is not None
    assert "refresh" not in done.card, "afterwards everybody reads the same"


async def test_who_joins_by_escalation_has_a_view_of_their_own(here: Chain) -> None:
    hold = await here.hold()
    await here.card(hold)
    await here.store.holds.escalate(hold)
    card = await here.card(hold, shows="platform-leads")
    assert here.teams.people["lee"].id in user_ids(card)


class Crowd:
    """People of whom a hundred are in every conversation."""

    async def members_of(self, _conversation: str, principals: Sequence[str]) -> list[tuple[str, str]]:
        assert principals
        return [(f"29:{number}", "x") for number in range(100)]

    async def personal(self, principal: str) -> Conversation:
        raise NobodyThere(principal)


class Silence(Crowd):
    async def members_of(self, _conversation: str, _principals: Sequence[str]) -> list[tuple[str, str]]:
        raise ChannelUnavailable("the roster is away")


@pytest.mark.parametrize(("people", "count"), [(Crowd(), 60), (Silence(), 0)], ids=["a crowd", "no roster"])
async def test_at_most_sixty_views_and_never_everybodys(here: Chain, people: Any, count: int) -> None:
    bot = here.bots[0]
    hold = await here.hold()
    await here.settled()  # no card is posted with these people, whom Teams does not know
    bot.channel._people = people
    rendering = bot.channel.render(hold, f"teams:{SECURITY}")
    activity = await bot.channel._activity(SECURITY, rendering)
    assert len(activity["attachments"][0]["content"]["refresh"]["userIds"]) == count
    assert rendering.payload["card"]["refresh"]["userIds"] == [], "the rendering itself stays what it was"


class LongNames(Crowd):
    async def members_of(self, _conversation: str, _principals: Sequence[str]) -> list[tuple[str, str]]:
        return [(f"29:1{number:03}{'x' * 300}", "x") for number in range(100)]


async def test_a_card_that_leaves_little_room_names_those_who_fit(here: Chain) -> None:
    """Teams takes 28 KB and no more, ids included."""
    channel = here.bots[0].channel
    hold = await here.hold("password " + "many words " * 2_000)
    await here.settled()  # no card is posted with these people, whom Teams does not know
    channel._people = LongNames()
    rendering = channel.render(hold, f"teams:{SECURITY}")
    activity = await channel._activity(SECURITY, rendering)
    ids = activity["attachments"][0]["content"]["refresh"]["userIds"]
    assert 10 <= len(ids) < 60
    assert size_bytes(activity) <= MOST_BYTES


async def test_a_deleted_card_is_posted_again_when_it_changes(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    await here.settled()
    await here.bots[0].out.connector.delete(SECURITY, card.id)
    await here.store.holds.escalate(hold)
    again = await here.card(hold, shows="platform-leads")
    assert again.id != card.id


async def test_a_deleted_card_of_a_decided_hold_is_forgotten(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    await here.bots[0].out.connector.delete(SECURITY, card.id)
    await here.approve(hold)
    await here.card(hold, "second", shows="Approved")
    await here.settled()
    assert not await here.cards(hold)
    assert f"teams:{SECURITY}" not in await here.store.cards.all(hold.id)


@pytest.mark.parametrize(
    ("code", "words"),
    [("BotNotInConversationRoster", "add the app"), ("MessageWritesBlocked", "blocked"), ("", "was deleted")],
)
async def test_a_channel_that_refuses_is_remembered_as_failing_and_holds_up_nobody(
    here: Chain, code: str, words: str
) -> None:
    if code:
        await here.teams.trouble("security", code)
    else:
        await here.teams.vanish("security")
    hold = await here.hold()
    await here.card(hold, "second")

    async def failing() -> bool:
        return [(f.target, words in f.text) for f in await here.store.cards.failing()] == [(f"teams:{SECURITY}", True)]

    await wait_until(failing, "the refusal is noted for the admins")
    await here.settled()
    tries = len(await here.teams.calls("post", place="security"))
    await here.bots[0].drawer.draw(hold.id)
    assert len(await here.teams.calls("post", place="security")) == tries, "not asked again for the same card"
    await (here.teams.trouble("security", "") if code else here.teams.vanish("security", gone=False))
    await here.card(await here.hold())
    await here.settled()
    assert not await here.store.cards.failing()


async def test_a_channel_that_the_bot_cannot_be_in_is_said_to_be_one(here: Chain) -> None:
    await here.bots[0].out.places.forget(LEADS)
    await here.teams.call("change_place", conversation=LEADS, sort="private", bot_in=False)
    await here.hold(requester=LEE)

    async def failing() -> str:
        return next((f.text for f in await here.store.cards.failing() if f.target == f"teams:{LEADS}"), "")

    text = await wait_until(failing, "the refusal is noted")
    assert "add the app to the team or chat, or mention it there" in text  # type: ignore[operator]
    assert "private and shared channels" in text  # type: ignore[operator]


async def test_a_requester_without_the_app_has_no_message_and_nothing_is_wrong(here: Chain) -> None:
    await here.teams.user("dana").uninstall(tell=False)
    hold = await here.hold()
    await here.card(hold)
    await here.settled()
    assert not await here.store.cards.failing()
    assert (await here.store.cards.all(hold.id))["teams:dm:dana@example.com"].refused


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 412, "code": "PreconditionFailed"},
        {"status": 429, "code": "Throttled", "retry_after": "1"},
        {"status": 502},
        {"status": 504},
        {"status": 500},
        {"kind": "html", "status": 503},
        {"kind": "reset"},
    ],
    ids=str,
)
async def test_a_post_that_fails_once_is_there_once(here: Chain, fault: dict[str, Any]) -> None:
    await here.teams.fail("post", **{"times": 3, **fault})  # both channels and the chat
    hold = await here.hold()
    for place in ("security", "second"):
        await here.card(hold, place)
    await here.dm(hold)
    await here.approve(hold)
    await here.card(hold, "second", shows="Approved")


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 412, "code": "PreconditionFailed", "times": 3},
        {"status": 429, "code": "Throttled", "retry_after": "2", "times": 2},
        {"status": 502, "times": 2},
        {"kind": "reset", "times": 2},
        {"status": 500, "times": 2},
    ],
    ids=str,
)
async def test_an_update_that_fails_is_made_all_the_same(here: Chain, fault: dict[str, Any]) -> None:
    hold = await here.hold()
    await here.card(hold, "second")
    await here.card(hold)
    await here.teams.fail("update", **fault)
    await here.approve(hold)
    for place in ("security", "second"):
        await here.card(hold, place, shows="Approved")


async def test_after_an_outage_every_card_is_true(here: Chain) -> None:
    shown = await here.hold()
    await here.card(shown, "second")
    await here.card(shown)
    await here.teams.fail("*", status=500, times=10_000)
    missed = await here.hold()
    await here.approve(shown)

    async def tried() -> bool:
        return len([call for call in await here.teams.calls() if call.status == 500]) >= 3

    await wait_until(tried, "the bot has tried")
    await here.teams.heal()
    for place in ("security", "second"):
        await here.card(shown, place, shows="Approved")
        assert await wait_until(lambda p=place: here.cards(missed, p), "the missed one is there", every=0.02)  # type: ignore[misc]


async def test_a_lost_secret_is_told_once_for_all_of_teams_and_nothing_is_lost(
    here: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    await here.teams.set(registered=False)
    holds = [await here.hold() for _ in range(3)]

    async def failing() -> bool:
        return [f.target for f in await here.store.cards.failing()] == ["teams"]

    await wait_until(failing, "the admins are told")
    assert sum("no cards at all" in record.message for record in caplog.records) == 1
    for hold in holds:
        place = await wait_until(lambda h=hold: here.store.cards.get(h.id, f"teams:{SECURITY}"), "its turn has come")  # type: ignore[misc]
        assert not place.refused, "it waits"  # type: ignore[attr-defined]


async def test_a_bot_that_starts_again_continues_with_the_same_cards(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    await here.card(hold, "second")
    await here.bots[0].stop()
    await here.approve(hold)
    missed = await here.hold()
    await here.start_bot()
    again = await here.card(hold, shows="Approved")
    assert again.id == card.id
    await here.card(missed)


async def test_a_bot_that_is_told_to_stop_notes_the_card_that_is_on_its_way(here: Chain) -> None:
    """Teams has no search: a card that nobody noted would show its buttons for ever."""
    await here.teams.fail("post", "gate", committed=True, conversation="security", name="answer")
    hold = await here.hold()
    await here.teams.waits_at("answer")
    card = await here.card(hold)
    await asyncio.gather(here.bots[0].stop(), here.teams.open_gate("answer"))
    assert (await here.store.cards.all(hold.id))[f"teams:{SECURITY}"].message == card.id
    await here.approve(hold)
    await here.start_bot()
    assert (await here.card(hold, shows="Approved")).id == card.id


async def test_a_post_that_nobody_could_confirm_is_made_again_and_a_press_on_either_is_for_the_same_hold(
    here: Chain,
) -> None:
    """What a bot cannot search for it cannot find: a second card, never none. The first is adopted when it is pressed."""
    await here.teams.fail("post", "reset", committed=True, conversation="security")
    hold = await here.hold()

    async def two() -> bool:
        return len(await here.cards(hold)) == 2

    await wait_until(two, "there is a second card", every=0.02)
    await here.settled()
    first, second = await here.cards(hold)
    places = await here.store.cards.all(hold.id)
    assert places[f"teams:{SECURITY}"].message == second.id
    await here.bots[0].drawer.clicked(hold.id, Posted(SECURITY, first.id), anyway=False)
    await here.approve(hold)

    async def both() -> bool:
        return all("Approved" in card.seen for card in await here.cards(hold))

    await wait_until(both, "both are kept true from then on", every=0.02)


async def test_identical_requests_share_a_card(here: Chain) -> None:
    holds = [await here.hold("the same password", requester=LOAD) for _ in range(4)]

    async def shared() -> list[Seen]:
        return [card for card in await here.teams.cards("security") if "4 identical requests: 4 wait" in card.seen]

    found = await wait_until(shared, "one card for all", every=0.02)
    assert len(found) == 1  # type: ignore[arg-type]
    assert "bulk_approve" in found[0].verbs  # type: ignore[index]
    kim, sam = (here.teams.people[name].id for name in ("kim", "sam"))
    assert user_ids(found[0]) == [kim, sam], "each has a view of their own"  # type: ignore[index]
    assert found[0].summary.startswith("× 4")  # type: ignore[index]
    assert len(await here.teams.cards("security")) == 1
    for hold in holds:
        await here.approve(hold)

    async def ended() -> bool:
        (card,) = await here.teams.cards("security")
        return "Approved" in card.seen and "bulk_approve" not in card.verbs and "refresh" not in (card.card or {})

    await wait_until(ended, "the card shows the end", every=0.02)


async def test_what_happens_is_said_in_the_thread_and_who_is_called_is_mentioned(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    bot = here.bots[0]
    call = Call("call held", Mention.HELD, ("security", "platform-leads", "unknown"), hold)
    lines = ("Sam asked: **why** <at>Kim Example</at> [x](https://evil.example)\nsecond line",)
    await bot.channel.reply(Posted(SECURITY, card.id), Reply(lines, (call,)))
    (reply,) = await here.teams.thread(card)
    names = [f"<at>{name} Example</at>" for name in ("Kim", "Sam", "Lee")]
    assert reply.text == f"This waits for a decision: {' '.join(names)}"
    mentioned = [entity["mentioned"]["id"] for entity in reply.activity["entities"]]
    assert mentioned == [here.teams.people[name].id for name in ("kim", "sam", "lee")]
    assert "Sam asked: **why** <at>Kim Example</at> [x](https://evil.example)" in reply.seen
    assert "importance" not in reply.activity


async def test_nobody_to_call_and_nothing_to_say_is_nothing(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    call = Call("call held", Mention.HELD, ("nowhere",), hold)
    await here.bots[0].channel.reply(Posted(SECURITY, card.id), Reply((), (call,)))
    assert not await here.teams.thread(card)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Sam O'Neil-Smith", "Sam O'Neil-Smith"),
        ("</at><at>Everyone", "at at Everyone"),
        ("[click](https://evil.example)", "click https evil example"),
        ("**bold** _it_ `x`", "bold _it_ x"),
        ("evil.example/path", "evil example path"),
        ("a\u202eb\u200bc\nd", "a b c d"),
        ("李雷", "李雷"),
        ("<>", "reviewer"),
        ("", "reviewer"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_a_display_name_is_only_a_name(name: str, shown: str) -> None:
    activity = reply_activity(Reply(()), {Mention.HELD: [("29:1", name)]})
    assert activity["text"] == f"This waits for a decision: <at>{shown}</at>"
    assert activity["textFormat"] == "xml"
    assert activity["entities"] == [
        {"type": "mention", "text": f"<at>{shown}</at>", "mentioned": {"id": "29:1", "name": shown}}
    ]


def test_a_reply_has_twenty_short_lines_at_most_and_what_is_loud_is_important() -> None:
    activity = reply_activity(Reply(tuple("x" * 1_000 for _ in range(50)), loud=True), {})
    assert activity["importance"] == "high"
    assert "text" not in activity
    assert str(activity["attachments"]).count("x" * 399 + "…") <= 20
    assert "x" * 401 not in str(activity)


async def test_a_message_of_a_chat_is_answered_in_the_chat(here: Chain, teams: FakeTeams) -> None:
    hold = await here.hold()
    dm = await here.dm(hold)
    await here.bots[0].channel.reply(Posted(dm.conversation, dm.id), Reply(("Kim asked something",)))
    assert len(await teams.user("dana").messages()) == 2


async def test_a_card_that_should_not_be_there_is_taken_away(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    channel = here.bots[0].channel
    await channel.remove(Posted(SECURITY, card.id))
    await channel.remove(Posted(SECURITY, card.id))
    assert not await here.cards(hold)
    with pytest.raises(MessageGone):
        await channel.update(Posted(SECURITY, card.id), channel.render(hold, f"teams:{SECURITY}"), urgent=True)


async def test_teams_says_nothing_of_what_stands_in_a_channel(here: Chain) -> None:
    hold = await here.hold()
    card = await here.card(hold)
    await here.settled()
    channel = here.bots[0].channel
    place = (await here.store.cards.all(hold.id))[f"teams:{SECURITY}"]
    assert await channel.find(f"teams:{SECURITY}", intent=place.intent, since_ms=0) is None
    assert await channel.list(f"teams:{SECURITY}", since_ms=0) is None
    assert place.message == card.id


async def test_a_rendering_depends_on_nothing_but_the_hold(here: Chain) -> None:
    hold = await here.hold()
    channel = here.bots[0].channel
    for target in (f"teams:{SECURITY}", "teams:dm:dana@example.com"):
        first, second = channel.render(hold, target), channel.render(hold, target)
        assert first.digest == second.digest
        assert first.shown == second.shown
    payload = channel.render(hold, f"teams:{SECURITY}").payload
    assert payload["people"] == {
        "requester": ["dana@example.com"],
        "reviewers": ["kim@example.com", "nobody@example.com", "sam@example.com"],
    }
    assert channel.render(hold, "teams:dm:dana@example.com").payload["people"] == {}


async def test_what_a_request_says_is_data_on_the_card(here: Chain) -> None:
    evil = "password **bold** <at>Kim Example</at> [x](https://evil.example) {{DATE(2020)}} \u202ehidden"
    hold = await here.hold(evil, risk=Risk.MEDIUM)
    card = await here.card(hold)
    assert "entities" not in card.activity
    assert "msteams" not in (card.card or {}) or "entities" not in (card.card or {})["msteams"]
    assert "evil.example" not in card.summary
    assert (await here.store.holds.get(hold.id)).state is State.PENDING


async def test_the_places_of_one_bot_are_the_places_of_the_next(here: Chain) -> None:
    """What was learnt is in Redis: a bot that has heard nothing can post."""
    hold = await here.hold(requester=LOAD)
    for place in (SECURITY, SECOND):
        known = await here.bots[0].out.places.get(place)
        assert known is not None
        assert known.service_url == here.teams.service_url
    await here.card(hold)


async def test_an_unknown_person_is_nobody_there(here: Chain) -> None:
    channel = here.bots[0].channel
    hold = await here.hold(requester=LOAD)
    with pytest.raises(NobodyThere):
        await channel.post("teams:dm:stranger@example.com", channel.render(hold, "teams:dm:x@example.com"), intent="i")
    with pytest.raises(ChannelRefused):
        await channel.post("teams:19:nowhere@thread.tacv2", channel.render(hold, f"teams:{SECURITY}"), intent="i")


async def test_a_hand_is_needed_only_for_a_persons_own_view(here: Chain) -> None:
    """The ids are those that Teams knows people by: the clients of exactly these ask for a view of their own."""
    hold = await here.hold()
    card = await here.card(hold)
    people: list[TeamsUser] = [here.teams.user(name) for name in ("dana", "sam", "kim", "lee")]
    asked = [user.id in user_ids(card) for user in people]
    assert asked == [True, True, True, False]
