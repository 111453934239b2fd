"""The door to Redis: commands, scripts, and errors in our own words. Only this and connections.py import its driver.

Nothing is retried here. A write whose answer was lost may have happened, and only the caller knows what that means.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from holdpoint.errors import ConfigurationError, StoreUnavailable
from holdpoint.store.connections import Greeted, Readers, new_driver, new_pool, to_error
from holdpoint.store.line import Line
from holdpoint.store.shared import Shared
from holdpoint.store.wire import Answered, Argument

_LUA = Path(__file__).parent / "lua"
_COMMAND_TIMEOUT_S = 2.0
_LARGE_BYTES = 64 * 1024  # a command that would keep others waiting that share its connection


class Client:
    """Commands in, the server's raw answers out (``bytes``, ``int``, lists); every failure is a `StoreUnavailable`."""

    def __init__(self, url: str) -> None:
        """Connects lazily.

        Raises:
            ConfigurationError: the URL is no Redis URL.
        """
        try:
            self._redis = new_driver(url, timeout=_COMMAND_TIMEOUT_S)
            self._sharing = Greeted(new_pool(url, timeout=None))
            self._shared = Shared(self._sharing.connect, error=to_error, patience_s=_COMMAND_TIMEOUT_S)
            # Blocking reads have lines of their own: their answers may take as long as they block.
            self._readers = Readers(new_pool(url, timeout=None))
            self._greeted = Greeted(new_pool(url, timeout=None))
            self._line = Line(self._greeted.connect, error=to_error, patience_s=_COMMAND_TIMEOUT_S)
        except (ValueError, TypeError, RedisError):  # the driver's ways to refuse a URL, and an option behind it
            raise ConfigurationError(
                "HOLDPOINT_REDIS_URL: not a redis://, rediss:// or unix:// URL, or one with an unknown option"
            ) from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        self._line.close()
        await self._greeted.aclose()
        self._shared.close()
        await self._sharing.aclose()
        await self._readers.aclose()

    async def command(self, *arguments: Argument) -> Any:
        """One plain command."""
        async with _translated():
            return await self._redis.execute_command(*arguments)  # type: ignore[no-untyped-call]  # the driver's

    async def blocking(self, *arguments: Argument, seconds: float) -> Any:
        """One command that may block for up to ``seconds`` on the server."""
        async with _translated(), asyncio.timeout(seconds + _COMMAND_TIMEOUT_S):
            return await self._readers.execute(*arguments)

    async def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several plain commands in one round trip; not atomic."""
        async with _translated():
            pipe = self._redis.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            results: list[Any] = await pipe.execute()
            return results

    async def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a Lua script, loading it when the server does not know it."""
        async with _translated():
            return await _evaluate(self._redis.execute_command, script, keys, arguments)

    async def transact(self, commands: bytes, *, answers: int) -> None:
        """``MULTI`` to ``EXEC``, packed, to which Redis has so many ``answers``: all is done, or nothing.

        Over one connection kept for this: one transaction after the other, at a fraction of the driver's cost.
        """
        # Somebody else's turn, or a connection to be made: what the line has no time limit for, and the driver's work.
        async with _translated(), asyncio.timeout(_COMMAND_TIMEOUT_S):
            error = _not_done(await self._line.execute_packed(commands, answers=answers))
            if error is not None:
                raise error

    def send_transaction(self, commands: bytes, answered: Answered, *, answers: int) -> bool:
        """`transact` without waiting, when nobody else uses that connection. False: nothing was sent.

        ``answered`` is called once, later, with a `StoreUnavailable`, or what else EXEC said. It must not raise.
        """

        def told(found: Any) -> None:
            error = _not_done(found)
            answered(found if error is None else _unavailable(error))

        return self._line.send(commands, told, answers=answers)

    async def shared_command(self, *arguments: Argument) -> Any:
        """As `command`, over one connection that many share, at a fraction of the driver's cost.

        For what is asked often and is small on both sides. Cancelled, it may still be carried out.
        """
        return await self._of_shared(self._shared.execute(*arguments))

    async def shared_script(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """As `script`, over that connection; what is too large for it goes over one of the driver's."""
        if sum(len(each) for each in arguments if not isinstance(each, int)) > _LARGE_BYTES:
            return await self.script(script, keys, arguments)
        return await self._of_shared(_evaluate(self._shared.execute, script, keys, arguments))

    async def _of_shared(self, answer: Awaitable[Any]) -> Any:
        if not self._shared.is_connected:  # the driver connects
            async with _translated():
                return await answer
        try:
            return await answer
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


class Script:
    """One verb: ``lua/<name>.lua`` behind ``lua/_common.lua`` and what else it shares with others."""

    def __init__(self, name: str, *shared: str) -> None:
        self.source = "".join((_LUA / f"{part}.lua").read_text() for part in ("_common", *shared, name))
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


def as_dict(answer: Sequence[bytes]) -> dict[bytes, bytes]:
    """A flat list of names and values (HGETALL, stream fields, XINFO) as a mapping."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def is_existing_group(error: StoreUnavailable) -> bool:
    """Whether the server said that a consumer group is there already."""
    return isinstance(error.__cause__, ResponseError) and str(error.__cause__).startswith("BUSYGROUP")


def is_missing_group(error: StoreUnavailable) -> bool:
    """Whether the server said that a stream or its consumer group does not exist."""
    return isinstance(error.__cause__, ResponseError) and str(error.__cause__).startswith("NOGROUP")


def is_refusal(error: StoreUnavailable) -> bool:
    """Whether the server itself said no, as one does that is full or a replica: then nothing was done."""
    return isinstance(error.__cause__, ResponseError)


def _not_done(found: Any) -> Exception | None:
    """What went wrong with a transaction, by the answer to its EXEC: an error, or a list that should have none."""
    if isinstance(found, list):
        return next((each for each in found if isinstance(each, Exception)), None)
    return found if isinstance(found, Exception) else ResponseError("EXEC did nothing")


async def _evaluate(
    execute: Callable[..., Awaitable[Any]], script: Script, keys: Sequence[str], arguments: Sequence[Argument]
) -> Any:
    try:
        return await execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await execute("EVAL", script.source, len(keys), *keys, *arguments)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    failure: Exception | None = None
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        failure = error
    # The driver sends with asyncio.wait_for. In Python 3.11 that swallows a cancellation which comes as the sending
    # ends, and returns or raises what the sending did.
    if task and task.cancelling() > cancelled_before:
        raise asyncio.CancelledError from failure
    if failure is not None:
        raise _unavailable(failure) from failure


def _unavailable(error: Exception) -> StoreUnavailable:
    """The driver's message may quote a command; its kind says enough."""
    return StoreUnavailable(f"Redis: {type(error).__name__}")
