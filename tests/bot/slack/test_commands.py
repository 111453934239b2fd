"""``/holdpoint …`` in Slack: answered for one person, in time, inert; confirmed by a button; a picture in a DM."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.answers import Answer, Picture, Table, inert
from bot.history import History
from bot.slack import CONFIRM
from bot.slack.answers import answer_blocks, answer_text
from bot.slack.commands import as_typed
from bot.slack.sample import HEADING
from bot.typed import PICTURE, STORE_AWAY, WORKING
from holdpoint.clock import now_ms
from holdpoint.ledger.sql import Ledger
from holdpoint.model import State
from holdpoint.policy.mask import Masks
from tests.bot.slack.conftest import MakeWorld, World
from tests.fakes.slack import Delivery, Ephemeral, Fault, Message, User
from tests.fakes.slack.rules import message_problems
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


async def say(world: World, user: User, text: str) -> Ephemeral:
    """What the person reads after typing ``text``; always within Slack's time, and always within its limits."""
    count = len(world.slack.workspace.ephemerals)
    delivery = await world.slack.command(user, world.security, text)
    assert delivery.acked
    assert delivery.seconds < 3
    answers = world.slack.workspace.ephemerals[count:]
    assert len(answers) == 1
    assert message_problems(answers[0].blocks) == []
    assert answers[0].user == user.id
    return answers[0]


async def press_confirm(world: World, user: User, answer: Ephemeral) -> Delivery:
    """Press the button of an ephemeral message, which is in no channel's history."""
    (block,) = (b for b in answer.blocks if b["type"] == "actions" and b["elements"][0]["action_id"] == CONFIRM)
    ws = world.slack.workspace
    message = Message(answer.channel, ws.ts(), ws.bot_user, answer.text, answer.blocks)
    payload = world.slack.click_payload(user, message, {"block_id": "b0", **block}, block["elements"][0])
    return await world.slack.deliver("interactive", payload)


async def test_the_answer_is_for_who_typed_it(world: World) -> None:
    assert "sam@example.com" in (await say(world, world.sam, "whoami")).seen.text
    assert "policy mode" in (await say(world, world.sam, "help")).seen.text
    assert "Only admins" in (await say(world, world.sam, "route add * slack:C0LEADS")).seen.text
    assert "do not know" in (await say(world, world.sam, "&lt;!channel&gt; nonsense")).seen.text
    assert "Did you mean" in (await say(world, world.sam, "pendign")).seen.text


async def test_what_slack_makes_of_a_text_is_undone(world: World) -> None:
    hold = await world.hold()
    await say(world, world.sam, f"reject {hold.id} 1 &lt; 2 &amp;&amp; <mailto:a@b.example|a@b.example> “x”")
    decided = await world.store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].reason) == (State.REJECTED, "1 < 2 && a@b.example “x”")
    assert decided.decisions[0].channel == "slack"


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("a &amp;lt; b", "a &lt; b"),
        ("<https://x.example/a?b|x.example/a?b>", "x.example/a?b"),
        ("<https://x.example/>", "https://x.example/"),
        ("route add a <#C0SECOND|second>", "route add a <#C0SECOND|second>"),
        ("<@U0DANA|dana> <!here>", "<@U0DANA|dana> <!here>"),
        ("<mailto:a|<mailto:b|c>", "<mailto:b|c"),
    ],
)
def test_as_typed(text: str, typed: str) -> None:
    assert as_typed(text) == typed


async def test_a_change_is_confirmed_with_a_button_in_place_of_the_question(world: World) -> None:
    await say(world, world.lee, "pause all it leaks")
    asked = await say(world, world.lee, "resume all")
    assert "Confirm" in asked.seen.text
    assert "*" in world.live.snapshot.pauses
    answers = world.slack.workspace.ephemerals
    count = len(answers)
    assert (await press_confirm(world, world.sam, asked)).acked
    await wait_until(lambda: len(answers) > count, "Sam reads why not")
    assert "nothing of yours" in answers[-1].seen.text
    assert "*" in world.live.snapshot.pauses
    assert (await press_confirm(world, world.lee, asked)).acked
    await wait_until(lambda: "pass again" in answers[-1].seen.text, "the answer takes the place of the question")
    assert not any(b["type"] == "actions" for b in answers[-1].blocks)
    assert await world.store.pauses.all() == []


async def test_a_slow_command_says_so_and_answers_later(world: World) -> None:
    gate = asyncio.Event()
    world.slack.fault("chat.postMessage", Fault("gate", gate=gate))  # and no answer in the end
    assert (await say(world, world.lee, "route test contractors")).text == WORKING
    gate.set()
    answers = world.slack.workspace.ephemerals
    await wait_until(lambda: "posted" in answers[-1].seen.text, "the answer comes by the response URL")
    assert "failed: Slack's chat.postMessage" in answers[-1].seen.text


