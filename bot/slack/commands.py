"""``/holdpoint …``: the grammar of bot/commands.py, answered where it was typed, for who typed it only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.commands import Answer, Commands
from bot.slack.desk import Desk, in_words
from bot.slack.modals import answer_blocks, answer_text


async def run(desk: Desk, commands: Commands, ack: Callable[..., Awaitable[Any]], body: Mapping[str, Any]) -> None:
    """Run what was typed behind the command."""
    answer: Answer | None = None
    async with in_words() as trouble:
        answer = await commands.run(str(body.get("text") or ""), await desk.who(body))
    if answer is None:
        answer = Answer(False, (trouble.sentence,))
    await ack(response_type="ephemeral", text=answer_text(answer), blocks=answer_blocks(answer))
