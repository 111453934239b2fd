"""What goes wrong between a chat and the mail that stands in for it: nothing said that is not so, nothing lost."""

from __future__ import annotations

from bot.copies import Showing
from bot.platform import NobodyThere
from bot.telling import Telling
from holdpoint.model import State
from tests.bot.email.conftest import World
from tests.bot.email.test_requester import WHO, chat, draw, still, told
from tests.support.builders import make_decision

__all__ = ["still"]


async def test_a_chat_that_reached_them_before_it_crashed_says_so_afterwards(still: World) -> None:
    """It was refused once, then taken, and the process died before it could note that."""
    hold = await still.hold()
    await draw(still, hold, chat(still, NobodyThere("no account")))
    before = await still.store.holds.get(hold.id)
    await still.store.holds.decide(before, make_decision(before), state=State.APPROVED, body=None)
    await draw(still, hold, chat(still))
    await still.store.talk.told(hold.id, channel="teams", reached=False)  # as it was until the crash
    telling = Telling(still.store, "teams", instead_of=None)
    await telling.note(await still.store.holds.get(hold.id), f"teams:dm:{WHO}", Showing.NOTHING)
    assert await told(still, hold) == {"teams": True}
