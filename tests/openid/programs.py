"""Starts and stops providers, with people and redirect addresses as a test wants them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.identity.tools import NODE, OIDC_PROVIDER, TOOLS
from tests.support.ports import free_port
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
HAS_NPM_PROVIDER = NODE is not None and OIDC_PROVIDER.is_file()

People = Mapping[str, Mapping[str, Any]]


@asynccontextmanager
async def mock_provider(people: People) -> AsyncIterator[str]:
    """oidc-provider-mock: the issuer's URL. Everybody is signed in by their subject; it takes any client."""
    port = free_port()
    users = [json.dumps({"sub": sub, **claims}) for sub, claims in people.items()]
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-n"]
    async with _running([*command, *(part for user in users for part in ("--user-claims", user))], port, HERE) as url:
        yield url


@asynccontextmanager
async def npm_provider(people: People, redirects: Sequence[str]) -> AsyncIterator[str]:
    """npm's oidc-provider, with its own login and consent pages: the issuer's URL."""
    port = free_port()
    given = json.dumps({"redirects": list(redirects), "people": people})
    fresh = TOOLS / f"op-{os.getpid()}.mjs"
    shutil.copy(HERE / "op.mjs", fresh)
    fresh.replace(TOOLS / "op.mjs")  # at once: another provider may just be reading it
    async with _running([NODE or "node", "op.mjs", str(port), given], port, TOOLS) as url:
        yield url


@asynccontextmanager
async def _running(command: Sequence[str], port: int, folder: Path) -> AsyncIterator[str]:
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1", "NODE_ENV": "test"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:

        async def is_ready() -> bool:
            assert process.poll() is None, f"{command[:4]} ended"
            try:
                async with aiohttp.request("GET", f"{url}/.well-known/openid-configuration") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await wait_until(is_ready, "the provider is ready", seconds=30, every=0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)
