"""The children of `up`, `demo` and `gateway --workers`: started, restarted when they die, stopped in order.

::

    supervisor = Supervisor([[Child("gateway", environment)], [Child("bot", environment)]], stop_within_s=15)
    code = await supervisor.run(meanwhile)      # until SIGINT, SIGTERM or SIGHUP, or until a child gives up

A child dies with its parent, however that ends: its standard input is a pipe from here, and it stops when that closes.
Children have sessions of their own, so that Ctrl-C reaches only the supervisor, which stops them in order: gateways
first, all at the same time, so that answers that run can still be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdpoint.errors import HoldpointError
from holdpoint.tasks import Tasks

_log = logging.getLogger(__name__)

_DEATHS = 5
_WITHIN_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_CONFIGURATION = 2


@dataclass(frozen=True, slots=True)
class Child:
    """One process of this program: its command, its own environment, more arguments, and what it inherits."""

    command: str
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    inherits: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return " ".join((self.command, *self.arguments))


class Supervisor:
    """Runs ``groups`` of children. The groups are stopped one after the other; those of one group at the same time."""

    def __init__(self, groups: Sequence[Sequence[Child]], *, stop_within_s: float) -> None:
        self._groups = groups
        self._stop_within_s = stop_within_s
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._code = 0
        self._error: BaseException | None = None

    async def run(self, meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None) -> int:
        """Run everything until told to stop; the exit code. ``meanwhile`` runs beside the children.

        Raises:
            HoldpointError: what ``meanwhile`` ended with.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)
        tasks = Tasks(on_death=self._died)
        for child in (child for group in self._groups for child in group):
            tasks.start(f"keep {child.name}", self._keep(child))
        if meanwhile is not None:
            tasks.start("meanwhile", _until_refused(meanwhile, self._failed))
        try:
            await self._stopping.wait()
        finally:
            await self._stop_children()
            await tasks.aclose()
        if self._error is not None:
            raise self._error
        return self._code

    async def _keep(self, child: Child) -> None:
        """One child, started again when it dies, until it dies too often or says that its settings are wrong."""
        deaths: deque[float] = deque(maxlen=_DEATHS)
        while not self._stopping.is_set():
            process = await _start(child)
            self._processes[child.name] = process
            code = await process.wait()
            if self._stopping.is_set():
                return
            if code == _CONFIGURATION:  # it said why, and would say it again
                self._give_up(code)
                return
            deaths.append(time.monotonic())
            if len(deaths) == _DEATHS and deaths[-1] - deaths[0] < _WITHIN_S:
                _log.error("a process dies again and again: giving up", extra={"child": child.name, "exit_code": code})
                self._give_up(1)
                return
            pause = min(_FIRST_PAUSE_S * 2 ** (len(deaths) - 1), _LONGEST_PAUSE_S)
            _log.error("a process died and is started again", extra={"child": child.name, "exit_code": code})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _stop_children(self) -> None:
        for group in self._groups:
            await asyncio.gather(*(self._stop_child(child.name) for child in group))

    async def _stop_child(self, name: str) -> None:
        process = self._processes.get(name)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._stop_within_s)
        except TimeoutError:
            _log.warning("a process did not stop in time and was killed", extra={"child": name})
            process.kill()
            await process.wait()

    def _signalled(self) -> None:
        if self._stopping.is_set():  # the second Ctrl-C: do not wait for running answers
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()
        self._stopping.set()

    def _give_up(self, code: int) -> None:
        self._code = code
        self._stopping.set()

    def _failed(self, error: HoldpointError) -> None:
        self._error = error
        self._stopping.set()

    def _died(self, name: str, error: BaseException) -> None:  # noqa: ARG002 - the callback's signature; it is logged
        self._give_up(1)


async def _start(child: Child) -> asyncio.subprocess.Process:
    source = str(Path(__file__).parent.parent.parent)  # also when Holdpoint runs from a checkout that is not installed
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "holdpoint.cli",
        child.command,
        "--supervised",
        *child.arguments,
        env={**os.environ, "PYTHONPATH": source, **child.environment},
        pass_fds=child.inherits,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def _until_refused(
    work: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[HoldpointError], None]
) -> None:
    try:
        await work()
    except HoldpointError as error:
        failed(error)
