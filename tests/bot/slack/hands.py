"""What a person does that the client would not let them do, and short ways to what is on their screen."""

from __future__ import annotations

from bot import slack as names
from holdpoint.model import Hold
from tests.bot.slack.conftest import World
from tests.fakes.slack import Delivery, Json, Message, User, View

_MENUS = (names.MORE, names.QUIET)


async def press(world: World, user: User, message: Message, action: str, *, value: str) -> Delivery:
    """A click on a button (or a choice of a menu) with any value, whether the message has it or not."""
    text: Json = {"type": "plain_text", "text": "…", "emoji": False}
    button: Json = {"type": "button", "action_id": action, "text": text, "value": value}
    payload = world.slack.click_payload(user, message, {"block_id": "b0"}, button)
    if action in _MENUS:
        del payload["actions"][0]["value"]
        payload["actions"][0] |= {"type": "overflow", "selected_option": {"text": text, "value": value}}
    return await world.slack.deliver("interactive", payload)


def modal_of(world: World, user: User) -> View:
    """The one modal on this person's screen."""
    (modal,) = world.slack.workspace.modals(user)
    return modal


async def stored(world: World, hold: Hold) -> Hold:
    """The hold as it is now."""
    return await world.store.holds.get(hold.id)


async def all_noted(world: World, hold: Hold) -> bool:
    """Whether every copy is in the store (two channels and the DM)."""
    places = (await world.store.cards.all(hold.id)).values()
    return len(places) == 3 and all(place.message for place in places)
