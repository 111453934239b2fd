"""Keys that are for some networks, or for some connections only, at the review API and at the sign-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.app import running_bot
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError
from holdpoint.model import KeyRecord, Role
from holdpoint.store import Store
from tests.bot.world import Site, running_site, settings_for
from tests.support.waiting import wait_until

INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.7"


@pytest.fixture
async def proxied(redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A bot behind a proxy on this machine."""
    async with running_site(redis_url, tmp_path, trusted_proxies="127.0.0.1") as running:
        yield running


async def make_key(site: Site, *, networks: tuple[str, ...] = (), connections: frozenset[str] = frozenset()) -> str:
    """A reviewer's key, once the bot knows it."""
    new, later = apikey.create(), apikey.create()
    for each, where, what in ((new, networks, connections), (later, (), frozenset[str]())):
        await site.world.store.config.put_key(
            KeyRecord(
                each.id, each.digest, "sam@example.com", frozenset(), frozenset({Role.REVIEWER}), now_ms(), None,
                connections=what, networks=where,
            )
        )  # fmt: skip

    async def known() -> bool:
        return await status(site, later.text) == 200

    await wait_until(known, "the key is known", seconds=2)
    return new.text


async def status(site: Site, key: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{site.url}/api/v1/holds"
    async with site.client.get(url, headers={"Authorization": f"Bearer {key}", **named}) as answer:
        if answer.status == 401:
            assert (await answer.json())["error"]["message"] == "This key is unknown, revoked or expired."
        return answer.status


@pytest.mark.parametrize(
    ("networks", "client", "expected"),
    [
        (("10.0.0.0/8",), INSIDE, 200),
        (("10.0.0.0/8",), f"{OUTSIDE}, {INSIDE}", 200),
        (("10.0.0.0/8",), f"{INSIDE}, {OUTSIDE}", 401),
        (("10.0.0.0/8",), f"::ffff:{INSIDE}", 200),
        (("10.0.0.0/8",), OUTSIDE, 401),
        (("10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0"), "nobody can read this", 401),
        (("not a network",), INSIDE, 401),
    ],
)
async def test_the_api_takes_a_key_from_its_networks_only(
    proxied: Site, networks: tuple[str, ...], client: str, expected: int
) -> None:
    key = await make_key(proxied, networks=networks)
    assert await status(proxied, key, X_Forwarded_For=client) == expected


async def test_without_a_trusted_proxy_nobody_says_where_they_are(site: Site) -> None:
    far, near = await make_key(site, networks=("10.0.0.0/8",)), await make_key(site, networks=("127.0.0.1/32",))
    assert await status(site, far, X_Forwarded_For=INSIDE) == 401
    assert await status(site, near, X_Forwarded_For=INSIDE) == 200


async def test_a_session_stays_where_its_key_may_be_used(proxied: Site) -> None:
    key = await make_key(proxied, networks=("10.0.0.0/8",))

    async def sign_in(session: aiohttp.ClientSession, client: str) -> int:
        headers = {"X-Forwarded-For": client}
        url = f"{proxied.url}/sign-in"
        async with session.post(url, data={"key": key}, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async def inbox(session: aiohttp.ClientSession, client: str) -> int:
        headers = {"X-Forwarded-For": client}
        async with session.get(f"{proxied.url}/review", headers=headers, allow_redirects=False) as answer:
            return answer.status

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        assert await sign_in(session, OUTSIDE) == 403
        assert await sign_in(session, INSIDE) == 303
        assert await inbox(session, INSIDE) == 200
        assert await inbox(session, OUTSIDE) == 303  # a cookie that was carried away, to the sign-in page
        assert await inbox(session, INSIDE) == 303  # and over


async def test_a_key_for_connections_is_for_the_gateway_alone(site: Site) -> None:
    key = await make_key(site, connections=frozenset({"demo"}))
    assert await status(site, key) == 401
    async with site.client.post(f"{site.url}/sign-in", data={"key": key}, allow_redirects=False) as answer:
        assert answer.status == 403
        assert "This key is not valid here." in await answer.text()


async def test_a_mistyped_key_is_no_attempt_and_an_unknown_one_is(site: Site) -> None:
    for key, said, counted in (("hp_abcd1234_short", "not a whole", 0), (apikey.create().text, "not valid here", 1)):
        async with site.client.post(f"{site.url}/sign-in", data={"key": key}) as answer:
            assert answer.status == 403
            assert said in await answer.text()
        assert await site.world.store.sessions.failures("127.0.0.1") == counted


async def test_when_a_reviewers_key_was_used_is_known(redis_url: str, tmp_path: Path, store: Store) -> None:
    async with running_site(redis_url, tmp_path) as site:
        key = site.world.keys["kim@example.com"]
        assert await status(site, key) == 200
        assert await status(site, apikey.create().text) == 401
        assert await store.key_use.all() == {}
    assert set(await store.key_use.all()) == {apikey.key_id(key)}


async def test_a_wrong_list_of_proxies_is_one_line(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="HOLDPOINT_TRUSTED_PROXIES: must be networks"):
        async with running_bot(settings_for(redis_url, tmp_path, trusted_proxies="everybody")):
            pass
