"""A running bot with identity providers in its policy, and people at browsers without script who sign in there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from bot.app import running_bot
from holdpoint.clock import Clock
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.bot.world import POLICY, Site, make_world
from tests.support.oidc import CLIENT, SECRET, OpenId
from tests.support.ports import free_port
from tests.support.waiting import wait_until

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SESSION, BEGUN = "holdpoint_session", "holdpoint_signing_in"


def policy(*issuers: str, more: str = "") -> str:
    """The policy of the tests with ``issuers`` (YAML mappings), and groups from claims."""
    groups = POLICY.replace("members: [lena@example.com]", "members: [lena@example.com], claims: {groups: [law]}")
    return groups + ("issuers:\n" if issuers else "") + "".join(f"  - {each}\n" for each in issuers) + more


def entry(provider: OpenId, *, client: str = CLIENT, secret: bool = True, more: str = "") -> str:
    """The provider's entry in the policy."""
    sign_in = f"{{client_id: {client}{', client_secret: env:OIDC_SECRET' if secret else ''}}}"
    return f'{{issuer: "{provider.url}", groups: groups, sign_in: {sign_in}, agents: {{when: {{use: [program]}}, requester: sub, owner: owner}}{more}}}'


@asynccontextmanager
async def signing_site(
    redis_url: str,
    folder: Path,
    clock: Clock,
    *issuers: str,
    secret_key: str | None = KEY,
    port: int = 0,
    more: str = "",
    **settings: Any,
) -> AsyncIterator[Site]:
    """A bot whose own address is known, as providers have to send people back to it."""
    port = port or free_port()
    async with AsyncExitStack() as stack:
        store = await Store.open(redis_url, clock=clock)
        stack.push_async_callback(store.aclose)
        await store.outbox.make_group("events", "watch")  # nothing is trimmed that a test has yet to see
        world = await make_world(store, clock)
        await store.config.push_policy(policy(*issuers, more=more), expect=1, by="test")
        changed = {"bot_port": port, "public_url": f"http://127.0.0.1:{port}", "secret_key": secret_key, **settings}
        made = Settings(redis_url=redis_url, data=folder, **changed)
        bot = await stack.enter_async_context(running_bot(made, clock=clock))
        yield Site(bot, world, await stack.enter_async_context(aiohttp.ClientSession()))


@dataclass
class Tab:
    """A browser without script: cookies, redirects, and what it shows. ``trail`` are the addresses that it was sent over."""

    site: Site
    client: aiohttp.ClientSession
    status: int = 0
    page: str = ""
    url: str = ""
    trail: list[str] = field(default_factory=list)

    async def get(self, path: str, *, follow: bool = True, **headers: str) -> str:
        url = path if path.startswith("http") else self.site.url + path
        return await self._take(self.client.get(url, allow_redirects=follow, headers=headers))

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> str:
        return await self._take(self.client.post(self.site.url + path, data=fields, headers=headers))

    async def sign_in(self, *, number: int = 0, target: str = "/review", follow: bool = True) -> str:
        """Over the sign-in page, by its link ``number``."""
        await self.get(f"/sign-in?next={target}")
        return await self.get(self.links[number], follow=follow)

    @property
    def links(self) -> list[str]:
        return [unescape(href) for href in re.findall(r'href="(/sign-in/[a-z]+\?way=[^"]+)"', self.page)]

    @property
    def problem(self) -> str:
        found = re.search(r'role="alert">([^<]*)<', self.page)
        return unescape(found[1]) if found else ""

    @property
    def csrf(self) -> str:
        return re.findall(r'name="csrf" value="([^"]+)"', self.page)[0]

    @property
    def is_in(self) -> bool:
        return 'action="/sign-out"' in self.page

    def cookie(self, name: str) -> str:
        found = self.client.cookie_jar.filter_cookies(URL(self.site.url)).get(name)
        return found.value if found is not None else ""

    def set_cookie(self, name: str, value: str) -> None:
        self.client.cookie_jar.update_cookies({name: value}, URL(self.site.url))

    async def _take(self, request: Any) -> str:
        async with request as answer:
            self.status, self.page, self.url = answer.status, await answer.text(), str(answer.url)
            self.trail = [*(str(each.headers.get("Location", "")) for each in answer.history)]
            if answer.status in (302, 303):
                self.trail.append(answer.headers["Location"])
            return self.page


@asynccontextmanager
async def tab(site: Site) -> AsyncIterator[Tab]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        made = Tab(site, client)

        async def offers() -> bool:
            return bool(re.search("Continue with|Holdpoint key", await made.get("/sign-in")))

        await wait_until(offers, "the sign-in page is there")
        yield made


__all__ = ["BEGUN", "CLIENT", "KEY", "SECRET", "SESSION", "Tab", "entry", "policy", "signing_site", "tab"]
