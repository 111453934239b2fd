"""The whole grammar in Teams: typed, cleaned, answered where it may be read; questions confirmed by a button."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.history import History
from bot.pictures import smaller, stats_png
from bot.teams.arrived import Message
from bot.teams.commands import CHAT_AWAY, IN_CHAT, MADE, NO_CHAT, PICTURE_BYTES, PICTURE_PIXELS
from bot.teams.wording import as_typed, plain
from bot.typed import STORE_AWAY, WORKING
from holdpoint.clock import now_ms
from holdpoint.ledger.sql import Ledger
from holdpoint.model import Route, State
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.world import World
from tests.bot.test_pictures import numbers
from tests.fakes.teams import Seen, channel_id, group_id
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

WELCOME = "Holdpoint is here"


async def said(world: World, place: str, count: int, words: str = "") -> Seen:
    """What the bot says in ``place`` after it has said ``count`` messages there: the first one with ``words``.

    On a busy machine any command may be slow: that it is being worked on is no answer, unless it is waited for.
    """

    async def there() -> Seen | None:
        said = (await answers(world, place))[count:]
        return next((each for each in said if words in each.seen and (words == WORKING or each.seen != WORKING)), None)

    return await wait_until(there, f"the bot says {words!r} in {place}", every=0.02)


async def count(world: World, place: str) -> int:
    return len(await answers(world, place))


async def answers(world: World, place: str) -> list[Seen]:
    """What the bot has said there, but for its welcome, which comes in its own time."""
    ours = [each for each in await world.teams.messages(place) if each.sender == "bot"]
    return [each for each in ours if each.summary != WELCOME]


async def ask(world: World, key: str, text: str, words: str = "") -> Seen:
    """The answer in their own chat to what they type there."""
    user = world.user(key)
    before = await count(world, user.chat)
    assert (await user.say(text)).kind == "sent"
    return await said(world, user.chat, before, words)


async def ask_in(world: World, key: str, place: str, text: str) -> tuple[Seen, Seen | None]:
    """What is said in the thread to a command that mentions the bot, and what came into their own chat."""
    user = world.user(key)
    in_chat, here = await count(world, user.chat), await count(world, place)
    assert (await user.say(text, place)).kind == "sent"
    reply = await said(world, place, here)
    ours = await answers(world, user.chat)
    return reply, ours[-1] if len(ours) > in_chat else None


@pytest.mark.parametrize(
    "text", ["whoami", "/holdpoint whoami", "Holdpoint whoami", "@holdpoint  WHOAMI", "\u00a0whoami "]
)
async def test_in_ones_own_chat_one_just_types(world: World, text: str) -> None:
    assert "sam@example.com" in (await ask(world, "sam", text)).seen


async def test_everything_gets_an_answer(world: World) -> None:
    assert "policy mode" in (await ask(world, "sam", "help")).seen
    assert "Did you mean" in (await ask(world, "sam", "pendign")).seen
    assert "Only admins" in (await ask(world, "sam", "route list")).seen
    assert "policy mode" in (await ask(world, "sam", "holdpoint")).seen


async def test_in_a_channel_the_answer_is_for_the_asker_alone(world: World) -> None:
    hold = await world.hold("the password is swordfish")
    await world.card(hold)
    reply, answer = await ask_in(world, "sam", "security", f"show {hold.id}")
    assert answer is not None
    assert "swordfish" in answer.seen
    assert reply.seen == IN_CHAT
    assert reply.is_reply
    [typed] = [each for each in await world.teams.messages("security") if each.sender == "sam"]
    assert reply.root == typed.id


async def test_in_a_group_chat_too(world: World) -> None:
    reply, answer = await ask_in(world, "sam", "huddle", "whoami")
    assert answer is not None
    assert "sam@example.com" in answer.seen
    assert reply.seen == IN_CHAT


async def test_help_is_for_everybody(world: World) -> None:
    for text in ("help", "help route", ""):
        reply, answer = await ask_in(world, "sam", "security", text)
        assert "route list" in reply.seen
        assert answer is None


async def test_a_thread_stays_a_thread(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    user, before = world.user("sam"), await count(world, "security")
    await user.say("whoami", "security", thread=card.id)
    reply = await said(world, "security", before)
    assert (reply.root, reply.seen) == (card.id, IN_CHAT)


@pytest.mark.parametrize(("text", "kept"), [("show {}", NO_CHAT), ("reject {} too risky", f"{NO_CHAT} {MADE}")])
async def test_who_has_no_chat_is_told_in_the_thread_what_became_of_it(world: World, text: str, kept: str) -> None:
    hold = await world.hold("the password is swordfish")
    await world.card(hold)
    await world.user("sam").uninstall(tell=False)
    reply, _ = await ask_in(world, "sam", "security", text.format(hold.id))
    if text.startswith("show"):
        kept = f"{NO_CHAT} {MADE}"
    assert reply.seen == kept
    assert "swordfish" not in reply.seen


async def test_a_refusal_that_cannot_be_brought_promises_no_change(world: World) -> None:
    await world.user("sam").uninstall(tell=False)
    reply, _ = await ask_in(world, "sam", "security", "route list")
    assert reply.seen == NO_CHAT


async def test_a_chat_that_does_not_take_it_now(world: World) -> None:
    await ask(world, "sam", "whoami")
    await world.teams.fail("post", status=500, code="ServiceError", conversation=world.user("sam").chat, times=5)
    reply, _ = await ask_in(world, "sam", "security", "whoami")
    assert reply.seen == f"{CHAT_AWAY} {MADE}"
    await world.teams.heal()


async def test_who_is_nobody_reads_so_in_the_thread(world: World) -> None:
    await world.teams.add_guest("gus")
    await world.teams.join("security", "gus")
    reply, _ = await ask_in(world, "gus", "security", "whoami")
    assert "Guests" in reply.seen


async def test_a_decision_by_command_has_its_channel(world: World) -> None:
    hold = await world.hold()
    await ask(world, "sam", f"reject {hold.id} 1 < 2 && R&D &copy “x”\nsecond line")
    decided = await world.becomes(hold, State.REJECTED)
    assert decided.decisions[0].reason == "1 < 2 && R&D &copy “x”\nsecond line"
    assert (decided.decisions[0].by, decided.decisions[0].channel) == ("sam@example.com", "teams")


# routes


@pytest.mark.parametrize(("place", "target"), [("leads", channel_id("leads")), ("huddle", group_id("huddle"))])
async def test_a_route_is_added_and_removed_from_inside(world: World, place: str, target: str) -> None:
    reply, answer = await ask_in(world, "lee", place, "route here contractors")
    assert answer is None
    assert f"Cards for contractors now go to teams:{target}" in reply.seen
    assert world.live.snapshot.routes == (Route("contractors", (f"teams:{target}",)),)
    hold = await world.hold()
    await world.card(hold, place)
    reply, answer = await ask_in(world, "lee", place, "route here remove contractors")
    assert answer is None
    assert f"no longer go to teams:{target}" in reply.seen
    assert world.live.snapshot.routes == ()


async def test_only_admins_route(world: World) -> None:
    reply, _ = await ask_in(world, "sam", "leads", "route here contractors")
    assert "Only admins" in reply.seen
    assert world.live.snapshot.routes == ()


async def test_in_ones_own_chat_there_is_no_here(world: World) -> None:
    assert "typed in the channel or group chat" in (await ask(world, "lee", "route here contractors")).seen


async def test_a_route_to_where_the_bot_is_not_is_pointed_out(world: World) -> None:
    answer = await ask(world, "lee", "route add contractors teams:19:nowhere@thread.tacv2")
    assert "Holdpoint is not in that conversation yet" in answer.seen
    answer = await ask(world, "lee", f"route add contractors teams:{channel_id('leads')}")
    assert "not in that conversation" not in answer.seen
    for wrong in (
        "19:a b@thread.tacv2",
        "x",
        "19:a@thread.tacv2;messageid=1",
        "19:<b>@thread.tacv2",
        "dm:sam@example.com",
    ):
        assert "That is no " in (await ask(world, "lee", f'route add contractors "teams:{wrong}"')).seen


async def test_a_test_of_a_route_posts_a_sample_without_buttons(world: World) -> None:
    answer = await ask(world, "lee", "route test contractors")
    assert "posted" in answer.seen
    [sample] = [each for each in await world.teams.cards("security") if "Sample card" in each.seen]
    assert sample.titles == []
    await world.teams.trouble("second", "BotNotInConversationRoster")
    assert (
        "failed: Teams answers BotNotInConversationRoster" in (await ask(world, "lee", "route test contractors")).seen
    )


# questions


async def test_a_question_is_answered_with_a_button_in_its_place(world: World) -> None:
    await ask(world, "lee", "pause all it leaks")
    asked = await ask(world, "lee", "resume all")
    assert "Confirm" in asked.titles
    result = await world.user("lee").click(asked, "Confirm")
    assert (result.kind, result.titles) == ("card", [])
    assert "pass again" in result.seen
    assert await world.store.pauses.all() == []

    async def answered() -> bool:
        return (await world.teams.message(asked)).titles == []

    await wait_until(answered, "everybody who can see the question sees its answer", every=0.02)


async def test_a_question_in_a_channel_is_for_who_was_asked(world: World) -> None:
    await ask_in(world, "lee", "huddle", "route here other")
    asked, _ = await ask_in(world, "lee", "huddle", "route here remove other")
    assert "web inbox only" in asked.seen
    result = await world.user("sam").click(asked, "Confirm")
    assert (result.kind, "nothing of yours" in str(result.value)) == ("message", True)
    assert world.live.snapshot.routes
    assert (await world.teams.message(asked)).titles == ["Confirm"]
    result = await world.user("lee").click(asked, "Confirm")
    assert "no longer go" in result.seen
    await world.shows(asked, "no longer go")
    assert world.live.snapshot.routes == ()


@pytest.mark.parametrize(
    "forged", [{"hold": "approve hx"}, {"hold": None}, {"hold": ["confirm x"]}, {"hold": "confirm nothing"}]
)
async def test_a_forged_button_confirms_nothing(world: World, forged: dict[str, Any]) -> None:
    await ask(world, "lee", "pause all it leaks")
    asked = await ask(world, "lee", "resume all")
    result = await world.user("lee").click(asked, "Confirm", forged=forged)
    assert result.kind == "message"
    assert await world.store.pauses.all()


async def test_an_old_client_confirms_as_well(world: World) -> None:
    await ask(world, "lee", "pause all it leaks")
    asked = await ask(world, "lee", "resume all")
    await world.user("lee").click(asked, "Confirm", old_client=True)
    await world.shows(asked, "pass again")


# slow, away, large


async def test_a_slow_command_says_so_and_its_answer_takes_the_place(world: World) -> None:
    await world.teams.fail("post", "gate", name="g", conversation="security")
    user, before = world.user("lee"), await count(world, world.user("lee").chat)
    await user.say("route test contractors")
    working = await said(world, user.chat, before, WORKING)
    assert working.seen == WORKING
    await world.teams.open_gate("g")
    assert "posted" in (await world.shows(working, "posted")).seen
    assert await count(world, user.chat) == before + 1


async def test_without_the_store_it_says_so(make_world: MakeWorld, redis_server: RedisServer) -> None:
    world = await make_world(url=redis_server.url)
    await ask(world, "sam", "whoami")
    before = await count(world, world.user("sam").chat)
    redis_server.kill()
    await world.user("sam").say("pending")
    assert STORE_AWAY in (await said(world, world.user("sam").chat, before)).seen
    assert world.errors() == [0]


async def test_where_teams_does_not_say_who_it_is_nothing_is_done(world: World) -> None:
    hold = await world.hold()
    await world.teams.fail("member", status=500, code="ServiceError", times=9)
    answer = await ask(world, "sam", f"approve {hold.id}")
    assert "does not answer Holdpoint's questions" in answer.seen
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    await world.teams.heal()


async def test_a_delivery_that_comes_twice_runs_once(world: World) -> None:
    await world.teams.set(copies=2)
    user = world.user("lee")
    await user.say("pause all it leaks")
    await said(world, user.chat, 0)
    await world.teams.set(copies=1)
    assert len(await world.store.pauses.all()) == 1
    await ask(world, "lee", "whoami")
    assert await count(world, user.chat) == 2


async def welcomed(world: World, place: str) -> list[Seen]:
    found = [each for each in await world.teams.messages(place) if each.summary == WELCOME]
    assert len(found) <= 1
    return found


async def test_the_app_introduces_itself_once(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.set(copies=2)
    await world.user("dana").install()
    await world.teams.install("huddle")
    await world.teams.set(copies=1)
    [chat] = await wait_until(lambda: welcomed(world, world.user("dana").chat), "dana is welcomed", every=0.02)
    assert "your chat with Holdpoint" in chat.seen
    [group] = await wait_until(lambda: welcomed(world, "huddle"), "the group is told", every=0.02)
    assert "route here" in group.seen
    await ask(world, "dana", "whoami")
    assert await welcomed(world, world.user("dana").chat)


async def test_a_picture_comes_after_its_numbers(world: World, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")
    history = History(ledger, world.store, clock=now_ms)
    world.commands[0].office = replace(world.commands[0].office, history=history)
    chat = world.user("lee").chat
    before = await count(world, chat)
    assert "The last 3 days: 0 held" in (await ask(world, "lee", "stats 3", "held")).seen
    await is_picture(world, chat, before + 1)
    reply, answer = await ask_in(world, "lee", "security", "stats")
    assert (reply.seen, answer is not None) == (IN_CHAT, True)
    await is_picture(world, chat, before + 3)
    await history.aclose()
    ledger.close()


async def is_picture(world: World, place: str, count: int) -> None:
    [attachment] = (await said(world, place, count)).activity["attachments"]
    assert attachment["contentType"] == "image/png"
    png = base64.b64decode(attachment["contentUrl"].removeprefix("data:image/png;base64,"))
    assert max(Image.open(io.BytesIO(png)).size) <= 1024


def test_the_fullest_picture_is_one_that_teams_takes() -> None:
    days = [["approved"] * (day % 9) + ["rejected"] * (day % 7) + ["expired"] * (day % 5) for day in range(90)]
    assert len(smaller(stats_png(numbers(*days, name="W" * 40)), most=PICTURE_PIXELS)) <= PICTURE_BYTES


# wording


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("&nbsp;help &lt;b&gt; &amp;lt; &quot;x&quot; &#39;y&#39;", "help <b> &lt; \"x\" 'y'"),
        ("R&D &copy &lt", "R&D &copy &lt"),
        ("https://x.example/?a=1&amp;b=2", "https://x.example/?a=1&b=2"),
        ("/holdpoint pending", "pending"),
        ("HOLDPOINT\npending", "pending"),
        ("holdpoints pending", "holdpoints pending"),
        ("<b>kept</b>", "<b>kept</b>"),
        ("", ""),
    ],
)
def test_plain(text: str, typed: str) -> None:
    assert plain(text) == typed


def test_formatting_of_teams_own_is_taken_off() -> None:
    text = '<p>reject h1 <b>no</b> <a href="https://x.example">x.example</a></p><div>1 &lt; 2<br/>end</div>'
    assert plain(text, is_xml=True) == "reject h1 no x.example\n1 < 2\nend"


class Known:
    async def address_of(self, conversation: str, member: str) -> str:
        return {"29:kim": "kim@example.com"}.get(member, "")


def mention(name: str, member: str) -> dict[str, Any]:
    return {"type": "mention", "text": f"<at>{name}</at>", "mentioned": {"id": member, "name": name}}


MESSAGE = Message("", "", "", "19:a", "1", "", False, {"recipient": {"id": "28:us"}})


@pytest.mark.parametrize(
    ("text", "entities", "typed"),
    [
        ("ask <at>Kim</at> now", [mention("Kim", "29:kim")], "ask kim@example.com now"),
        ("<at>Kim</at> <at>Kim</at>", [mention("Kim", "29:kim"), mention("Kim", "29:x")], "kim@example.com @Kim"),
        (  # as newer clients send "@Kim de Vries"
            "ask <at>Kim</at>&nbsp;<at>de</at> <at>Vries</at> now",
            [mention("Kim", "29:kim"), mention("de", "29:kim"), mention("Vries", "29:kim")],
            "ask kim@example.com now",
        ),
        ("<at>Li</at> <at>Wei</at>?", [mention("Li", "29:x"), mention("Wei", "29:x")], "@Li Wei?"),
        (
            "<at>Kim</at>, <at>Kim</at>",
            [mention("Kim", "29:kim"), mention("Kim", "29:kim")],
            "kim@example.com, kim@example.com",
        ),
        ("to <at>sam@example.com</at>", [mention("sam@example.com", "29:evil")], "to @sam@example.com"),
        ("<at>Kim</at>", [], "<at>Kim</at>"),
        ("<at>Us</at> x", [mention("Us", "28:us")], "<at>Us</at> x"),
        ("x", [None, 5, {"type": "mention"}, {"type": "clientInfo", "text": "x"}], "x"),
        ("x", "entities", "x"),
    ],
)
async def test_who_is_mentioned_is_their_principal(text: str, entities: Any, typed: str) -> None:
    raw = {**MESSAGE.raw, "entities": entities}
    assert await as_typed(Known(), replace(MESSAGE, text=text, raw=raw)) == typed
