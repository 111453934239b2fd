"""Slack as a surface, on its strict fake."""

from __future__ import annotations

from bot import slack as names
from bot.typed import WORKING
from holdpoint.errors import HoldpointError
from holdpoint.model import Hold
from tests.fakes.slack import Channel, Ephemeral, FakeSlack, Json, Message, User, View
from tests.scenarios.surface import REQUESTER
from tests.support.waiting import wait_until

_OFFERS = {"approve": names.APPROVE, "reject": names.REJECT, "edit": names.EDIT, "ask": names.ASK, "claim": names.CLAIM}


class SlackSurface:
    channel = "slack"

    def __init__(self, slack: FakeSlack, *, mode: str) -> None:
        self.name = f"slack-{mode}"
        self._slack = slack
        everybody = [
            slack.workspace.add_user(f"{name.capitalize()} Example", f"{name}@example.com")
            for name in ("dana", "sam", "kim", "lee", "ola")
        ]
        self._users = {user.email.partition("@")[0]: user for user in everybody if user.email}
        self._channel = slack.workspace.add_channel("security", *everybody, channel_id="C0SECURITY")

    async def text(self, hold: Hold) -> str:
        return (await self._card(hold)).seen.text

    async def offers(self, hold: Hold, person: str) -> set[str]:
        buttons = (await self._card(hold)).buttons
        return {word for word, button in _OFFERS.items() if button in buttons}

    async def remember(self, hold: Hold, person: str) -> Json:
        """The click that the screen of this moment would make, by button."""
        card, user = await self._card(hold), self._users[person]
        found = {name: card.button(name) for name in _OFFERS.values()}
        return {name: self._slack.click_payload(user, card, *button) for name, button in found.items() if button}

    async def approve(self, hold: Hold, person: str, *, screen: object = None) -> str:
        return await self._press(hold, person, names.APPROVE, screen)

    async def reject(self, hold: Hold, person: str, reason: str, *, screen: object = None) -> str:
        return await self._press(hold, person, names.REJECT, screen) or await self._submit(person, {"reason": reason})

    async def edit(self, hold: Hold, person: str, text: str) -> str:
        return await self._press(hold, person, names.EDIT) or await self._submit(person, {"part-0": text})

    async def ask(self, hold: Hold, person: str, question: str) -> str:
        return await self._press(hold, person, names.ASK) or await self._submit(person, {"text": question})

    async def claim(self, hold: Hold, person: str) -> str:
        return await self._press(hold, person, names.CLAIM)

    async def read(self, hold: Hold, person: str) -> str:
        told = await self._press(hold, person, names.VIEW)
        if told:
            return told
        user = self._users[person]
        modal = self._modal(user)
        while names.PAGES[1] in modal.buttons:
            await self._slack.click_in_view(user, modal, names.PAGES[1])
        modal.open = False
        return ""

    # As a requester

    async def message(self, hold: Hold) -> str:
        return (await self._dm(hold)).seen.text

    async def withdraw(self, hold: Hold) -> str:
        return await self._click(REQUESTER, await self._dm(hold), names.CANCEL)

    async def justify(self, hold: Hold, text: str) -> str:
        return await self._click(REQUESTER, await self._dm(hold), names.JUSTIFY) or await self._submit(
            REQUESTER, {"text": text}
        )

    async def answer(self, hold: Hold, text: str) -> str:
        dm = await self._dm(hold)
        await wait_until(lambda: names.ANSWER in dm.buttons, "there is a question to answer")
        return await self._click(REQUESTER, dm, names.ANSWER) or await self._submit(REQUESTER, {"text": text})

    async def command(self, person: str, text: str) -> str:
        user = self._users[person]
        before = len(self._slack.workspace.ephemerals)
        await self._slack.command(user, self._channel, text)

        def answered() -> list[Ephemeral]:
            return [each for each in self._slack.workspace.ephemerals[before:] if each.text != WORKING]

        told = await wait_until(answered, "the command is answered")
        return "\n".join(message.seen.text for message in told)

    async def _card(self, hold: Hold) -> Message:
        return await self._find(hold, self._channel)

    async def _dm(self, hold: Hold) -> Message:
        return await self._find(hold, self._slack.workspace.direct(self._users[REQUESTER].id))

    async def _find(self, hold: Hold, channel: Channel) -> Message:
        def look() -> Message | None:
            found = [m for m in self._slack.workspace.messages(channel.id) if hold.id in str(m.blocks)]
            assert len(found) <= 1, "posted twice"
            return found[0] if found else None

        return await wait_until(look, f"the card of {hold.id} is in {channel.name}")

    async def _press(self, hold: Hold, person: str, action: str, screen: object = None) -> str:
        if isinstance(screen, dict):
            return await self._deliver(person, screen[action])
        return await self._click(person, await self._card(hold), action)

    async def _click(self, person: str, message: Message, action: str) -> str:
        found = message.button(action)
        assert found is not None, f"no button {action}"
        return await self._deliver(person, self._slack.click_payload(self._users[person], message, *found))

    async def _deliver(self, person: str, payload: Json) -> str:
        """What the person was told; Slack's own error where the callback was not acknowledged."""
        user = self._users[person]
        before = len(self._slack.told(user))
        delivery = await self._slack.deliver("interactive", payload)
        told = self._slack.told(user)[before:]
        return "\n".join(told) or ("" if delivery.acked else "Slack: something went wrong")

    async def _submit(self, person: str, values: dict[str, str]) -> str:
        user = self._users[person]
        modal = self._modal(user)
        delivery = await self._slack.submit(user, modal, values)
        if not delivery.acked:
            return "Slack: something went wrong"
        told = "\n".join(str(error) for error in modal.errors.values()) if modal.open else ""
        modal.open = False
        return told

    def _modal(self, user: User) -> View:
        modals = self._slack.workspace.modals(user)
        if not modals:
            raise HoldpointError("no modal is open")
        return modals[-1]