async def test_a_test_of_a_route_posts_a_sample_without_buttons(world: World) -> None:
    world.slack.archive(world.second)
    answer = await say(world, world.lee, "route test contractors")
    assert "posted" in answer.seen.text
    assert "failed: Slack's chat.postMessage answers is_archived" in answer.seen.text
    (sample,) = world.slack.workspace.messages(world.security.id)
    assert message_problems(sample.blocks) == []
    assert HEADING in sample.seen.text
    assert "sample@example.com" in sample.seen.text
    assert sample.buttons == []
    assert not any((await world.store.holds.count()).values())


async def test_the_picture_of_stats_goes_to_the_direct_messages(world: World, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")
    history = History(ledger, world.store, clock=now_ms)
    commands = world.app._commands
    commands.office = replace(commands.office, history=history)
    answer = await say(world, world.lee, "stats 3")
    assert "The last 3 days: 0 held" in answer.seen.text
    assert PICTURE in answer.seen.text
    files = world.slack.workspace.files
    await wait_until(lambda: any(file.shared for file in files.values()), "the picture is shared")
    (file,) = files.values()
    direct = world.slack.workspace.direct(world.lee.id)
    assert file.shared == [direct.id]
    assert file.content is not None
    assert file.content.startswith(b"\x89PNG")
    await history.aclose()
    ledger.close()


async def test_without_a_picture_the_numbers_are_still_said(world: World, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")
    history = History(ledger, world.store, clock=now_ms)
    world.app._commands.office = replace(world.app._commands.office, history=history)
    world.slack.fault("files.getUploadURLExternal", Fault("error", "storage_limit_reached"))
    assert "0 held" in (await say(world, world.lee, "stats")).seen.text
    await wait_until(lambda: any(c.method.startswith("files.") for c in world.slack.calls), "the upload was tried")
    assert not any(file.shared for file in world.slack.workspace.files.values())
    await history.aclose()
    ledger.close()


@pytest.mark.promise(6)
async def test_without_a_store_the_person_reads_so(make_world: MakeWorld, redis_server: RedisServer) -> None:
    world = await make_world("http", url=redis_server.url)
    assert "lee@example.com" in (await say(world, world.lee, "whoami")).seen.text
    redis_server.kill()
    assert STORE_AWAY in (await say(world, world.lee, "pause all")).seen.text


def test_long_answers_are_cut_with_a_line_that_says_so() -> None:
    table = Table(("a", "b"), tuple((str(number), "x" * 500) for number in range(300)))
    blocks = answer_blocks(Answer(True, ("y" * 5_000, "z"), table))
    assert message_problems(blocks) == []
    assert "more lines left out here" in str(blocks)
    text = "\n".join(f"line {number} " + "\U0001f600" * 30 for number in range(400))
    for answer in (Answer(True, text=text), Answer(True, (), table, text=text, confirm="confirm 12345678")):
        blocks = answer_blocks(answer)
        assert message_problems(blocks) == []
        assert "left out here" in str(blocks)
    assert message_problems(answer_blocks(Answer(True, text="q" * 50_000))) == []


def test_short_answers_are_whole() -> None:
    blocks = answer_blocks(Answer(True, ("one", "two"), Table(("", ""), (("a", "b"),)), text="three\n\nfour"))
    assert "left out" not in str(blocks)
    assert message_problems(blocks) == []
    for answer in (
        Answer(False),
        Answer(True),
        Answer(True, ("",)),
        Answer(True, text="\n"),
        Answer(True, table=Table(("a",), ())),
    ):
        assert message_problems(answer_blocks(answer)) == []


TEXTS = st.text(max_size=300) | st.text(alphabet=st.sampled_from("\U0001f600中a\n <&"), max_size=4_000)


@settings(max_examples=80, deadline=None)
@given(lines=st.lists(TEXTS, max_size=8), cells=st.lists(st.tuples(TEXTS, TEXTS), max_size=60), text=TEXTS)
def test_slack_takes_any_answer(lines: list[str], cells: list[tuple[str, str]], text: str) -> None:
    answer = inert(Answer(True, tuple(lines), Table(("a", "b"), tuple(cells)), text=text * 9), Masks())
    assert message_problems(answer_blocks(answer)) == []
    assert len(answer_text(answer)) <= 1_500


@pytest.mark.promise(7)
def test_texts_from_people_are_inert() -> None:
    hostile = "<!channel> *bold* :smile: <https://evil.example|click> ```"
    answer = Answer(True, (hostile,), Table((hostile,), ((hostile,),)), text=hostile, picture=Picture(b"", hostile))
    blocks = answer_blocks(answer)
    assert {block["type"] for block in blocks} == {"rich_text"}
    assert "<" not in answer_text(answer).replace("&lt;", "")
