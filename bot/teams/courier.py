"""One call to the Bot Connector, to its end: queued, paced, signed, repeated where that is right, and answered.

A call has `BUDGET_S` for everything. The budget is shorter than the time after which another bot believes a post to be
lost (`bot.copies.SETTLED_AFTER_MS`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.locks import Locks
from bot.teams.credentials import Credentials
from bot.teams.pace import Family, Pace, Rank, unavailable
from bot.teams.replies import DEFAULT_RETRY_AFTER_S, REPEATED, UNTOUCHED, exhausted, meaning, retry_after
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable
from holdpoint.tokens.bodies import read_object

BUDGET_S = 12.0
ATTEMPT_S = 10.0
LEAST_S = 0.5  # an attempt with less time than that is not begun
CONNECT_S = 3.0
FIRST_PAUSE_S = 0.4
GIVEN_UP_S = 2.0  # after a failure so long nothing more is tried in its lane, so that a queue does not wait for each
MOST_BYTES = 1024 * 1024
PATIENCE_S = {Rank.FIRST: 4.0, Rank.CARD: 1.5, Rank.LAST: 0.0}  # how long a call may wait for its turn in the pace
SECOND_S = 1.0  # of Teams' time, in seconds of this process: where a test has a clock that runs faster


@dataclass(frozen=True, slots=True)
class Errand:
    """One call. ``lane`` is what is rationed: a conversation. ``personal``: of a chat with one person.

    ``repeatable``: to make it twice is to make it once.
    """

    method: str
    url: str
    body: Mapping[str, Any] | None
    family: Family
    lane: str
    tenant: str
    rank: Rank
    personal: bool
    repeatable: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    said: Mapping[str, Any]
    retry_after_s: float | None


class _Broken(Exception):
    """No answer. ``taken``: Teams may have carried the call out all the same."""

    def __init__(self, why: str, *, taken: bool) -> None:
        super().__init__(why)
        self.taken = taken


@dataclass
class _Progress:
    """How far one errand is. ``taken``: an attempt may have had its effect. Times are the event loop's."""

    deadline: float
    attempts: int = 0
    taken: bool = False
    renewed: bool = False

    @property
    def left_s(self) -> float:
        return self.deadline - asyncio.get_running_loop().time()

    def pause_s(self) -> float:
        """The next pause: twice as long each time, and never quite the same."""
        self.attempts += 1
        return FIRST_PAUSE_S * 2.0 ** (self.attempts - 1) * random.uniform(0.5, 1.0)


