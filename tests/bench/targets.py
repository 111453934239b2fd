"""What is put under load: direct, nginx, the bare proxy, and the gateway in several set-ups, all running side by side."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import nginx, peers
from tests.bench.children import child, module
from tests.bench.holdpoint_parts import Backend, backend, policy, program
from tests.bench.load import Call
from tests.bench.machine import Cores
from tests.bench.plan import Plan
from tests.support.ports import free_port

DIRECT = "direct to the upstream"
NGINX = "nginx"
BARE = "bare aiohttp pass-through"


def gateway_name(rules: int, fsync: str) -> str:
    return f"gateway, {rules} rules, recording, fsync {fsync}"


@dataclass(frozen=True, slots=True)
class Target:
    """``pid`` is the process whose CPU time counts (0: none); ``tidy`` is called after each run."""

    name: str
    port: int
    pid: int
    path: str = "/v1/chat/completions"
    key: str = "hp_none"
    headers: tuple[tuple[str, str], ...] = ()
    tidy: Callable[[], None] = field(default=lambda: None)

    def call(self, body: bytes) -> Call:
        return Call(self.port, self.path, self.key, body, self.headers)


@dataclass(frozen=True, slots=True)
class Targets:
    """All of them, running. ``missing`` are the names of those that cannot be measured here, and why."""

    all: list[Target]
    missing: dict[str, str]


@asynccontextmanager
async def running_targets(plan: Plan, cores: Cores) -> AsyncIterator[Targets]:
    """Start everything, stop everything at the end of the block."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hp-bench-")))
        upstream = await stack.enter_async_context(running_upstream(folder, cores))
        targets = Targets([Target(DIRECT, upstream, 0)], {})
        await _add_nginx(stack, targets, folder, upstream, cores)
        port, url = free_port(), f"http://127.0.0.1:{upstream}"
        command = module("tests.bench.bare_proxy", str(port), url)
        pid = await stack.enter_async_context(
            child(command, ready=f"http://127.0.0.1:{port}/", log=folder / "bare.log", cores=cores.target)
        )
        targets.all.append(Target(BARE, port, pid))
        kinds = [(rules, "always") for rules in plan.rules] + [(rules, "everysec") for rules in plan.everysec_rules]
        for rules, fsync in kinds:
            targets.all.append(await _gateway(stack, folder, url, rules, fsync, cores))
        for peer in peers.ALL if plan.peers else ():
            await _add_peer(stack, targets, folder, url, peer, cores)
        yield targets


@asynccontextmanager
async def running_upstream(folder: Path, cores: Cores) -> AsyncIterator[int]:
    """The fast upstream in a process of its own; its port."""
    port = free_port()
    command = module("tests.bench.upstream", str(port))
    ready = f"http://127.0.0.1:{port}/"
    async with child(command, ready=ready, log=folder / "upstream.log", cores=cores.others):
        yield port


async def _add_nginx(stack: AsyncExitStack, targets: Targets, folder: Path, upstream: int, cores: Cores) -> None:
    found = nginx.find()
    if found is None:
        targets.missing[NGINX] = "not installed"
        return
    port = free_port()
    command = nginx.command(found, folder / "nginx", port=port, upstream=f"http://127.0.0.1:{upstream}")
    pid = await stack.enter_async_context(
        child(command, ready=f"http://127.0.0.1:{port}/", log=folder / "nginx.log", cores=cores.target)
    )
    targets.all.append(Target(NGINX, port, pid))


async def _add_peer(
    stack: AsyncExitStack, targets: Targets, folder: Path, upstream: str, peer: peers.Peer, cores: Cores
) -> None:  # fmt: skip
    port = free_port()
    command = peer.command(folder, port, upstream)
    if command is None:
        targets.missing[peer.name] = "not installed (make bench-peers installs it)"
        return
    pid = await stack.enter_async_context(
        child(
            command,
            ready=f"http://127.0.0.1:{port}/",
            log=folder / f"{peer.name}.log",
            cores=cores.target,
            env=peer.environment,
        )
    )
    targets.all.append(Target(peer.name, port, pid, key=peers.KEY, headers=peer.headers(upstream)))


async def _gateway(
    stack: AsyncExitStack, folder: Path, upstream: str, rules: int, fsync: str, cores: Cores
) -> Target:  # fmt: skip
    own = folder / f"gateway-{rules}-{fsync}"
    own.mkdir()
    stored: Backend = await stack.enter_async_context(backend(own, policy(upstream, rules=rules), fsync=fsync))
    running = await stack.enter_async_context(program("gateway", own, stored.url, cores=cores.target))
    return Target(
        gateway_name(rules, fsync),
        int(running.url.rpartition(":")[2]),
        running.pid,
        path="/bench/v1/chat/completions",
        key=stored.key,
        tidy=stored.drop_traffic,
    )
