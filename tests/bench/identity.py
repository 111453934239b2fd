"""What it costs to know who asks: by a key, by a key with bounds, by a token. One gateway, one policy, rounds in turn.

The gateway cannot be run without that check. So its share is measured from two sides, on the same core: the CPU time of a
whole request in the gateway's process, and that of the check alone (`gateway.identify`, `gateway.key_scope`) in this one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from gateway.exchange import Exchange
from gateway.identify import Identifier
from gateway.key_scope import check_address, check_connection
from gateway.transport import Reply
from gateway.transport.client_connection import ClientConnection
from gateway.transport.request import HttpRequest
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.live import Live
from holdpoint.model import KeyRecord
from holdpoint.snapshot import Snapshot
from holdpoint.store import Store
from holdpoint.tokens.providers import Providers
from tests.bench.holdpoint_parts import backend, policy, program
from tests.bench.judge import Sample
from tests.bench.load import Call, Generator, chat_body
from tests.bench.machine import Cores, cpu_seconds, pin
from tests.bench.plan import Plan
from tests.bench.report import Section, Verdict, count
from tests.bench.targets import running_upstream
from tests.holdpoint.tokens.issuing import Provider, running_provider

KNOWN_S = 10e-6  # verification costs microseconds
_RULES = 50
_CONNECTION = "bench"
_AN_HOUR_S = 3_600
_ISSUERS = "\nissuers:\n  - {{issuer: {url!r}, audience: holdpoint, groups: groups}}\n"
_KEY, _BOUNDED, _TOKEN = "a key", "a key for one connection, from one network", "a token, RS256 with 2048 bits"


@dataclass(slots=True)
class _Caller:
    """Who asks, and what was measured of them; ``known`` and ``first`` in seconds of CPU for one request."""

    name: str
    credential: str
    samples: list[Sample] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    @property
    def request(self) -> float:
        """CPU time of the gateway for one request, in seconds."""
        return statistics.median(each.cpu / max(1, each.load.answers) for each in self.samples)

    def exchange(self) -> Exchange:
        connection = cast("ClientConnection", SimpleNamespace(peer="127.0.0.1", transport=None))
        fields: dict[str, str | list[str]] = {"authorization": f"Bearer {self.credential}"}
        request = HttpRequest(connection, "POST", "/", fields, version="1.1", keep_alive=True)
        return Exchange(request, cast("Reply", None), "r")


@dataclass(frozen=True, slots=True)
class _Check:
    """The gateway's own check in this process, with what the gateway's process knows, too."""

    providers: Providers
    snapshot: Snapshot

    async def prepare(self, callers: Sequence[_Caller]) -> None:
        """Have the keys of the provider fetched: the network's time is not what is measured."""
        for caller in callers:
            if caller.name == _TOKEN:
                await Identifier(self.providers).ask_issuer(caller.exchange().request, self.snapshot, now_ms())

    def known(self, caller: _Caller, times: int) -> float:
        """Of one who was there before."""
        identifier, exchange = Identifier(self.providers), caller.exchange()
        self._look(identifier, exchange)
        started = time.thread_time()
        for _ in range(times):
            self._look(identifier, exchange)
        return (time.thread_time() - started) / times

    def first(self, caller: _Caller, times: int) -> float:
        """Of one who was not; a token's signature is verified by a key that was fetched before."""
        identifiers, exchange = [Identifier(self.providers) for _ in range(times)], caller.exchange()
        started = time.thread_time()
        for each in identifiers:
            self._look(each, exchange)
        return (time.thread_time() - started) / times

    def _look(self, identifier: Identifier, exchange: Exchange) -> None:
        identifier.identify(exchange, self.snapshot, now_ms())
        check_address(exchange, self.snapshot)
        check_connection(exchange, self.snapshot, _CONNECTION)


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """One table: a row for each way to say who asks, and one for a request without any."""
    clients = 32 if 32 in plan.connections else max(plan.connections)
    async with _running(cores) as (port, pid, tidy, check, callers):
        calls = {each.name: Call(port, f"/{_CONNECTION}/v1/chat/completions", each.credential, chat_body()) for each in callers}  # fmt: skip
        for call in calls.values():
            await generator.run(call, connections=clients, seconds=1, requests=plan.warm_up)
        for number in range(plan.rounds):
            for index in range(len(callers)):
                caller = callers[(index + number) % len(callers)]  # whoever comes first is another one each time
                before = cpu_seconds(pid)
                load = await generator.run(
                    calls[caller.name], connections=clients, seconds=plan.seconds, requests=plan.requests
                )
                caller.samples.append(Sample(load, cpu_seconds(pid) - before))
                tidy()
                _alone(check, caller, plan, cores)
    known = statistics.median(_named(callers, _TOKEN).known)
    return [Section(
        f"Who asks: 2 KB chat body, {_RULES} rules, fsync everysec, {clients} connections",
        ("who asks by", "req/s", "CPU of each", "of it to know who", "share", "the first time", "errors"),
        _rows(callers),
        verdicts=[Verdict(
            f"a token that was there before is known within {KNOWN_S * 1e6:.0f} µs", f"{known * 1e6:.1f} µs",
            known < KNOWN_S, f"{(known / KNOWN_S - 1) * 100:+.0f} %",
        )],
        notes=["the gateway cannot run without knowing who asks: the last row is the first one less its share",
               "the first time of a token is that of its signature; its provider's keys have been fetched"],
    )]  # fmt: skip


