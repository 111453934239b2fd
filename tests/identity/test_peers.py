"""Tokens of identity providers that nobody here wrote, through the whole gateway to a model.

`oidc-provider-mock` is always there; the others need `make identity-tools`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdpoint.clock import now_ms
from holdpoint.model import Requester
from holdpoint.store import Store
from tests.gateway.model import Model, running_model
from tests.gateway.token_world import TokenWorld
from tests.gateway.world import POLICY, RISKY, World, running_world
from tests.holdpoint.tokens.issuing import Provider
from tests.holdpoint.tokens.test_verify import changed
from tests.identity import peers
from tests.identity.tools import EMULATE, HOW, NEW_NODE, NODE, OIDC_PROVIDER
from tests.support.ports import free_port

has_provider = pytest.mark.skipif(NODE is None or not OIDC_PROVIDER.is_file(), reason=f"no oidc-provider: {HOW}")
has_emulators = pytest.mark.skipif(
    not NEW_NODE.is_file() or not EMULATE.is_file(), reason=f"no emulators of Okta and Entra: {HOW}"
)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with running_model() as running:
        yield running


class Gateway:
    """A gateway that trusts one issuer as the test says it in YAML."""

    def __init__(self, redis_url: str, model: Model) -> None:
        self._redis_url = redis_url
        self._model = model

    async def holds_for(self, issuer: str, terms: str, token: str) -> Requester:
        """Whose request it holds with ``token``; a clean one of the same passes, and one with a changed token does not."""
        store = await Store.open(self._redis_url, clock=now_ms)
        text = (
            POLICY.format(upstream=self._model.url, timeout="10m") + f"issuers:\n  - {{issuer: '{issuer}', {terms}}}\n"
        )
        head = await store.config.policy()
        version = await store.config.push_policy(text, expect=head.version if head else 0, by="test")
        await store.aclose()
        async with running_world(self._redis_url, self._model.url) as world:
            here = TokenWorld(world, Provider(), self._model.url, version)
            assert await here.status(token) == 200
            assert await here.status(changed(token, iss=issuer)) == 401
            return await _held(world, here, token)


async def _held(world: World, here: TokenWorld, token: str) -> Requester:
    asking = asyncio.create_task(here.status(token, RISKY))
    (hold,) = await world.held()
    await world.approve(hold)
    assert await asking == 200
    return hold.requester


@pytest.fixture
def gateway(redis_url: str, model: Model) -> Gateway:
    return Gateway(redis_url, model)


async def test_oidc_provider_mock_and_its_key_without_an_id(gateway: Gateway) -> None:
    async with peers.oidc_provider_mock() as issuer:
        found = await peers.signed_in(issuer, fields={"sub": "dana"}, scope="openid profile email", secret="any")
        requester = await gateway.holds_for(issuer, "audience: people", found["id_token"])
    assert (requester.principal, requester.name, requester.issuer) == ("dana@example.com", "Dana", issuer)
    assert requester.groups == {"contractors"}


@pytest.mark.promise(1)
async def test_a_provider_that_comes_back_with_another_key(redis_url: str, model: Model) -> None:
    port = free_port()
    async with peers.oidc_provider_mock(port=port) as issuer:
        old = await peers.signed_in(issuer, fields={"sub": "dana"}, scope="openid profile email", secret="any")
        store = await Store.open(redis_url, clock=now_ms)
        text = (
            POLICY.format(upstream=model.url, timeout="10m") + f"issuers: [{{issuer: '{issuer}', audience: people}}]\n"
        )
        await store.config.push_policy(text, expect=0, by="test")
        await store.aclose()
    async with running_world(redis_url, model.url) as world:
        here = TokenWorld(world, Provider(), model.url, 1)
        assert await here.status(old["id_token"]) == 503, "nobody can say"
        assert not model.received
    async with running_world(redis_url, model.url) as world, peers.oidc_provider_mock(port=port) as issuer:
        here = TokenWorld(world, Provider(), model.url, 1)
        assert await here.status(old["id_token"]) == 401
        new = await peers.signed_in(issuer, fields={"sub": "dana"}, scope="openid profile email", secret="any")
        assert await here.status(new["id_token"]) == 200


@has_provider
async def test_oidc_provider_people_and_programs(gateway: Gateway) -> None:
    terms = "audience: holdpoint, groups: groups, agents: {when: {use: program}, requester: client_id, owner: owner}"
    async with peers.oidc_provider() as issuer:
        login = {"login": "dana", "password": "x"}
        scope = "openid profile email groups llm"
        found = await peers.signed_in(
            issuer, fields=login, scope=scope, secret="people-secret", resource="urn:holdpoint"
        )
        person = await gateway.holds_for(issuer, terms, found["access_token"])
        assert (person.principal, person.owner, person.name) == ("dana@example.com", None, "Dana")
        assert person.groups == {"contractors"}
        program = await peers.program_token(issuer, client="ci-7", secret="ci-secret", resource="urn:holdpoint")
        agent = await gateway.holds_for(issuer, terms, program)
        assert (agent.principal, agent.owner) == ("ci-7", "kim@example.com")


@has_emulators
async def test_okta(gateway: Gateway, tmp_path: Path) -> None:
    async with peers.emulated("okta", peers.OKTA_PEOPLE, tmp_path) as base:
        issuer = f"{base}/oauth2/default"
        found = await peers.signed_in(issuer, fields={}, scope="openid profile email groups", secret="people-secret")
        requester = await gateway.holds_for(issuer, "audience: people, groups: groups", found["id_token"])
    assert (requester.principal, requester.name) == ("dana@example.com", "Dana Miller")
    assert requester.groups >= {"Security & Risk", "contractors"}


@has_emulators
async def test_entra(gateway: Gateway, tmp_path: Path) -> None:
    tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
    terms = f"audience: people, requester: preferred_username, require: {{tid: ['{tenant}']}}"
    async with peers.emulated("microsoft", peers.ENTRA_PEOPLE, tmp_path) as base:
        issuer = f"{base}/{tenant}/v2.0"
        found = await peers.signed_in(issuer, fields={}, scope="openid profile email", secret="people-secret")
        requester = await gateway.holds_for(issuer, terms, found["id_token"])
    assert (requester.principal, requester.name) == ("dana@example.com", "Dana Miller")
