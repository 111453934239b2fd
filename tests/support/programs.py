"""The real programs as processes of their own, to kill at any moment, and a whole installation of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.model import KeyRecord, Role
from holdpoint.store import Store
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.warm import Ended, run

POLICY = """
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}}
connections:
  demo: {{upstream: "{upstream}", protocol: openai, environment: production}}
groups:
  contractors: {{members: [dana@example.com]}}
  security: {{members: [sam@example.com, kim@example.com]}}
roles: {{admins: [platform]}}
rules:
  - id: secrets
    description: Credentials in a prompt
    when: {{prompt: {{matches: ['(?i)\\bpassword\\b']}}}}
    verdict: review
    risk: high
    reviewers: [{{group: security, approvals: 1}}]
  - id: forbidden
    description: Private keys never leave
    when: {{prompt: {{matches: ['BEGIN PRIVATE KEY']}}}}
    verdict: block
routes:
  - {{group: "*", channels: [web]}}
"""


class Program:
    """``holdpoint gateway`` or ``holdpoint bot``; always on the same port."""

    def __init__(self, part: str, environment: dict[str, str], log: Path) -> None:
        self.part = part
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment | {f"HOLDPOINT_{part.upper()}_PORT": str(self.port)}
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "holdpoint.cli", self.part],
                env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        await wait_until(self.is_ready, f"the {self.part} is ready (see {self._log})", seconds=60, every=0.05)

    async def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the {self.part} ended: {self._log.read_text()[-2000:]}")
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def restart(self) -> None:
        self.kill()
        await self.start()


class Installation:
    """Redis, gateway and bot of one test, with keys for the people of the policy."""

    def __init__(self, redis: RedisServer, folder: Path, upstream_url: str, **settings: str) -> None:
        self.redis = redis
        self.folder = folder
        self._upstream_url = upstream_url
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HOLDPOINT_", "SLACK_"))},
            "HOLDPOINT_REDIS_URL": redis.url,
            "HOLDPOINT_DATA": str(folder),
            "HOLDPOINT_LOG_LEVEL": "INFO",
            **settings,
        }
        self.gateway = Program("gateway", self.environment, folder / "gateway.log")
        self.bot = Program("bot", self.environment, folder / "bot.log")
        self.keys: dict[str, str] = {}

    async def start(self) -> None:
        store = await Store.open(self.redis.url, clock=now_ms)
        await store.config.push_policy(POLICY.format(upstream=self._upstream_url), expect=0, by="test")
        for name, groups, roles in (
            ("dana", {"contractors"}, set()),
            ("sam", {"security"}, {Role.REVIEWER}),
            ("kim", {"security"}, {Role.REVIEWER}),
        ):
            self.keys[name] = await make_key(store, f"{name}@example.com", groups, roles)
        await store.aclose()
        await asyncio.gather(self.gateway.start(), self.bot.start())

    def stop(self) -> None:
        self.gateway.kill()
        self.bot.kill()

    async def api(self, method: str, path: str, *, by: str = "sam", json: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[by]}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.bot.url}/api/v1{path}", json=json, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    async def pending(self) -> list[dict[str, Any]]:
        _, answer = await self.api("GET", "/holds?state=pending")
        return list(answer["holds"])

    async def the_hold(self) -> dict[str, Any]:
        """The one hold that is pending, once it is there."""
        (hold,) = await wait_until(self.pending, "there is a pending hold")
        return hold

    async def decide(self, hold: dict[str, Any], decision: str = "approve", **more: Any) -> tuple[int, Any]:
        body = {"decision": decision, "digest": hold["digest"], **more}
        return await self.api("POST", f"/holds/{hold['id']}/decisions", json=body)

    async def state(self, hold: dict[str, Any]) -> str:
        _, answer = await self.api("GET", f"/holds/{hold['id']}")
        return str(answer["state"])

    def audit(self, *arguments: str) -> Ended:
        return run(["audit", *arguments], folder=self.folder, env=self.environment, seconds=600)


async def make_key(store: Store, principal: str, groups: set[str], roles: set[Role]) -> str:
    new = apikey.create()
    record = KeyRecord(
        id=new.id,
        digest=new.digest,
        principal=principal,
        groups=frozenset(groups),
        roles=frozenset(roles),
        created_ms=now_ms(),
        expires_ms=None,
    )
    await store.config.put_key(record)
    return new.text
