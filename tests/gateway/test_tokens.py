"""A token as the identity of a request, through the whole gateway: who it is, what is refused, and what ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from holdpoint.clock import now_ms
from holdpoint.model import Requester, State
from tests.gateway.model import Model
from tests.gateway.raw import raw_client
from tests.gateway.token_world import TokenWorld, running_token_world
from tests.gateway.world import CLEAN, RISKY
from tests.holdpoint.tokens.issuing import jwk
from tests.holdpoint.tokens.test_verify import changed, hmac_signed, public_pem, unsigned
from tests.support.waiting import wait_until


@pytest.fixture
async def here(redis_url: str, model: Model) -> AsyncIterator[TokenWorld]:
    async with running_token_world(redis_url, model.url) as running:
        yield running


async def test_a_real_client_with_a_token(here: TokenWorld, model: Model) -> None:
    client = openai.AsyncOpenAI(base_url=here.world.base, api_key=here.token(), max_retries=0)
    async with client:
        for _ in range(3):
            found = await client.chat.completions.create(model="demo", messages=[{"role": "user", "content": CLEAN}])
            assert found.choices[0].message.content == "fine"
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.with_options(api_key=here.token(aud="other")).models.list()
    assert caught.value.code == "invalid_api_key"
    assert len(model.received) == 3
    assert all("authorization" not in each.headers for each in model.received)
    assert here.provider.fetched == 1


@pytest.mark.promise(5)
async def test_who_asked_is_on_the_record(here: TokenWorld) -> None:
    token = here.token(groups=["eng"], preferred_username="dm@corp.example.com", email="Dana@Example.com")
    held = asyncio.create_task(here.status(token, RISKY))
    (hold,) = await here.world.held()
    assert hold.requester == Requester(
        principal="dana@example.com",
        groups=frozenset({"eng", "contractors"}),  # its own, and the policy's by its principal
        name="Dana",
        issuer=here.provider.url,
        aliases=frozenset({"dm@corp.example.com"}),
    )
    await here.world.approve(hold)
    assert await held == 200
    assert token.split(".")[2] not in str(await here.world.events("events"))


async def test_an_agent_has_an_owner(here: TokenWorld) -> None:
    agent = here.token(idtyp="app", azp="ci-7", email=None, email_verified=None, name=None)
    held = asyncio.create_task(here.status(agent, RISKY))
    (hold,) = await here.world.held()
    assert (hold.requester.principal, hold.requester.owner) == ("ci-7", "kim@example.com")
    await here.world.reject(hold)
    assert await held == 403
    assert await here.status(here.token(idtyp="app", azp="nobodys", email=None)) == 401


def _wrong(here: TokenWorld) -> dict[str, str]:
    right = here.token()
    return {
        "alg none": unsigned("none"),
        "hmac with the public key": hmac_signed(public_pem("k1")),
        "another's signature": here.token("forger", head={"kid": "k1"}),
        "unknown key": here.token("forger"),
        "other claims": changed(right, iss=here.provider.url, email="kim@example.com"),
        "expired": here.token(exp=now_ms() // 1000 - 61),
        "not valid yet": here.token(nbf=now_ms() // 1000 + 90),
        "issued in the future": here.token(iat=now_ms() // 1000 + 90),
        "other audience": here.token(aud="other"),
        "other issuer": here.token(iss="https://evil.test"),
        "issuer with a slash": here.token(iss=f"{here.provider.url}/"),
        "no end": here.token(exp=None),
        "no address": here.token(email=None),
        "look-alike": here.token(email="dаna@example.com"),
        "not verified": here.token(email_verified=False),
        "too many groups": here.token(_claim_names={"groups": "src1"}),
        "a logout token": here.token(head={"typ": "logout+jwt"}),
        "bound to a key": here.token(cnf={"jkt": "x"}),
        "crit": here.token(head={"crit": ["x"], "x": 1}),
        "no token": "a.b.c",
        "dots": "..",
        "large": here.token(padding="x" * 5_000) + "x",
    }


@pytest.mark.promise(1)
@pytest.mark.parametrize("warm", [False, True], ids=["the first token", "keys are known"])
async def test_nothing_is_forwarded_on_a_wrong_token(here: TokenWorld, model: Model, warm: bool) -> None:
    if warm:
        assert await here.status(here.token()) == 200
        model.received.clear()
    for name, token in _wrong(here).items():
        for prompt in (CLEAN, RISKY):
            async with here.chat(token, prompt) as answer:
                error = (await answer.json())["error"]
                assert (answer.status, error["code"]) == (401, "invalid_api_key"), name
                assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
                assert answer.headers["x-should-retry"] == "false"
                assert ("groups" in error["message"]) == (name == "too many groups"), "why is said only where it helps"
    assert not model.received
    assert (await here.world.store.holds.count())[State.PENDING] == 0


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "lines",
    [
        "Authorization: Bearer {token}\r\nx-api-key: {key}",
        "Authorization: Bearer {key}\r\nx-api-key: {token}",
        "Authorization: Bearer {token}\r\nAuthorization: Bearer {token}",
        "Authorization: Bearer {token}\r\nAuthorization: Bearer {key}",
        "Authorization: Bearer {key}\r\nAuthorization: Bearer {key}",
        "x-api-key: {token}\r\nx-api-key: {token}",
        "Authorization: Bearer {token}, Bearer {key}",
        "Authorization: Bearer {token} {key}",
        "Authorization: Basic {token}",
        "Authorization: {token}",
        "",
    ],
)  # fmt: skip
async def test_mixed_and_doubled_credentials(here: TokenWorld, model: Model, lines: str) -> None:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}).encode()
    said = lines.format(token=here.token(), key=here.world.key)
    head = f"POST /demo/v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    async with raw_client(here.world.port) as client:
        await client.send((head + said + ("\r\n" if said else "") + "\r\n").encode() + body)
        status, headers = await client.head()
    assert status == 401
    assert headers["www-authenticate"] == ('Bearer error="invalid_token"' if lines else "Bearer")
    assert not model.received


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "both"])
async def test_a_token_as_either_header(here: TokenWorld, name: str) -> None:
    token = here.token()
    headers = {"Authorization": f"bearer  {token}"} if name != "x-api-key" else {}
    headers |= {"x-api-key": token} if name != "Authorization" else {}
    async with here.world.http.get(f"{here.world.base}/models", headers=headers) as answer:
        assert answer.status != 401


async def test_a_token_of_sixteen_kilobytes_is_read(here: TokenWorld) -> None:
    assert await here.status(here.token(padding="x" * 11_000)) == 200
    assert await here.status(here.token(padding="x" * 20_000)) == 400


async def test_a_token_counts_to_its_end_and_not_a_moment_longer(redis_url: str, model: Model) -> None:
    async with running_token_world(redis_url, model.url) as here:
        token = here.token(exp=now_ms() // 1000 - 55)  # within the minute by which clocks may differ
        assert await here.status(token) == 200

        async def over() -> bool:
            return await here.status(token) == 401

        await wait_until(over, "it is over", seconds=20, every=0.2)


async def test_a_push_that_removes_the_issuer_counts_at_once(here: TokenWorld, model: Model) -> None:
    token = here.token()
    assert await here.status(token) == 200
    await here.push("")
    assert await here.status(token) == 401
    await here.push(here.issuers())
    assert await here.status(token) == 200
    await here.push(here.issuers("require: {tid: t1}"))
    assert await here.status(token) == 401
    assert len(model.received) == 2


@pytest.mark.promise(1)
@pytest.mark.parametrize("trusted", [True, False])
async def test_a_hold_outlives_its_token_but_not_the_trust_in_its_issuer(
    here: TokenWorld, model: Model, trusted: bool
) -> None:
    token = here.token(exp=now_ms() // 1000 - 55)  # seconds enough to be held
    held = asyncio.create_task(here.status(token, RISKY))
    (hold,) = await here.world.held()

    async def over() -> bool:
        return await here.status(token) == 401

    await wait_until(over, "the token is over", seconds=20, every=0.2)
    if not trusted:
        await here.push(here.issuers("require: {tid: t1}"))
    await here.world.approve(hold)
    assert await held == (200 if trusted else 401)
    assert len([each for each in model.received if RISKY.encode() in each.body]) == trusted


async def test_the_holds_of_the_same_person(here: TokenWorld) -> None:
    later = {"Prefer": "respond-async"}
    async with here.chat(here.token(), RISKY, headers=later) as answer:
        assert answer.status == 202
        place = f"{here.world.gateway.url}{answer.headers['Location']}"
    rows: list[tuple[dict[str, Any], int]] = [
        ({}, 200),  # another token of the same person
        ({"email": "DANA@example.com"}, 200),
        ({"email": "kim@example.com"}, 404),
        ({"idtyp": "app", "azp": "ci-7", "email": None}, 404),
        ({"aud": "other"}, 401),
    ]
    for said, status in rows:
        async with here.world.http.get(place, headers={"Authorization": f"Bearer {here.token(**said)}"}) as answer:
            assert answer.status == status, said
    async with here.world.http.get(place, headers=here.world.headers()) as answer:
        assert answer.status == 200, "Dana's key is Dana, too"
    async with here.world.http.delete(place, headers={"Authorization": f"Bearer {here.token()}"}) as answer:
        assert answer.status == 200


@pytest.mark.promise(1)
async def test_an_issuer_that_cannot_be_asked_is_503_and_not_401(here: TokenWorld, model: Model) -> None:
    here.provider.metadata = 500
    async with here.chat(here.token()) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"]) == (503, "unavailable")
        assert "x-should-retry" not in answer.headers
        assert answer.headers["retry-after"] == "10"
    async with here.world.chat(CLEAN) as answer:
        assert answer.status == 200, "keys need no issuer"
    assert len(model.received) == 1
    assert here.provider.discovered == 1


async def test_keys_rotate_under_a_running_gateway(here: TokenWorld) -> None:
    assert await here.status(here.token()) == 200
    here.provider.keys.append(jwk("k2"))
    assert await here.status(here.token("k2")) == 200
    for _ in range(30):
        assert await here.status(here.token("forger")) == 401
    assert here.provider.fetched == 2


async def test_many_first_tokens_at_once(here: TokenWorld) -> None:
    here.provider.gate.clear()
    asking = [asyncio.create_task(here.status(here.token(sub=str(n)))) for n in range(20)]
    await wait_until(lambda: here.provider.waiting, "the first fetch")
    here.provider.gate.set()
    assert await asyncio.gather(*asking) == [200] * 20
    assert here.provider.fetched == 1


async def test_no_token_is_in_the_log(here: TokenWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    tokens = [here.token(), here.token(aud="other"), here.token("forger")]
    for token in tokens:
        await here.status(token)
    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "token refused" in said
    for token in tokens:
        assert token.split(".")[2] not in said
        assert token.split(".")[1] not in said
