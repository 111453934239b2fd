"""The web inbox as a surface: a browser without script, one session for each person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape

import aiohttp

from holdpoint.model import Hold
from tests.scenarios.surface import REQUESTER
from tests.support.waiting import wait_until

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_FORM = re.compile(r"<form.*?</form>", re.DOTALL)
_NOTICE = re.compile(r'<p class="notice (?:bad|warn)" role="alert" id="notice">(.*?)</p>', re.DOTALL)
_OFFERS = {
    "approve": 'id="approve"',
    "reject": 'id="reject-send"',
    "edit": 'id="edit-form"',
    "ask": 'value="ask"',
    "claim": 'value="claim"',
}


class WebSurface:
    name = "web"
    channel = "web"

    def __init__(self, keys: Mapping[str, str]) -> None:
        """``keys`` by first name."""
        self.url = ""
        self._keys = keys
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def text(self, hold: Hold) -> str:
        return _text(await self._page(hold, "sam"))

    async def offers(self, hold: Hold, person: str) -> set[str]:
        page = await self._page(hold, person)
        return {word for word, mark in _OFFERS.items() if mark in page}

    async def remember(self, hold: Hold, person: str) -> str:
        return await self._page(hold, person)

    async def approve(self, hold: Hold, person: str, *, screen: object = None) -> str:
        return await self._decide(hold, person, "approve", _OFFERS["approve"], screen)

    async def reject(self, hold: Hold, person: str, reason: str, *, screen: object = None) -> str:
        return await self._decide(hold, person, "reject", _OFFERS["reject"], screen, reason=reason)

    async def edit(self, hold: Hold, person: str, text: str) -> str:
        page = await self._page(hold, person)
        form = next((f for f in _FORM.findall(page) if _OFFERS["edit"] in f), "")
        field = re.search(r'<textarea[^>]*name="([^"]+)"', form)
        named = {field[1]: text} if field else {}
        return await self._decide(hold, person, "approve", _OFFERS["edit"], page, **named)

    async def ask(self, hold: Hold, person: str, question: str) -> str:
        return await self._talk(hold, person, "ask", question=question)

    async def claim(self, hold: Hold, person: str) -> str:
        return await self._talk(hold, person, "claim")

    async def read(self, hold: Hold, person: str) -> str:
        await self._page(hold, person, "?whole")
        return ""

    # As a requester

    async def message(self, hold: Hold) -> str:
        return _text(await self._page(hold, REQUESTER, at="requests"))

    async def withdraw(self, hold: Hold) -> str:
        return await self._say(hold, "withdraw")

    async def justify(self, hold: Hold, text: str) -> str:
        return await self._say(hold, "justify", text=text)

    async def answer(self, hold: Hold, text: str) -> str:
        return await self._say(hold, "answer", text=text)

    async def _say(self, hold: Hold, word: str, **fields: str) -> str:
        page = await self._page(hold, REQUESTER, at="requests")
        return await self._post(REQUESTER, f"/requests/{hold.id}", page, f'value="{word}"', say=word, **fields)

    async def _decide(self, hold: Hold, person: str, decision: str, mark: str, screen: object, **fields: str) -> str:
        page = screen if isinstance(screen, str) else await self._page(hold, person)
        return await self._post(person, f"/review/{hold.id}", page, mark, decision=decision, **fields)

    async def _talk(self, hold: Hold, person: str, word: str, **fields: str) -> str:
        page = await self._page(hold, person)
        return await self._post(person, f"/review/{hold.id}/talk", page, f'value="{word}"', say=word, **fields)

    async def _post(self, person: str, path: str, page: str, mark: str, **fields: str) -> str:
        """Send the form of ``page`` with ``mark``; a page without it is sent by its other hidden fields, as a forger would."""
        forms = _FORM.findall(page)
        form = next((each for each in forms if mark in each), page)
        hidden = {name: unescape(value) for name, value in _HIDDEN.findall(form)}
        session = await self._session(person)
        async with session.post(f"{self.url}{path}", data={**hidden, **fields}) as answer:
            said = await answer.text()
        found = _NOTICE.search(said)
        return unescape(found[1]) if found else "" if answer.status == 200 else f"{answer.status}: {said[:200]}"

    async def _page(self, hold: Hold, person: str, query: str = "", *, at: str = "review") -> str:
        session = await self._session(person)
        async with session.get(f"{self.url}/{at}/{hold.id}{query}") as answer:
            return await answer.text()

    async def _session(self, person: str) -> aiohttp.ClientSession:
        if person not in self._sessions:
            session = self._sessions[person] = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

            async def signed_in() -> bool:
                async with session.post(f"{self.url}/sign-in", data={"key": self._keys[person]}) as answer:
                    return answer.status == 200 and "Sign in to review" not in await answer.text()

            await wait_until(signed_in, f"{person} is signed in")
        return self._sessions[person]


def _text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