def _alone(check: _Check, caller: _Caller, plan: Plan, cores: Cores) -> None:
    """The check by itself, on the core that the gateway has otherwise."""
    times = 20_000 if plan.requests is None else 100
    pin(0, cores.target)
    try:
        caller.known.append(check.known(caller, times))
        caller.first.append(check.first(caller, times // 50))
    finally:
        pin(0, cores.others)


def _rows(callers: Sequence[_Caller]) -> list[list[str]]:
    rows = []
    for caller in callers:
        known, whole = statistics.median(caller.known), caller.request
        rows.append([
            caller.name, count(statistics.median(each.load.per_second for each in caller.samples)), f"{whole * 1e6:.0f} µs",
            f"{known * 1e6:.1f} µs", f"{known / max(whole, 1e-9) * 100:.1f} %", f"{statistics.median(caller.first) * 1e6:.1f} µs",
            str(sum(each.load.errors for each in caller.samples)),
        ])  # fmt: skip
    key = _named(callers, _KEY)
    without = max(0.0, key.request - statistics.median(key.known))
    return [*rows, ["nothing (computed)", "", f"{without * 1e6:.0f} µs", "", "", "", ""]]


def _named(callers: Sequence[_Caller], name: str) -> _Caller:
    return next(each for each in callers if each.name == name)


@asynccontextmanager
async def _running(cores: Cores) -> AsyncIterator[tuple[int, int, Callable[[], None], _Check, list[_Caller]]]:
    """The gateway (its port and pid) with its provider, and what this process needs for the check alone."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hp-bench-")))
        upstream = await stack.enter_async_context(running_upstream(folder, cores))
        provider = await stack.enter_async_context(running_provider())
        text = policy(f"http://127.0.0.1:{upstream}", rules=_RULES) + _ISSUERS.format(url=provider.url)
        stored = await stack.enter_async_context(backend(folder, text, fsync="everysec"))
        store = await Store.open(stored.url, clock=now_ms)
        stack.push_async_callback(store.aclose)
        callers = [
            _Caller(_KEY, stored.key),
            _Caller(_BOUNDED, await _bounded(store)),
            _Caller(_TOKEN, _token(provider)),
        ]
        live = Live(store, clock=now_ms)
        await live.look()
        providers = await stack.enter_async_context(Providers(clock=now_ms))
        check = _Check(providers, live.snapshot)
        await check.prepare(callers)
        gateway = await stack.enter_async_context(program("gateway", folder, stored.url, cores=cores.target))
        yield int(gateway.url.rpartition(":")[2]), gateway.pid, stored.drop_traffic, check, callers


async def _bounded(store: Store) -> str:
    new = apikey.create()
    await store.config.put_key(KeyRecord(
        id=new.id, digest=new.digest, principal="dana@example.com", groups=frozenset(), roles=frozenset(),
        created_ms=now_ms(), expires_ms=None, connections=frozenset({_CONNECTION}), networks=("127.0.0.0/8",),
    ))  # fmt: skip
    return new.text


def _token(provider: Provider) -> str:
    now = now_ms()
    return provider.token(now, exp=now // 1000 + _AN_HOUR_S, groups=["contractors"])
