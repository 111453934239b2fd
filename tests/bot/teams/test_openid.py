"""The signing keys: found, kept, renewed, looked for again when one is unknown; and all that can be wrong with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from bot.teams import openid
from bot.teams.openid import FAILED_EVERY_MS, KEEP_MS, RENEW_AFTER_MS, UNKNOWN_EVERY_MS, NoKeys, SigningKeys
from holdpoint.errors import ConfigurationError, ProviderUnavailable
from holdpoint.tokens.reading import MOST_BYTES, keys_url
from holdpoint.urls import is_safe
from tests.bot.teams.key_server import KeyServer
from tests.conftest import MovingClock
from tests.fakes.teams.keys import SigningKey
from tests.support.waiting import wait_until, within


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    running = KeyServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def keys(server: KeyServer, clock: MovingClock) -> AsyncIterator[SigningKeys]:
    opened = SigningKeys(server.url, clock=clock)
    await opened.start()
    yield opened
    await opened.aclose()


async def test_they_are_fetched_once_and_kept(server: KeyServer, keys: SigningKeys, clock: MovingClock) -> None:
    found = await keys.find("k1")
    assert found is not None
    assert found.endorsements == {"msteams", "webchat"}
    clock.forward(seconds=RENEW_AFTER_MS / 1000 - 1)
    assert await keys.find("k1") == found
    assert server.fetched == 1


async def test_many_callbacks_at_the_start_share_one_fetch(server: KeyServer, keys: SigningKeys) -> None:
    server.gate.clear()
    asking = [asyncio.create_task(keys.find("k1")) for _ in range(50)]
    await wait_until(lambda: server.waiting, "the fetch arrives")
    server.gate.set()
    assert all(await asyncio.gather(*asking))
    assert server.fetched == 1


async def test_they_are_renewed_in_the_background(server: KeyServer, keys: SigningKeys, clock: MovingClock) -> None:
    await keys.find("k1")
    clock.forward(seconds=RENEW_AFTER_MS / 1000)
    server.gate.clear()
    server.ring.rotate(keep=False)
    assert await keys.find("k1") is not None, "nobody waits for the renewal"
    await wait_until(lambda: server.waiting, "the renewal began")
    server.gate.set()

    async def renewed() -> bool:
        return await keys.find("k1") is None

    await wait_until(renewed, "the key that is announced no more is gone")
    assert await keys.find("k2") is not None


async def test_a_renewal_that_fails_is_repeated_and_the_keys_hold_for_a_day(
    server: KeyServer, keys: SigningKeys, clock: MovingClock
) -> None:
    def has_failed(times: int) -> bool:
        return server.fetched == times and keys._kept._fetching is None  # the clock stands until that is noted

    await keys.find("k1")
    server.metadata = 500
    clock.forward(seconds=RENEW_AFTER_MS / 1000)
    assert await keys.find("k1") is not None
    await wait_until(lambda: has_failed(2), "the renewal was tried")
    clock.forward(seconds=FAILED_EVERY_MS / 1000)
    assert await keys.find("k1") is not None
    await wait_until(lambda: has_failed(3), "and tried again")
    clock.forward(seconds=(KEEP_MS - RENEW_AFTER_MS - FAILED_EVERY_MS) / 1000)
    with pytest.raises(NoKeys):
        await keys.find("k1")
    server.metadata = None
    clock.forward(seconds=FAILED_EVERY_MS / 1000)
    assert await keys.find("k1") is not None


async def test_a_rotated_key_is_found_at_once(server: KeyServer, keys: SigningKeys) -> None:
    await keys.find("k1")
    server.ring.rotate()
    assert await keys.find("k2") is not None
    assert server.fetched == 2


async def test_unknown_ids_make_us_look_again_once_in_five_minutes(
    server: KeyServer, keys: SigningKeys, clock: MovingClock
) -> None:
    await keys.find("k1")
    found = await asyncio.gather(*(keys.find(f"unknown {n}") for n in range(100)))
    assert set(found) == {None}
    assert server.fetched == 2
    clock.forward(seconds=UNKNOWN_EVERY_MS / 1000 - 1)
    assert await keys.find("unknown") is None
    assert server.fetched == 2
    clock.forward(seconds=1)
    server.ring.rotate()
    assert await keys.find("k2") is not None
    assert server.fetched == 3


async def test_whoever_comes_during_a_look_waits_for_it(server: KeyServer, keys: SigningKeys) -> None:
    await keys.find("k1")
    server.gate.clear()
    server.ring.rotate()
    stranger = asyncio.create_task(keys.find("unknown"))
    await wait_until(lambda: server.waiting, "a stranger made us look")
    right = asyncio.create_task(keys.find("k2"))
    await asyncio.sleep(0)
    server.gate.set()
    assert await right is not None
    assert await stranger is None
    assert server.fetched == 2


async def test_one_who_gives_up_does_not_end_the_fetch_of_the_others(server: KeyServer, keys: SigningKeys) -> None:
    server.gate.clear()
    impatient, patient = (asyncio.create_task(keys.find("k1")) for _ in range(2))
    await wait_until(lambda: server.waiting, "the fetch arrives")
    impatient.cancel()
    await asyncio.wait({impatient})
    server.gate.set()
    assert await patient is not None


async def test_an_unknown_id_is_not_refused_while_nobody_can_be_asked(
    server: KeyServer, keys: SigningKeys, clock: MovingClock
) -> None:
    await keys.find("k1")
    server.metadata = 503
    server.ring.rotate()
    for _ in range(3):
        with pytest.raises(NoKeys):
            await keys.find("k2")
    assert await keys.find("k1") is not None, "the known ones go on"
    assert server.fetched == 2, "a failure is not repeated at every callback"
    server.metadata = None
    clock.forward(seconds=FAILED_EVERY_MS / 1000)
    assert await keys.find("k2") is not None


async def test_the_doctor_asks_now(server: KeyServer, keys: SigningKeys) -> None:
    await keys.find("k1")
    server.ring.rotate()
    assert await keys.check() == 2
    server.metadata = 500
    with pytest.raises(NoKeys):
        await keys.check()


async def test_a_clock_that_was_set_back_makes_us_look_again(
    server: KeyServer, keys: SigningKeys, clock: MovingClock
) -> None:
    await keys.find("k1")
    clock.forward(seconds=-3600)
    assert await keys.find("k1") is not None
    assert server.fetched == 2


@pytest.mark.parametrize(
    "answer",
    [
        500, 404, 204, b"", b"<html>", b'{"keys": [', b"[" * 5_000, b"[]", b"null", b'"x"', b"\xff", {},
        {"jwks_uri": 5}, {"jwks_uri": ""}, {"jwks_uri": "ftp://127.0.0.1/"}, {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": "https://[bad"}, {"jwks_uri": "http://127.0.0.1:1/keys"}, b" " * (MOST_BYTES + 1),
        302,
    ],
    ids=lambda answer: repr(answer)[:40],
)  # fmt: skip
async def test_metadata_that_cannot_be_used(server: KeyServer, clock: MovingClock, answer: Any) -> None:
    server.metadata = answer
    await _has_no_keys(server, clock)


@pytest.mark.parametrize(
    "answer",
    [500, b"", b"{", [], {}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": [None, 1, "k1", []]}, {"keys": [{}]}],
    ids=repr,
)
async def test_keys_that_cannot_be_used(server: KeyServer, clock: MovingClock, answer: Any) -> None:
    server.keys = answer
    await _has_no_keys(server, clock)


async def _has_no_keys(server: KeyServer, clock: MovingClock) -> None:
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    with pytest.raises(NoKeys) as caught:
        await keys.find("k1")
    assert caught.value.retry_after_seconds == FAILED_EVERY_MS / 1000
    await keys.aclose()


@pytest.mark.parametrize("status", [201, 301, 400, 500, 503])
async def test_only_a_success_counts(server: KeyServer, clock: MovingClock, status: int) -> None:
    server.metadata = (status, server.right_metadata)
    await _has_no_keys(server, clock)


async def test_no_more_is_read_than_there_can_be(server: KeyServer, clock: MovingClock) -> None:
    server.metadata = server.right_metadata | {"padding": "x" * MOST_BYTES}
    await _has_no_keys(server, clock)


async def test_a_redirect_is_not_followed(server: KeyServer, clock: MovingClock) -> None:
    server.metadata = 302
    await _has_no_keys(server, clock)
    assert server.fetched == 1


async def test_nobody_answers(clock: MovingClock) -> None:
    gone = KeyServer()
    await gone.start()
    await gone.stop()
    await _has_no_keys(gone, clock)


async def test_a_slow_server_holds_up_nothing_else_and_not_for_long(server: KeyServer, clock: MovingClock) -> None:
    server.gate.clear()
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    async with within(openid.TIMEOUT_S + 10):
        asking = asyncio.create_task(keys.find("k1"))
        await wait_until(lambda: server.waiting, "the server was asked")
        assert not asking.done()  # and this test goes on meanwhile
        with pytest.raises(NoKeys):
            await asking
    await keys.aclose()


def _jwk(**changes: object) -> dict[str, object]:
    value = SigningKey("k1").jwk() | changes
    return {name: each for name, each in value.items() if each is not None}


def _weak() -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - what is refused
    described: dict[str, object] = json.loads(RSAAlgorithm.to_jwk(key))
    return described | {"kid": "k1", "use": "sig", "key_ops": None}


@pytest.mark.parametrize(
    "odd",
    [
        _jwk(kty="EC"), _jwk(kty="oct", k="c2VjcmV0"), _jwk(kty=None), _jwk(use="enc"), _jwk(use=5), _jwk(alg="RS512"),
        _jwk(alg="HS256"), _jwk(kid=None), _jwk(kid=5), _jwk(kid=""), _jwk(n=None), _jwk(n="!"), _jwk(n=5), _jwk(e=None),
        _jwk(e=""), _jwk(d="AQAB"), _weak(),
    ],
    ids=lambda odd: repr({name: odd.get(name) for name in ("kty", "use", "alg", "kid", "e", "d")}),
)  # fmt: skip
async def test_odd_keys_are_passed_over_and_the_others_are_used(
    server: KeyServer, clock: MovingClock, odd: dict[str, object]
) -> None:
    server.keys = {"keys": [odd, SigningKey("k2").jwk()]}
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    assert await keys.find("k2") is not None
    assert await keys.find("k1") is None
    await keys.aclose()


@pytest.mark.parametrize("endorsements", [None, "msteams", 5, {"msteams": 1}, [1, None, ["msteams"]]], ids=repr)
async def test_odd_endorsements_vouch_for_nothing(server: KeyServer, clock: MovingClock, endorsements: object) -> None:
    server.keys = {"keys": [SigningKey("k1").jwk() | {"endorsements": endorsements}]}
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    found = await keys.find("k1")
    assert found is not None
    assert not found.endorsements
    await keys.aclose()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.botframework.com/v1", True),
        ("http://127.0.0.1:8/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://login.botframework.com/v1", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://127.0.0.1@example.com/", False),
        ("http://10.0.0.1/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://[bad", False),
        ("", False),
        ("login.botframework.com", False),
    ],
)
def test_nobody_on_the_way_can_change_what_is_fetched(url: str, *, safe: bool) -> None:
    assert is_safe(url) is safe
    if not safe:
        with pytest.raises(ConfigurationError, match=r"^ToBotFromChannelOpenIdMetadataUrl: must begin with https://$"):
            SigningKeys(url, clock=lambda: 0)


@pytest.mark.parametrize(
    ("found", "url"),
    [
        ("http://127.0.0.1/keys", "https://login.botframework.com/"),
        ("http://192.0.2.1/keys", "http://127.0.0.1/"),
        ("http://192.0.2.1/keys", "https://login.botframework.com/"),
        ("ftp://127.0.0.1/keys", "http://127.0.0.1/"),
        (None, "https://login.botframework.com/"),
    ],
)
def test_keys_are_not_fetched_from_everywhere(found: object, url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        keys_url({"jwks_uri": found}, url)
