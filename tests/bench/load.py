"""The load: one request over and over on so many connections, for so long. `wrk` when it is installed, else our own.

Both give a `Load`: how many answers, in how many seconds, the latencies' p50 and p99, and what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from tests.bench.children import Failed

_MARK = "BENCH-RESULT"
_WORDS = [
    f"{a}{b}{c}" for a in ("ka", "lo", "mi", "re", "sun") for b in ("ta", "ver", "no", "pil") for c in ("d", "se", "nt", "ra")
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """The request: a POST of ``body`` to ``http://127.0.0.1:port/path``."""

    port: int
    path: str
    key: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # besides the usual ones

    @property
    def raw(self) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"{more}Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        ).encode() + self.body


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. Times in seconds; ``errors`` counts answers that are not 2xx and connections that broke."""

    answers: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def good(self) -> int:
        """Answers as they should be: a target that only refuses is quick."""
        return max(0, self.answers - self.errors)

    @property
    def per_second(self) -> float:
        return self.good / self.seconds


class Generator(Protocol):
    """Who makes the load. ``requests`` ends a run early where the generator can count."""

    name: str

    async def run(self, call: Call, *, connections: int, seconds: int, requests: int | None) -> Load: ...


def chat_body(*, characters: int = 2_000, stream: bool = False, word: str = "", model: str = "bench") -> bytes:
    """A chat request of about 2 KB that no rule matches; ``word`` goes into the prompt."""
    rng = random.Random(3)
    text = f"{word} "
    while len(text) < characters - 200:
        text += " ".join(rng.choices(_WORDS, k=12)) + ". "
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}]
    return json.dumps({"model": model, "messages": messages, "temperature": 0.2, "stream": stream}).encode()


def choose(folder: Path, *, own: bool) -> Generator:
    """`Wrk` when it is installed, unless ``own`` asks for ours."""
    program = None if own else shutil.which("wrk")
    return PythonLoad() if program is None else Wrk(program, folder)


class Wrk:
    """``wrk`` on one thread."""

    name = "wrk"

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._script = folder / "wrk.lua"

    async def run(self, call: Call, *, connections: int, seconds: int, requests: int | None) -> Load:
        """Run for ``seconds``.

        Raises:
            Failed: wrk does.
        """
        self._script.write_text(_lua(call))
        process = await asyncio.create_subprocess_exec(
            self._program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency",
            "-s", str(self._script), f"http://127.0.0.1:{call.port}{call.path}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        line = next((each for each in said.decode().splitlines() if each.startswith(_MARK)), "")
        if not line:
            raise Failed(f"wrk: {said.decode()[-500:]}")
        answers, micros, p50, p99, errors = (float(each) for each in line.split()[1:])
        return Load(int(answers), micros / 1e6, p50 / 1e6, p99 / 1e6, int(errors))


def _lua(call: Call) -> str:
    more = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in call.headers)
    return f"""
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {call.key}"
wrk.headers["Content-Type"] = "application/json"
{more}
wrk.body = [==[{call.body.decode()}]==]
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\\n{_MARK} %d %d %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class PythonLoad:
    """Our own: asyncio protocols in this process, each with one request on its way."""

    name = "own asyncio generator"

    async def run(self, call: Call, *, connections: int, seconds: int, requests: int | None) -> Load:
        """Run for ``seconds``, or until ``requests`` have been answered."""
        loop = asyncio.get_running_loop()
        tally = _Tally(until=time.perf_counter() + seconds, most=requests)
        clients = [
            (await loop.create_connection(lambda: _Client(call.raw, tally), "127.0.0.1", call.port))[1]
            for _ in range(connections)
        ]
        started = time.perf_counter()
        for client in clients:
            client.begin()
        try:
            async with asyncio.timeout(seconds + 15):
                await asyncio.gather(*(client.over for client in clients))
        except TimeoutError:
            tally.errors += sum(not client.over.done() for client in clients)
        taken = time.perf_counter() - started
        for client in clients:
            client.close()
        times = sorted(tally.times) or [float("nan")]
        return Load(len(tally.times), taken, statistics.median(times), times[int(len(times) * 0.99)], tally.errors)


class _Tally:
    """What all clients of a run share."""

    def __init__(self, *, until: float, most: int | None) -> None:
        self._until = until
        self._left = most
        self.times: list[float] = []
        self.errors = 0

    def another(self) -> bool:
        """Whether one more request is to be sent."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                return False
        return time.perf_counter() < self._until


class _Client(asyncio.Protocol):
    """One connection. ``over`` is done when it sends nothing more."""

    def __init__(self, raw: bytes, tally: _Tally) -> None:
        self._raw = raw
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self) -> None:
        """Send the next request, or stop."""
        assert self._transport is not None
        if self._tally.another():
            self._sent = time.perf_counter()
            self._transport.write(self._raw)
        elif not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if is_whole(self._buffer):
            self._tally.times.append(time.perf_counter() - self._sent)
            self._tally.errors += not self._buffer.startswith(b"HTTP/1.1 2")
            self._buffer = b""
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self._tally.errors += 1
            self.over.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def is_whole(answer: bytes) -> bool:
    """Whether ``answer`` is one whole HTTP response, by Content-Length or by chunks."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        return answer.endswith(b"0\r\n\r\n")
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return not found or len(answer) >= end + 4 + int(rest.split(b"\r\n")[0])
