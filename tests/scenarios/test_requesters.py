"""What requesters are told and can say, the same way everywhere; and what commands answer, the same way in every chat."""

from __future__ import annotations

from typing import cast

import pytest

from holdpoint.model import State
from tests.scenarios.conftest import World
from tests.scenarios.surface import Commander, Requester, principal
from tests.scenarios.test_scenarios import everywhere
from tests.support.waiting import wait_until

CHATS = ("slack-http", "slack-socket", "teams")


@pytest.fixture
def chat(world: World, acting: str) -> Requester:
    """Where the requester reads and says it."""
    return cast("Requester", world.surfaces[acting])


@pytest.fixture
def typed(world: World, acting: str) -> Commander:
    """Where commands are typed."""
    return cast("Commander", world.surfaces[acting])


async def reads(chat: Requester, hold: object, words: str) -> None:
    async def said() -> bool:
        return words in await chat.message(hold)  # type: ignore[arg-type]  # a Hold

    await wait_until(said, f"the requester reads {words!r} in {chat.name}", every=0.05)


async def test_one_message_follows_the_request_to_its_end(world: World, chat: Requester, acting: str) -> None:
    hold = await world.hold()
    await reads(chat, hold, "Waiting for")
    assert await world.surfaces["web"].reject(hold, "sam", "Use the <vault>") == ""
    await reads(chat, hold, "rejected")
    assert "Use the <vault>" in await chat.message(hold)


async def test_a_withdrawal_ends_it_everywhere(world: World, chat: Requester, acting: str) -> None:
    hold = await world.hold()
    assert await chat.withdraw(hold) == ""
    stored = await world.stored(hold)
    assert (stored.state, stored.close_reason) == (State.CANCELLED, "withdrawn by the requester")
    await everywhere(world, hold, "Cancelled")


async def test_a_justification_is_seen_everywhere(world: World, chat: Requester, acting: str) -> None:
    hold = await world.hold()
    assert await chat.justify(hold, "For the **audit** of <today>") == ""
    assert (await world.stored(hold)).justification == "For the **audit** of <today>"
    await everywhere(world, hold, "For the **audit** of <today>")


async def test_a_question_is_answered_by_who_asked_the_model(world: World, chat: Requester, acting: str) -> None:
    hold = await world.hold()
    assert await world.surfaces["web"].ask(hold, "sam", "Which server?") == ""
    assert await chat.answer(hold, "The one in the cellar") == ""
    (question,) = (await world.stored(hold)).questions
    assert (question.answer, question.answered_by) == ("The one in the cellar", principal("dana"))
    await everywhere(world, hold, "The one in the cellar")


@pytest.mark.parametrize("acting", CHATS, indirect=True)
@pytest.mark.parametrize(
    ("person", "text", "words"),
    [
        ("sam", "whoami", "sam@example.com"),
        ("dana", "whoami", "contractors"),
        ("ola", "route list", "Only admins may do this"),
        ("lee", "route list", "C0SECURITY"),
        ("lee", "route add contractors slack:C0OTHER", "Cards for contractors now go to slack:C0OTHER"),
        ("lee", "rout list", "route list"),
        ("lee", "policy history", "UTC"),
        ("sam", "help", "what waits for a decision"),
    ],
)
async def test_a_command_is_answered(
    world: World, typed: Commander, acting: str, person: str, text: str, words: str
) -> None:
    assert words in await typed.command(person, text)