class Courier:
    """Open with `start`, close with `aclose`."""

    def __init__(self, credentials: Credentials, *, clock: Clock) -> None:
        self._credentials = credentials
        self._pace = Pace(clock)
        self._lanes = Locks()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool that all calls share."""
        timeout = aiohttp.ClientTimeout(total=ATTEMPT_S, sock_connect=CONNECT_S)
        # Cookies would tie calls of one tenant to those of another.
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run(self, errand: Errand) -> Mapping[str, Any]:
        """The JSON object that Teams answers, empty where it answers nothing. Raises as `Connector` says."""
        loop = asyncio.get_running_loop()
        progress = _Progress(loop.time() + BUDGET_S)
        patient_until = loop.time() + PATIENCE_S[errand.rank] * SECOND_S
        while True:
            await self._turn(errand, min(patient_until, progress.deadline))
            if errand.family is Family.READ:
                return await self._delivered(errand, progress)
            # Not while waiting for a turn: what somebody waits for may go first.
            async with AsyncExitStack() as stack:
                await self._enter(stack, errand, progress)
                if not self._wait_ms(errand):
                    return await self._delivered(errand, progress)

    async def _turn(self, errand: Errand, until: float) -> None:
        """Wait for a moment at which Teams would take the call, or say when that is."""
        while wait_ms := self._wait_ms(errand):
            pause_s = wait_ms / 1000 * SECOND_S
            if asyncio.get_running_loop().time() + pause_s > until:
                raise unavailable(errand.family, wait_ms)
            await asyncio.sleep(pause_s)

    def _wait_ms(self, errand: Errand) -> int:
        return self._pace.wait_ms(errand.family, errand.lane, errand.tenant, errand.rank)

    async def _enter(self, stack: AsyncExitStack, errand: Errand, progress: _Progress) -> None:
        """Be the only one who writes in this lane. Two writes at once to a conversation are answered with 412."""
        try:
            async with asyncio.timeout_at(progress.deadline - LEAST_S):
                await stack.enter_async_context(self._lanes.of(errand.lane))
        except TimeoutError:
            raise unavailable(errand.family, int(GIVEN_UP_S * 1000)) from None

    async def _delivered(self, errand: Errand, progress: _Progress) -> Mapping[str, Any]:
        try:
            return await self._attempts(errand, progress)
        except ChannelUnavailable as error:
            if progress.taken and error.retry_after_seconds is not None:
                raise type(error)(str(error)) from error  # it promises that nothing happened
            raise

    async def _attempts(self, errand: Errand, progress: _Progress) -> Mapping[str, Any]:
        while True:
            token = await self._credentials.token()
            if progress.left_s < LEAST_S:
                raise unavailable(errand.family, int(GIVEN_UP_S * 1000))
            try:
                answer = await self._once(errand, token, progress.left_s)
            except _Broken as error:
                progress.taken |= error.taken and errand.method != "GET"
                lost = ChannelUnavailable(f"Teams cannot be reached: {error}", retry_after_seconds=GIVEN_UP_S)
                if error.taken and not errand.repeatable:
                    self._pace.limited(errand.family, errand.lane, GIVEN_UP_S)
                    raise lost from error
                await self._pause(errand, progress, lost)
                continue
            if 200 <= answer.status < 300:
                return answer.said
            if answer.status == 401 and not progress.renewed and self._credentials.drop(token):
                progress.renewed = True
            elif answer.status in REPEATED:
                progress.taken |= answer.status not in UNTOUCHED and errand.method != "GET"
                await self._again(errand, answer, progress)
            else:
                raise meaning(answer.status, answer.said, personal=errand.personal)

    async def _again(self, errand: Errand, answer: _Answer, progress: _Progress) -> None:
        """Wait before the same call is made again, or raise where there is no time for that."""
        safe = not progress.taken
        if answer.status != 429:
            error = exhausted(answer.status, answer.said, is_safe=safe, seconds=GIVEN_UP_S)
            await self._pause(errand, progress, error)
            return
        seconds = answer.retry_after_s if answer.retry_after_s is not None else DEFAULT_RETRY_AFTER_S
        limited = self._pace.limited(errand.family, errand.lane, seconds)
        if seconds > PATIENCE_S[errand.rank] or seconds * SECOND_S + LEAST_S > progress.left_s:
            raise limited
        await asyncio.sleep(seconds * SECOND_S * random.uniform(1.0, 1.2))

    async def _pause(self, errand: Errand, progress: _Progress, error: ChannelUnavailable) -> None:
        pause_s = progress.pause_s()
        if pause_s + LEAST_S > progress.left_s:
            self._pace.limited(errand.family, errand.lane, GIVEN_UP_S)
            raise error
        await asyncio.sleep(pause_s)

    async def _once(self, errand: Errand, token: str, left_s: float) -> _Answer:
        if self._session is None:
            raise ChannelUnavailable("the connection to Teams is closed")
        self._pace.begun(errand.family, errand.lane, errand.tenant)
        timeout = aiohttp.ClientTimeout(total=min(ATTEMPT_S, left_s), sock_connect=CONNECT_S)
        try:
            async with self._session.request(
                errand.method, errand.url, data=None if errand.body is None else json.dumps(errand.body).encode(),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                allow_redirects=False, timeout=timeout,
            ) as answer:  # fmt: skip
                said = await read_object(answer, most_bytes=MOST_BYTES)
                return _Answer(answer.status, said, retry_after(answer.headers))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Broken(type(error).__name__, taken=False) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _Broken(type(error).__name__, taken=True) from error
        finally:
            if errand.family is Family.WRITE:
                self._pace.over(errand.lane)
