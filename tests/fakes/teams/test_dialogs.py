"""Task modules: opened by a button, filled in, closed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.teams import CannotDo, FakeTeams
from tests.fakes.teams.conftest import Bot, attached, card, execute, posted
from tests.fakes.teams.things import Json

OPENER = {
    "type": "Action.Submit",
    "title": "View",
    "data": {"msteams": {"type": "task/fetch"}, "verb": "view", "hold": "h d"},
}


def dialog(*inputs: Json, actions: list[Json] | None = None, **more: Any) -> Json:
    save = {"type": "Action.Submit", "title": "Save", "data": {"verb": "edit", "hold": "h d"}}
    content = {"type": "AdaptiveCard", "version": "1.5", "body": list(inputs), "actions": actions or [save]}
    return {"task": {"type": "continue", "value": {"title": "Edit", "card": attached(content), **more}}}


async def test_a_dialog_is_fetched_filled_in_and_closed(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(teams, bot, OPENER)
    kim = teams.user("kim")
    bot.reply = dialog({"type": "Input.Text", "id": "text", "value": "as it was", "isMultiline": True}, height="large")
    assert (await kim.click(message, "View")).kind == "dialog"
    opened = await kim.dialog()
    assert opened is not None
    assert (opened.title, opened.titles, opened.inputs["text"]["value"]) == ("Edit", ["Save"], "as it was")
    assert await teams.user("sam").dialog() is None
    bot.reply = {"task": {"type": "message", "value": "Saved"}}
    assert (await kim.submit("Save", {"text": "new\ntext"})).said == "Saved"
    assert await kim.dialog() is None
    (_, fetch), (_, submit) = bot.got
    assert (fetch["name"], fetch["replyToId"], fetch["value"]["data"]) == ("task/fetch", message.id, OPENER["data"])
    assert (submit["name"], submit["value"]["data"]) == (
        "task/submit",
        {"verb": "edit", "hold": "h d", "text": "new\ntext"},
    )
    with pytest.raises(CannotDo, match="no open dialog"):
        await kim.submit("Save")


@pytest.mark.parametrize("reply", [
    {"task": {"type": "continue", "value": {"title": "x"}}}, {"task": {"type": "message", "value": ""}}, card("x"),
    {"task": {"type": "continue"}}, {"task": {"type": "other", "value": "x"}}, dialog(height="huge"),
    dialog(actions=[execute("edit")]), dialog({"type": "Nothing"}), dialog(colour="red"), dialog(title=None), None,
    dialog({"type": "TextBlock", "text": "x" * 20_000}),
])  # fmt: skip
async def test_a_bad_dialog_does_not_open(teams: FakeTeams, bot: Bot, reply: Any) -> None:
    message = await posted(teams, bot, OPENER)
    bot.reply = reply
    assert (await teams.user("kim").click(message, "View")).kind == "wrong"
    assert await teams.user("kim").dialog() is None
    assert len(await teams.take_problems()) == 1


async def test_a_dialog_may_close_without_a_word(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(teams, bot, OPENER)
    bot.reply = dialog()
    await teams.user("kim").click(message, "View")
    bot.reply = None
    assert (await teams.user("kim").submit("Save")).kind == "closed"
