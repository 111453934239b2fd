"""Reviewers who decide through the real review API: what is asked of them says in its mark how they will."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp

from tests.soak.model import MARK
from tests.support.programs import Installation

_DECISIONS = {"held": "approve", "rejected": "reject"}  # on anything else nobody decides


class People:
    """Sam and Kim. ``decided`` counts (decision, status)."""

    def __init__(self, installation: Installation, rng: random.Random) -> None:
        self._installation = installation
        self._rng = rng
        self.decided: Counter[tuple[str, int]] = Counter()

    async def run(self) -> None:
        """Look, decide, look again; until cancelled."""
        async with aiohttp.ClientSession() as http:
            while True:
                for hold in await self._pending(http):
                    found = MARK.search(" ".join(part["text"] for part in hold["parts"]).encode())
                    decision = _DECISIONS.get(found[1].decode()) if found is not None else None
                    if decision is not None:
                        await self._decide(http, hold, decision)
                await asyncio.sleep(0.05)

    async def _pending(self, http: aiohttp.ClientSession) -> list[dict[str, Any]]:
        url = f"{self._installation.bot.url}/api/v1/holds?state=pending&limit=200"
        async with http.get(url, headers=self._headers("sam")) as answer:
            if answer.status == 503:  # Redis was slow to answer: look again
                self.decided["look", 503] += 1
                return []
            answer.raise_for_status()
            return list((await answer.json())["holds"])

    async def _decide(self, http: aiohttp.ClientSession, hold: dict[str, Any], decision: str) -> None:
        """Now and then both at once, or twice: only one can win."""
        people = ["sam", "kim"] if self._rng.random() < 0.2 else [self._rng.choice(["sam", "kim"])]
        url = f"{self._installation.bot.url}/api/v1/holds/{hold['id']}/decisions"
        body = {"decision": decision, "digest": hold["digest"], "reason": "as its mark says"}

        async def click(name: str) -> None:
            async with http.post(url, json=body, headers=self._headers(name)) as answer:
                self.decided[decision, answer.status] += 1

        await asyncio.gather(*(click(name) for name in people))

    def _headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._installation.keys[name]}"}
