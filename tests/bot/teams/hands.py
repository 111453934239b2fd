"""What a person does that a right client would not let them do, and short ways to what came of it."""

from __future__ import annotations

from typing import Any

from holdpoint.model import Hold
from tests.bot.teams.world import World
from tests.fakes.teams.seen import Answer, DialogSeen, Result, Seen
from tests.fakes.teams.things import Json


async def stored(world: World, hold: Hold) -> Hold:
    """The hold as it is now."""
    return await world.store.holds.get(hold.id)


def value_of(hold: Hold, word: str = "") -> str:
    """What a button of the hold's card carries."""
    return f"{hold.id} {hold.digest} {word}".rstrip()


async def press(
    world: World, key: str, message: Seen, verb: str, value: Any, *, trigger: str = "manual", changes: Any = None,
    **inputs: Any,
) -> Result:  # fmt: skip
    """An Action.Execute with any verb, value and inputs, whether the card has it or not. ``changes`` go into the activity."""
    action = {"type": "Action.Execute", "verb": verb, "data": {"verb": verb, "hold": value, **inputs}}
    given = {"name": "adaptiveCard/action", "value": {"action": action, "trigger": trigger}}
    return _of_action(await _deliver(world, key, message, {**given, **(changes or {})}))


async def call(world: World, key: str, message: Seen, name: str, verb: str, value: Any, **inputs: Any) -> Result:
    """``task/fetch`` or ``task/submit`` with any verb, value and inputs."""
    given = {"name": name, "value": {"data": {"verb": verb, "hold": value, **inputs}, "context": {"theme": "default"}}}
    return _of_dialog(await _deliver(world, key, message, given))


async def dialog(world: World, key: str) -> DialogSeen:
    """The dialog that is open at their client."""
    found = await world.user(key).dialog()
    assert found is not None, f"{key} has no open dialog"
    return found


async def all_noted(world: World, hold: Hold) -> bool:
    """Whether every copy is in the store (two channels and the requester's chat)."""
    places = (await world.store.cards.all(hold.id)).values()
    return len(places) == 3 and all(place.message for place in places)


async def _deliver(world: World, key: str, message: Seen, given: Json) -> Answer:
    activity = await world.teams.activity("invoke", key, message.conversation)
    return await world.teams.deliver({**activity, "replyToId": message.id, **given})


def _of_action(answer: Answer) -> Result:
    body = answer.body if isinstance(answer.body, dict) else {}
    kinds = {"application/vnd.microsoft.card.adaptive": "card", "application/vnd.microsoft.activity.message": "message"}
    return Result(kinds.get(body.get("type", ""), "error"), body.get("value"), answer.status, answer.body)


def _of_dialog(answer: Answer) -> Result:
    task = answer.body["task"] if answer.body else None
    if task is None:
        return Result("closed", status=answer.status)
    if task["type"] == "message":
        return Result("message", task["value"], answer.status, answer.body)
    return Result("dialog", {"card": task["value"]["card"]["content"]}, answer.status, answer.body)
