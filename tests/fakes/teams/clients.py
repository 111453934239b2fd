"""What a person at a Teams client can do: press, open, fill in, type. Each sees what is shown to them, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.teams import payloads
from tests.fakes.teams.activities import refresh_problems
from tests.fakes.teams.delivery import Answer, Post
from tests.fakes.teams.reading import Button, filled_in, press
from tests.fakes.teams.replies import Wrong, card_reply, task_reply
from tests.fakes.teams.things import CannotBeDone, Dialog, Json, Message, Person, Place, bare
from tests.fakes.teams.world import World

WENT_WRONG = "Something went wrong. Please try again."


@dataclass
class Clients:
    """``base``: the fake's own URL."""

    world: World
    post: Post
    base: str

    def service_url(self, place: Place) -> str:
        return f"{self.base}/{place.region}/"

    def head(self, kind: str, person: Person, place: Place, *, root: str = "") -> Json:
        return payloads.head(self.world, kind, person, place, self.service_url(place), root=root)

    def sees(self, key: str, conversation: str) -> tuple[Person, Place]:
        """Both, if the person is in the place; raises `CannotBeDone`."""
        person, place = self.world.person(key), self.world.places.get(bare(conversation))
        if place is None or key not in self.world.member_keys(place):
            raise CannotBeDone(f"{key} is not in {conversation}")
        return person, place

    def message(self, conversation: str, message_id: str) -> Message:
        message = self.world.messages.get((bare(conversation), message_id))
        if message is None or message.deleted:
            raise CannotBeDone("there is no such message")
        return message

    async def click(
        self, key: str, conversation: str, message_id: str, wanted: str, inputs: Mapping[str, Any], *, old: bool = False,
        forged: Mapping[str, Any] | None = None,
    ) -> Json:  # fmt: skip
        """Press a button of the card that this person sees. ``forged`` is put over the data: a manipulated client."""
        person, place = self.sees(key, conversation)
        message = self.message(conversation, message_id)
        card = message.card if old else message.seen_by(key)
        if card is None:
            raise CannotBeDone("the message has no card")
        button = press(card, wanted, old=old)
        data = filled_in(button, inputs) | dict(forged or {})
        return await self._press(person, place, message, button, data)

    async def _press(self, person: Person, place: Place, message: Message, button: Button, data: Json) -> Json:
        action = button.action
        root = message.root
        match action["type"]:
            case "Action.Execute":
                activity = self.head("invoke", person, place, root=root)
                activity = payloads.card_action(activity, action, data, message.id, "manual")
                return await self._card_action(activity, person, place, message)
            case "Action.Submit" if data.get("msteams", {}).get("type") == "task/fetch":
                activity = payloads.task(self.head("invoke", person, place, root=root), "task/fetch", data, message.id)
                return await self._task(activity, person, place, message.id, may_close=False)
            case "Action.Submit":
                activity = payloads.submitted(self.head("message", person, place, root=root), data, message.id)
                return _result("sent", await self.post.deliver(activity))
            case other:
                return {"kind": other, "url": action.get("url")}

    async def open(self, key: str, conversation: str, message_id: str, *, manual: bool = False) -> Json:
        """See the message: its card refreshes by itself for those in refresh.userIds, by a menu (``manual``) for all."""
        person, place = self.sees(key, conversation)
        message = self.message(conversation, message_id)
        refresh = (message.seen_by(key) or {}).get("refresh")
        automatic = refresh is not None and person.id in refresh.get("userIds", [person.id])
        if refresh is None or not (automatic or manual):
            if manual:
                raise CannotBeDone("the card has no refresh")
            return {"kind": "nothing"}
        action = refresh["action"]
        activity = self.head("invoke", person, place, root=message.root)
        trigger = "manual" if manual else "automatic"
        activity = payloads.card_action(activity, action, dict(action.get("data", {})), message.id, trigger)
        return await self._card_action(activity, person, place, message)

    async def _card_action(self, activity: Json, person: Person, place: Place, message: Message) -> Json:
        answers = await self.post.deliver(activity)
        result = _result("wrong", answers)
        try:
            kind, value = card_reply(answers[0].status, answers[0].body, self.world.channel_bytes)
            if kind == "card":
                for problem in refresh_problems(self.world, place, value):
                    raise Wrong(problem)
        except Wrong as wrong:
            return self._went_wrong(person, activity, result, wrong)
        if kind == "card":
            message.views[person.key] = value
        if kind != "card":
            self._tell(person, kind, value if kind == "message" else value["message"])
        return result | {"kind": kind, "value": value}

    async def _task(
        self, activity: Json, person: Person, place: Place, message: str, *, may_close: bool
    ) -> Json:  # fmt: skip
        answers = await self.post.deliver(activity)
        result = _result("wrong", answers)
        try:
            kind, value = task_reply(answers[0].status, answers[0].body, self.world.channel_bytes, may_close=may_close)
        except Wrong as wrong:
            return self._went_wrong(person, activity, result, wrong)
        self.world.dialogs.pop(person.key, None)
        if kind == "dialog":
            self.world.dialogs[person.key] = Dialog(person.key, value["title"], value["card"], place.id, message)
        elif kind == "message":
            self._tell(person, "dialog message", value)
        return result | {"kind": kind, "value": value}

    async def submit(
        self, key: str, wanted: str, inputs: Mapping[str, Any], forged: Mapping[str, Any] | None = None
    ) -> Json:
        """Press a button of the dialog that is open at this person's client."""
        person, dialog = self.world.person(key), self.world.dialogs.get(key)
        if dialog is None:
            raise CannotBeDone(f"{key} has no open dialog")
        button = press(dialog.card, wanted)
        if button.action["type"] != "Action.Submit":
            return {"kind": button.action["type"], "url": button.action.get("url")}
        data = filled_in(button, inputs) | dict(forged or {})
        place = self.world.places[dialog.conversation]
        message = self.world.messages.get((dialog.conversation, dialog.message))
        head = self.head("invoke", person, place, root=message.root if message else "")
        return await self._task(
            payloads.task(head, "task/submit", data, ""), person, place, dialog.message, may_close=True
        )

    async def say(self, key: str, conversation: str, text: str, *, mention: bool, thread: str) -> Json:
        """Type a message. In channels and groups the bot is only told what mentions it."""
        person, place = self.sees(key, conversation)
        root = self.message(conversation, thread).root if thread else ""
        activity = payloads.said(self.head("message", person, place), text, mention=mention)
        message = self.world.put(place.id, activity, sender=key, root=root)
        activity |= {"id": message.id, "conversation": self.world.conversation_json(place, message.root)}
        told = mention or place.kind == "personal"
        result = _result("sent", await self.post.deliver(activity)) if told else {"kind": "nothing"}
        return result | {"message": message.as_json(key)}

    def _tell(self, person: Person, kind: str, text: str) -> None:
        self.world.notices.append({"person": person.key, "kind": kind, "text": text})

    def _went_wrong(self, person: Person, activity: Json, result: Json, wrong: Wrong) -> Json:
        self._tell(person, "wrong", WENT_WRONG)
        self.world.problem(f"answer to {activity['name']}: {wrong}")
        return result | {"kind": "wrong", "value": str(wrong)}


def _result(kind: str, answers: list[Answer]) -> Json:
    return {"kind": kind, "value": None, **answers[0].as_json(), "answers": [answer.as_json() for answer in answers]}
