"""Microsoft Teams as a surface, on its strict fake."""

from __future__ import annotations

from bot import facts, requester_facts
from bot import teams as verbs
from bot.typed import WORKING
from holdpoint.model import Hold
from tests.fakes.teams import FakeTeams, Result, Seen, TeamsUser
from tests.fakes.teams.reading import texts_of
from tests.fakes.teams.things import Json
from tests.scenarios.surface import REQUESTER
from tests.support.waiting import wait_until

_OFFERS = {
    "approve": verbs.APPROVE,
    "reject": verbs.REJECT,
    "edit": verbs.EDIT,
    "ask": verbs.ASK,
    "claim": verbs.CLAIM,
}
_PLACE = "security"
_HEADINGS = frozenset(
    {*facts._HEADERS.values(), *requester_facts.TITLES.values(), "A question about your request"}
    | {f"{risk}, held for review" for risk in facts.RISKS.values()}
)


class TeamsSurface:
    name = "teams"
    channel = "teams"

    def __init__(self, teams: FakeTeams) -> None:
        self._teams = teams

    async def text(self, hold: Hold) -> str:
        return (await self._card(hold)).seen

    async def offers(self, hold: Hold, person: str) -> set[str]:
        card = await self._teams.user(person).look(await self._card(hold))
        return {word for word, verb in _OFFERS.items() if verb in card.verbs}

    async def remember(self, hold: Hold, person: str) -> Json:
        """What the buttons of this moment would send, by verb."""
        card = await self._card(hold)
        actions = {verb: card.action(verb) for verb in _OFFERS.values() if verb in card.verbs}
        return {"message": card.id, "actions": actions}

    async def approve(self, hold: Hold, person: str, *, screen: object = None) -> str:
        if isinstance(screen, dict):
            return await self._deliver(person, screen, verbs.APPROVE)
        return await self._click(hold, person, verbs.APPROVE)

    async def reject(self, hold: Hold, person: str, reason: str, *, screen: object = None) -> str:
        if isinstance(screen, dict):
            return await self._deliver(person, screen, verbs.REJECT, reason=reason)
        return await self._click(hold, person, verbs.REJECT, reason=reason)

    async def edit(self, hold: Hold, person: str, text: str) -> str:
        return await self._click(hold, person, verbs.EDIT, **{"part-0": text})

    async def ask(self, hold: Hold, person: str, question: str) -> str:
        return await self._click(hold, person, verbs.ASK, text=question)

    async def claim(self, hold: Hold, person: str) -> str:
        return await self._click(hold, person, verbs.CLAIM)

    async def read(self, hold: Hold, person: str) -> str:
        user = self._teams.user(person)
        shown = await user.click(await self._card(hold), verbs.VIEW)
        if shown.kind != "dialog":
            return shown.said
        while "Next page" in (dialog := await user.dialog()).titles:  # type: ignore[union-attr]  # it is open
            assert dialog is not None
            await user.submit("Next page")
        await user.close_dialog()
        return ""

    # As a requester

    async def message(self, hold: Hold) -> str:
        return (await self._dm(hold)).seen

    async def withdraw(self, hold: Hold) -> str:
        return await self._press(REQUESTER, await self._dm(hold), verbs.CANCEL)

    async def justify(self, hold: Hold, text: str) -> str:
        return await self._press(REQUESTER, await self._dm(hold), verbs.JUSTIFY, text=text)

    async def answer(self, hold: Hold, text: str) -> str:
        async def asked() -> Seen | None:
            dm = await self._dm(hold)
            return dm if verbs.ANSWER in dm.verbs else None

        dm = await wait_until(asked, "there is a question to answer", every=0.05)
        return await self._press(REQUESTER, dm, verbs.ANSWER, text=text)

    async def command(self, person: str, text: str) -> str:
        user = self._teams.user(person)
        before = len(await wait_until(user.messages, f"{person} is welcomed", every=0.05))
        await user.say(text)

        async def answered() -> list[Seen]:
            said = [each for each in (await user.messages())[before:] if each.sender == "bot"]
            return [each for each in said if each.summary != WORKING]

        return "\n".join(each.seen or each.text for each in await wait_until(answered, "an answer", every=0.05))

    async def _card(self, hold: Hold) -> Seen:
        return await self._find(hold, _PLACE)

    async def _dm(self, hold: Hold) -> Seen:
        return await self._find(hold, self._teams.user(REQUESTER).chat)

    async def _find(self, hold: Hold, place: str) -> Seen:
        async def look() -> Seen | None:
            found = [card for card in await self._teams.cards(place) if hold.id in str(card.card)]
            assert len(found) <= 1, "posted twice"
            return found[0] if found else None

        return await wait_until(look, f"the card of {hold.id} is in {place}", every=0.02)

    async def _click(self, hold: Hold, person: str, verb: str, **inputs: str) -> str:
        return await self._press(person, await self._card(hold), verb, **inputs)

    async def _press(self, person: str, message: Seen, verb: str, **inputs: str) -> str:
        user = self._teams.user(person)
        return _told(await user.click(message, verb, await self._ids(user, message, inputs, verb)))

    async def _ids(self, user: TeamsUser, message: Seen, inputs: dict[str, str], verb: str) -> Json:
        """Below a card, the id of an input has an end that makes it unique."""
        known = (await user.look(message)).inputs
        return {
            next((each for each in (f"{name}.{verb}", name) if each in known), name): text
            for name, text in inputs.items()
        }

    async def _deliver(self, person: str, screen: Json, verb: str, **inputs: str) -> str:
        """A click on a screen of earlier."""
        action = screen["actions"][verb]
        activity = await self._teams.activity("invoke", person, _PLACE)
        value = {
            "type": "Action.Execute",
            "id": action.get("id", ""),
            "verb": verb,
            "data": {**action["data"], **inputs},
        }
        activity |= {
            "name": "adaptiveCard/action",
            "replyToId": screen["message"],
            "value": {"action": value, "trigger": "manual"},
        }
        answer = await self._teams.deliver(activity)
        return _said(answer.body) if answer.status == 200 else f"{answer.status}"


def _told(result: Result) -> str:
    if result.card is not None:
        return _on_top(result.card)
    return result.said if result.kind in ("error", "message", "wrong") else ""


def _said(body: Json) -> str:
    """The answer to an invoke, as who clicked reads it."""
    value = body["value"]
    if body["type"].endswith("error"):
        return str(value["message"])
    return value if isinstance(value, str) else _on_top(value)


def _on_top(card: Json) -> str:
    """A word to who clicked: what stands above the heading of a card, or why they may not decide."""
    first, *others = texts_of(card)
    return first if first not in _HEADINGS else "\n".join(text for text in others if "may decide on this" in text)
