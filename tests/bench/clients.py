"""Client sockets that have sent one request each and wait for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tests.bench.load import Call, chat_body, is_whole

_AT_ONCE = 100  # clients that connect at the same time
_PATIENCE_S = 120.0


class Clients:
    """Sockets that have sent one request each and wait."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._all: list[_Waiting] = []
        self._answered = 0
        self._wanted = 0
        self._enough = asyncio.Event()
        self.failed = 0

    async def open(self, numbers: range, word: Callable[[int], str]) -> None:
        """One connection for each number, with one request whose prompt has ``word(number)``; returns when all are sent."""
        left = iter(numbers)
        loop = asyncio.get_running_loop()

        async def opener() -> None:
            for number in left:
                body = chat_body(word=word(number))
                call = Call(self._port, "/bench/v1/chat/completions", self._key, body)
                _, client = await loop.create_connection(lambda: _Waiting(self._over), "127.0.0.1", self._port)
                self._all.append(client)
                client.send(call.raw)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(opener())

    async def answered(self, wanted: int) -> None:
        """Until ``wanted`` clients have had an answer, or lost their connection."""
        self._wanted = wanted
        if self._answered < wanted:
            self._enough.clear()
            async with asyncio.timeout(_PATIENCE_S):
                await self._enough.wait()

    def close(self) -> None:
        for client in self._all:
            client.close()

    def _over(self, answer: bytes) -> None:
        self._answered += 1
        if self._answered >= self._wanted:
            self._enough.set()
        self.failed += not answer.startswith(b"HTTP/1.1 200")


class _Waiting(asyncio.Protocol):
    """One client. ``over`` gets the answer once, or nothing when the connection is lost."""

    def __init__(self, over: Callable[[bytes], None]) -> None:
        self._over: Callable[[bytes], None] | None = over
        self._transport: asyncio.Transport | None = None
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, raw: bytes) -> None:
        assert self._transport is not None
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if is_whole(self._answer):
            self._end(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(b"")

    def close(self) -> None:
        self._over = None
        if self._transport is not None:
            self._transport.close()

    def _end(self, answer: bytes) -> None:
        over, self._over = self._over, None
        if over is not None:
            over(answer)
