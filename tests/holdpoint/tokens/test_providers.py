"""Discovery and keys over real HTTP: kept, renewed, looked for again, and never trusted beyond what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from holdpoint.errors import BadToken, ProviderUnavailable, UnknownKeyId
from holdpoint.policy.issuers import Issuer
from holdpoint.tokens.providers import TERMS, Providers
from holdpoint.tokens.reading import MOST_BYTES
from tests.conftest import MovingClock
from tests.holdpoint.tokens.issuing import AUDIENCE, Provider, jwk, running_provider
from tests.support.waiting import wait_until


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider(path="/realms/demo") as running:
        yield running


@pytest.fixture
async def providers(clock: MovingClock) -> AsyncIterator[Providers]:
    async with Providers(clock=clock) as running:
        yield running


def entry(provider: Provider, **changes: Any) -> Issuer:
    return replace(Issuer(provider.url, frozenset({AUDIENCE})), **changes)


async def test_one_fetch_for_many_tokens(providers: Providers, provider: Provider, clock: MovingClock) -> None:
    issuer, token = entry(provider), provider.token(clock())
    assert providers.claims_now(token, issuer) is None
    provider.gate.clear()
    asking = [asyncio.create_task(providers.claims(token, issuer)) for _ in range(50)]
    await wait_until(lambda: provider.waiting, "the fetch arrives")
    provider.gate.set()
    found = await asyncio.gather(*asking)
    assert {each["email"] for each in found} == {"dana@example.com"}
    assert providers.claims_now(token, issuer) == found[0]
    assert providers.keys_now(issuer) is providers.keys_now(issuer)
    assert (provider.discovered, provider.fetched) == (1, 1)


async def test_a_new_key_is_found_at_once_and_unknown_ones_cost_nothing(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    issuer = entry(provider)
    await providers.claims(provider.token(clock()), issuer)
    provider.keys.append(jwk("k2"))
    assert await providers.claims(provider.token(clock(), "k2"), issuer)
    for number in range(200):
        forged = provider.token(clock(), "forger", head={"kid": f"unknown {number}"})
        with pytest.raises(UnknownKeyId):
            providers.claims_now(forged, issuer)
        with pytest.raises(UnknownKeyId):
            await providers.claims(forged, issuer)
    assert provider.fetched == 2, "somebody looked a moment ago"
    clock.forward(seconds=TERMS.again_every_ms / 1000)
    forged = provider.token(clock(), "forger", head={"kid": "unknown"})
    assert providers.claims_now(forged, issuer) is None, "it is time to look again"
    with pytest.raises(UnknownKeyId):
        await providers.claims(forged, issuer)
    assert provider.fetched == 3


async def test_a_new_key_is_found_although_the_keys_of_before_are_on_their_way(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    """A renewal was answered just before the provider began to use another key."""
    issuer = entry(provider)
    await providers.claims(provider.token(clock()), issuer)
    clock.forward(seconds=TERMS.renew_after_ms / 1000)
    provider.way.clear()
    assert providers.keys_now(issuer)
    await wait_until(lambda: provider.fetched == 2, "the renewal is answered")
    provider.keys.append(jwk("k2"))
    asking = [asyncio.create_task(providers.claims(provider.token(clock(), "k2"), issuer)) for _ in range(20)]
    await asyncio.sleep(0)
    provider.way.set()
    assert all(await asyncio.gather(*asking))
    assert provider.fetched == 3


async def test_a_set_without_ids_may_be_exchanged_too(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    provider.keys[:] = [jwk("k1", kid=None)]
    issuer = entry(provider)
    assert await providers.claims(provider.token(clock(), head={"kid": None}), issuer)
    provider.keys[:] = [jwk("k2", kid=None)]
    assert await providers.claims(provider.token(clock(), "k2", head={"kid": None}), issuer)
    with pytest.raises(BadToken):
        await providers.claims(provider.token(clock(), head={"kid": None}), issuer)


async def test_a_key_that_is_withdrawn_counts_no_longer_than_until_the_renewal(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    issuer = entry(provider)
    await providers.claims(provider.token(clock()), issuer)
    provider.keys[:] = [jwk("k2")]
    clock.forward(seconds=TERMS.renew_after_ms / 1000)
    token = provider.token(clock())
    assert providers.claims_now(token, issuer), "nobody waits for the renewal"
    await wait_until(lambda: provider.fetched == 2, "the renewal")

    async def gone() -> bool:
        try:
            return await providers.claims(token, issuer) is None
        except UnknownKeyId:
            return True

    await wait_until(gone, "the key counts no more")


async def test_keys_hold_for_a_day_while_the_provider_is_away_and_no_longer(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    issuer = entry(provider)
    await providers.claims(provider.token(clock()), issuer)
    provider.metadata = 503
    clock.forward(seconds=TERMS.keep_ms / 1000 - 1)
    assert await providers.claims(provider.token(clock()), issuer)
    with pytest.raises(ProviderUnavailable):
        await providers.claims(provider.token(clock(), "k2"), issuer)  # it may be a new key: nobody knows
    discovered = provider.discovered
    for _ in range(20):
        with pytest.raises(ProviderUnavailable):
            await providers.claims(provider.token(clock(), "k2"), issuer)
    assert provider.discovered == discovered, "a failure is not repeated for every token"
    clock.forward(seconds=1)
    assert providers.claims_now(provider.token(clock()), issuer) is None
    with pytest.raises(ProviderUnavailable) as caught:
        await providers.claims(provider.token(clock()), issuer)
    assert caught.value.retry_after_seconds == TERMS.failed_every_ms / 1000
    provider.metadata = None
    clock.forward(seconds=TERMS.failed_every_ms / 1000)
    assert await providers.claims(provider.token(clock()), issuer)


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "metadata",
    [
        500, 404, 302, b"", b"<html>", b"{", b"[]", b"null", b"[" * 5_000, b"\xff", {},
        {"issuer": "https://evil.test", "jwks_uri": "KEYS"}, {"issuer": "URL/", "jwks_uri": "KEYS"},
        {"jwks_uri": "KEYS"}, {"issuer": ["URL"], "jwks_uri": "KEYS"},
        {"issuer": "URL"}, {"issuer": "URL", "jwks_uri": 5}, {"issuer": "URL", "jwks_uri": "http://192.0.2.1/keys"},
        {"issuer": "URL", "jwks_uri": "file:///etc/passwd"}, {"issuer": "URL", "jwks_uri": "http://127.0.0.1:1/keys"},
        b" " * (MOST_BYTES + 1),
    ],
    ids=lambda value: repr(value)[:50],
)  # fmt: skip
async def test_discovery_that_lies(providers: Providers, provider: Provider, clock: MovingClock, metadata: Any) -> None:
    if isinstance(metadata, dict):
        url = provider.url
        places = {"URL": url, "URL/": f"{url}/", "KEYS": f"{url}/keys"}
        metadata = {
            name: [url] if isinstance(value, list) else places.get(value, value) for name, value in metadata.items()
        }
    provider.metadata = metadata
    with pytest.raises(ProviderUnavailable):
        await providers.claims(provider.token(clock()), entry(provider))
    with pytest.raises(ProviderUnavailable):
        await providers.endpoints(provider.url)


@pytest.mark.parametrize(
    "jwks", [500, 302, b"{", [], {"keys": []}, {"keys": [jwk("weak")]}, {"keys": [jwk("k1", use="enc")]}, {"keys": {}}],
)  # fmt: skip
async def test_keys_that_are_none(providers: Providers, provider: Provider, clock: MovingClock, jwks: Any) -> None:
    provider.jwks = jwks
    with pytest.raises(ProviderUnavailable):
        await providers.claims(provider.token(clock()), entry(provider))


async def test_keys_by_their_address_without_discovery(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    issuer = entry(provider, issuer="https://login.example.com", jwks=f"{provider.url}/keys")
    assert await providers.claims(provider.token(clock(), iss=issuer.issuer), issuer)
    assert (provider.discovered, provider.fetched) == (0, 1)
    with pytest.raises(BadToken):
        await providers.claims(provider.token(clock()), issuer)


async def test_an_issuer_with_a_slash_at_its_end(clock: MovingClock, providers: Providers) -> None:
    async with running_provider(path="/") as provider:
        assert await providers.claims(provider.token(clock()), entry(provider))
        assert provider.discovered == 1


async def test_keys_of_one_issuer_are_not_another_ones(
    providers: Providers, provider: Provider, clock: MovingClock
) -> None:
    async with running_provider(keys=[jwk("k2", kid="k1")]) as other:
        for each, key in ((provider, "k1"), (other, "k2")):
            assert await providers.claims(each.token(clock(), key, head={"kid": "k1"}), entry(each))
        with pytest.raises(BadToken):
            await providers.claims(provider.token(clock(), iss=other.url), entry(other))


async def test_other_audiences_for_another_use(providers: Providers, provider: Provider, clock: MovingClock) -> None:
    token = provider.token(clock(), aud="web-inbox")
    assert await providers.claims(token, entry(provider), audiences=("web-inbox",))
    with pytest.raises(BadToken):
        await providers.claims(token, entry(provider))


async def test_endpoints(providers: Providers, provider: Provider) -> None:
    provider.metadata = provider.right_metadata | {
        "device_authorization_endpoint": "http://192.0.2.1/device", "end_session_endpoint": 5,
    }  # fmt: skip
    found = await providers.endpoints(provider.url)
    assert found.authorization == f"{provider.url}/authorize"
    assert found.token == f"{provider.url}/token"
    assert found.jwks == f"{provider.url}/keys"
    assert found.device == found.end_session == "", "no secret goes to an address that is not safe"
    assert await providers.endpoints(provider.url) is found
    assert provider.discovered == 1


async def test_a_provider_that_hangs_is_given_up(
    providers: Providers, provider: Provider, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdpoint.tokens.providers.TERMS", replace(TERMS, timeout_s=0.05))
    provider.gate.clear()
    with pytest.raises(ProviderUnavailable):
        await providers.claims(provider.token(clock()), entry(provider))


async def test_before_the_start_nothing_is_known(clock: MovingClock, provider: Provider) -> None:
    providers = Providers(clock=clock)
    with pytest.raises(ProviderUnavailable):
        await providers.claims(provider.token(clock()), entry(provider))
    await providers.aclose()
