"""Long requests: a cut card, all of it in pages, and the inbox for what Slack cannot hold."""

from __future__ import annotations

import json

import pytest

from bot import slack as names
from bot.acts import PAGED_CHARACTERS
from holdpoint.model import Risk, State
from tests.bot.slack.conftest import World


def shown_text(view: object) -> str:
    blocks = view.content["blocks"]  # type: ignore[attr-defined]
    parts = [part for block in blocks if block["type"] == "rich_text" for part in block["elements"]]
    return "".join(run["text"] for part in parts if part["type"] == "rich_text_quote" for run in part["elements"])


@pytest.mark.promise(2)
async def test_view_full_shows_all_of_a_long_prompt_page_by_page(world: World) -> None:
    prompt = "password " + "".join(f"{n} <!channel> `x` " for n in range(1500))
    hold = await world.hold(prompt)
    card = await world.card(hold)
    assert "Read it in full before approving" in card.seen.text
    assert names.VIEW in card.buttons
    await world.slack.click(world.sam, card, names.VIEW)
    (modal,) = world.slack.workspace.modals(world.sam)
    text = shown_text(modal)
    while "Next page" in json.dumps(modal.content):
        assert (await world.slack.click_in_view(world.sam, modal, names.PAGES[1])).acked
        text += shown_text(modal)
    assert text == prompt
    await world.slack.click_in_view(world.sam, modal, names.PAGES[0])
    assert shown_text(modal) != text
    assert len(world.slack.workspace.modals(world.sam)) == 1


async def test_who_may_not_decide_may_not_read_it_all_but_the_requester_may(world: World) -> None:
    hold = await world.hold("password " + "x" * 5000)
    card = await world.card(hold)
    await world.slack.click(world.ola, card, names.VIEW)
    await world.told(world.ola, "may read all of it")
    assert world.slack.workspace.modals(world.ola) == []
    await world.slack.click(world.dana, card, names.VIEW)
    assert len(world.slack.workspace.modals(world.dana)) == 1


async def test_what_is_too_long_for_slack_is_approved_here_and_read_in_the_inbox(world: World) -> None:
    hold = await world.hold("password " + "x" * PAGED_CHARACTERS, risk=Risk.MEDIUM)
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.VIEW)
    await world.told(world.sam, f"https://holdpoint.test/review/{hold.id}")
    await world.slack.click(world.sam, card, names.EDIT)
    (modal,) = world.slack.workspace.modals(world.sam)
    assert "submit" not in modal.content
    assert f"https://holdpoint.test/review/{hold.id}" in json.dumps(modal.content)
    await world.slack.click(world.sam, card, names.APPROVE)
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED


@pytest.mark.promise(2)
async def test_what_is_too_long_for_slack_and_of_high_risk_is_decided_in_the_inbox(world: World) -> None:
    hold = await world.hold("password " + "x" * PAGED_CHARACTERS)
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    await world.told(world.sam, f"https://holdpoint.test/review/{hold.id}")
    assert (await world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    "prompt",
    [
        "password <!channel> <!here> <@U0001>",
        "password ``` *b* `c` :smile: @here https://evil.test",
        "password a\u202eb\u200bc\x1b[31m",
    ],
)
async def test_what_a_prompt_says_is_only_text(world: World, prompt: str) -> None:
    hold = await world.hold(prompt)
    for message in (await world.card(hold), await world.card(hold, world.second), await world.dm(hold)):
        assert message.seen.notified == []
        assert not set("\u202e\u200b\x1b") & set(message.seen.text + message.text)
    visible = prompt.replace("\u202e", "⟨U+202E⟩").replace("\u200b", "⟨U+200B⟩").replace("\x1b", "⟨U+001B⟩")
    assert visible in (await world.card(hold)).seen.text
    for call in world.slack.calls:
        if call.method.startswith("chat."):
            assert (call.arguments.get("parse"), call.arguments.get("link_names")) == ("none", False)
