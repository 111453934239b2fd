"""Who sends what: eight kinds of clients, most of them badly behaved, on one seeded source of chance."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import aiohttp

from tests.gateway.raw import post, raw_client
from tests.gateway.transport.smuggling_corpus import KEY, REFUSED
from tests.soak.model import mark
from tests.support.programs import Program

PATH = "/demo/v1/chat/completions"
RISKY = "what is the password"  # held by the policy of `tests.support.programs`
FORBIDDEN = "BEGIN PRIVATE KEY"
_CLIENTS = 24
_MOST_PAUSE_S = 0.2  # between two requests of a client: others work on this machine, too
_ANSWER_WITHIN_S = 40.0
_TRIES = 12  # of a client that waits for a person, and comes back when its connection breaks
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, aiohttp.ClientError)
_MALFORMED = list(REFUSED.values())

Send = Callable[[int], Awaitable[str]]


def chat(text: str, *, stream: bool = False) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream}
    return json.dumps(body).encode()


class Traffic:
    """``ended`` counts, for each kind, how its requests ended: a status, ``broken``, ``left``, ``closed``.

    ``answered`` are the numbers of each kind that got a whole answer of the model.
    """

    def __init__(self, gateways: Sequence[Program], key: str, rng: random.Random) -> None:
        self._gateways = gateways
        self._key = key
        self._rng = rng
        self._numbers = itertools.count(1)
        self.ended: dict[str, Counter[str]] = defaultdict(Counter)
        self.answered: dict[str, set[int]] = defaultdict(set)
        self._kinds: dict[str, tuple[int, Send]] = {
            "clean": (40, self._clean),
            "held": (14, self._held),
            "rejected": (4, self._rejected),
            "left": (4, self._left),
            "blocked": (8, self._blocked),
            "slow": (4, self._slow),
            "halfbody": (8, self._half_body),
            "halfanswer": (6, self._half_answer),
            "malformed": (12, self._malformed),
        }

    async def run(self, seconds: float) -> None:
        """So many clients, each with one request after the other, for ``seconds`` and until the last has its answer."""
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(_CLIENTS):
                group.create_task(self._client(until))

    async def _client(self, until: float) -> None:
        weights = [weight for weight, _ in self._kinds.values()]
        while asyncio.get_running_loop().time() < until:
            (kind,) = self._rng.choices(list(self._kinds), weights)
            number = next(self._numbers)
            try:
                end = await self._kinds[kind][1](number)
            except _BROKEN:
                end = "broken"
            if end == "200":
                self.answered[kind].add(number)
            self.ended[kind][end] += 1
            await asyncio.sleep(self._rng.uniform(0, _MOST_PAUSE_S))

    def _gateway(self) -> Program:
        return self._rng.choice(self._gateways)

    async def _ask(self, body: bytes, **more: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **more}
        timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(f"{self._gateway().url}{PATH}", data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def _clean(self, number: int) -> str:
        text = mark("clean", number) + "the weather " * self._rng.choice([1, 100, 5_000])
        status, _ = await self._ask(chat(text, stream=self._rng.random() < 0.1))
        return str(status)

    async def _blocked(self, number: int) -> str:
        return str((await self._ask(chat(f"{mark('blocked', number)} {FORBIDDEN}")))[0])

    async def _held(self, number: int) -> str:
        return await self._waits_for_a_person("held", number)

    async def _rejected(self, number: int) -> str:
        return await self._waits_for_a_person("rejected", number)

    async def _waits_for_a_person(self, kind: str, number: int) -> str:
        """Comes back with the same key when the connection breaks; now and then it breaks it itself."""
        body = chat(f"{mark(kind, number)} {RISKY}", stream=self._rng.random() < 0.2)
        for _ in range(_TRIES):
            key = {"Idempotency-Key": f"{kind}-{number}"}
            patience = 0.3 if self._rng.random() < 0.15 else _ANSWER_WITHIN_S
            with suppress(*_BROKEN):
                async with asyncio.timeout(patience):
                    status, _ = await self._ask(body, **key)
                if status not in (502, 503):
                    return str(status)
            await asyncio.sleep(0.2)
        return "gave up"

    async def _left(self, number: int) -> str:
        """Asks for something that nobody will decide on, and goes for good."""
        body = chat(f"{mark('left', number)} {RISKY}")
        async with raw_client(self._gateway().port) as client:
            await client.send(post(PATH, self._key, body))
            with suppress(TimeoutError):
                await asyncio.wait_for(client.head(), 0.3)
            client.vanish()
        return "left"

    async def _slow(self, number: int) -> str:
        """Reads a long stream in small pieces."""
        body = chat(mark("slow", number), stream=True)
        async with raw_client(self._gateway().port) as client:
            await client.send(post(PATH, self._key, body, "Connection: close"))
            status, _ = await client.head()
            read = b""
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                while piece := await client.reader.read(2_048):
                    read = read[-64:] + piece
                    await asyncio.sleep(0.01)
        return str(status) if read.endswith(b"0\r\n\r\n") else "broken"

    async def _half_body(self, number: int) -> str:
        raw = post(PATH, self._key, chat(mark("halfbody", number)))
        async with raw_client(self._gateway().port) as client:
            await client.send(raw[: -self._rng.randrange(1, 40)])
            await asyncio.sleep(self._rng.uniform(0, 0.1))
            client.vanish()
        return "left"

    async def _half_answer(self, number: int) -> str:
        body = chat(mark("halfanswer", number), stream=True)
        async with raw_client(self._gateway().port) as client:
            await client.send(post(PATH, self._key, body))
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await client.head()
                await client.reader.read(1_000)
            client.vanish()
        return "left"

    async def _malformed(self, _number: int) -> str:
        raw = self._rng.choice(_MALFORMED).replace(KEY, self._key.encode())
        async with raw_client(self._gateway().port) as client:
            with suppress(ConnectionError):
                await client.send(raw)
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                said = await client.rest()
        return said[9:12].decode("latin-1") or "closed"
