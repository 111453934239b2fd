"""Between a process under test and a real Redis: holds up what the test waits for, and loses it or its answer."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import redis

from holdpoint.store.client import Script


class Relay:
    """``url`` is what the process under test connects to."""

    def __init__(self, redis_url: str, folder: str) -> None:
        self._redis_url = redis_url
        self._redis = redis_url.removeprefix("unix://")
        self.url = f"unix://{folder}/relay.sock"
        self.refuses = False  # new connections
        self.arrived = asyncio.Event()  # what is to be held up is here
        self._serving: set[asyncio.Task[None]] = set()
        self._held_up = b""
        self._fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hold_up(self, *script: str) -> None:
        """Keep the next call of ``script`` (as `Script` takes it) here, with what comes over its connection after it."""
        with redis.Redis.from_url(self._redis_url) as client:
            self._keep(client.script_load(Script(*script).source).encode())

    def hold_up_command(self, name: str) -> None:
        """The same of the next command of this name."""
        self._keep(name.encode())

    def _keep(self, what: bytes) -> None:
        self._held_up = what
        self._fate = asyncio.get_running_loop().create_future()
        self.arrived.clear()

    def let_go(self) -> None:
        """It reaches Redis, and the answer comes back."""
        self._fate.set_result("go")

    def lose(self) -> None:
        """It never reaches Redis: the connection breaks."""
        self._fate.set_result("lost")

    def lose_answer(self) -> None:
        """It reaches Redis, and the connection breaks before the answer comes back."""
        self._fate.set_result("unanswered")

    async def aclose(self) -> None:
        """Once the process under test has closed its connections."""
        while self._serving:
            await asyncio.wait(self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        if self.refuses:
            writer.close()
            return
        answers, commands = await asyncio.open_unix_connection(self._redis)
        back = asyncio.ensure_future(_pass_on(answers, writer))
        with suppress(OSError):
            await self._pass_on_commands(reader, commands, answers, back)
        back.cancel()
        for each in (commands, writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async def _pass_on_commands(
        self,
        reader: asyncio.StreamReader,
        commands: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        back: asyncio.Future[None],
    ) -> None:
        while data := await reader.read(65536):
            if self._held_up and self._held_up in data:
                self._held_up = b""
                self.arrived.set()
                fate = await self._fate
                if fate == "lost":
                    return
                if fate == "unanswered":
                    back.cancel()
                    with suppress(asyncio.CancelledError):
                        await back  # it reads no more
                    commands.write(data)
                    await answers.read(1)  # it is carried out
                    return
            commands.write(data)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def relayed(redis_url: str) -> AsyncIterator[Relay]:
    """A relay in front of the Redis at ``redis_url`` (a Unix socket)."""
    with tempfile.TemporaryDirectory(prefix="hp-relay-") as folder:
        relay = Relay(redis_url, folder)
        server = await asyncio.start_unix_server(relay.serve, Path(folder) / "relay.sock")
        try:
            yield relay
        finally:
            server.close()
            await relay.aclose()
