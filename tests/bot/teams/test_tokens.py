"""Who may call: the whole matrix of tokens, with real keys and signatures, by the clock that is passed in."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from bot.teams.openid import SigningKeys
from bot.teams.tokens import LEEWAY_S, MOST_CHARACTERS, Caller, TokenRefused, Tokens, check_fit
from tests.bot.teams.key_server import KeyServer
from tests.conftest import MovingClock
from tests.fakes.teams.keys import ISSUER, SigningKey, private_key
from tests.fakes.teams.things import APP_ID
from tests.fakes.teams.wrong_tokens import RIGHT, WRONG, Case

SERVICE_URL = "https://smba.trafficmanager.net/amer/"


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    running = KeyServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def tokens(server: KeyServer, clock: MovingClock) -> AsyncIterator[Tokens]:
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    yield Tokens(keys, issuer=ISSUER, audience=APP_ID, clock=clock)
    await keys.aclose()


async def status_of(tokens: Tokens, header: str | None, **changes: Any) -> int:
    """What a callback with this header comes to."""
    try:
        check_fit(await tokens.verify(header), {"channelId": "msteams", "serviceUrl": SERVICE_URL, **changes})
    except TokenRefused as error:
        return error.status
    return 200


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", [*WRONG.values(), *RIGHT.values()], ids=[*WRONG, *RIGHT])
async def test_every_token(server: KeyServer, tokens: Tokens, case: Case) -> None:
    case.prepare(server.ring)
    assert await status_of(tokens, case.header(server.ring, SERVICE_URL)) == case.status


def bearer(clock: MovingClock, *, head: dict[str, Any] | None = None, **changes: Any) -> str:
    """A right token of this moment but for ``changes``; None leaves a claim out."""
    now = clock() / 1000
    said = {"iss": ISSUER, "aud": APP_ID, "nbf": now - 60, "exp": now + 600, "serviceurl": SERVICE_URL} | changes
    said = {name: value for name, value in said.items() if value is not None}
    return f"Bearer {signed(json.dumps(said).encode(), head or {})}"


def signed(body: bytes, head: dict[str, Any]) -> str:
    """A token with any body, which `jwt.encode` would not make."""
    return jwt.PyJWS().encode(body, private_key("k1"), algorithm="RS256", headers={"kid": "k1", **head})


async def test_times_are_those_of_the_clock_that_was_passed_in(tokens: Tokens, clock: MovingClock) -> None:
    header = bearer(clock)
    assert await status_of(tokens, header) == 200
    clock.forward(seconds=600 + LEEWAY_S - 1)
    assert await status_of(tokens, header) == 200
    clock.forward(seconds=1)
    assert await status_of(tokens, header) == 401
    clock.forward(seconds=-600 - LEEWAY_S - 60 - LEEWAY_S)
    assert await status_of(tokens, header) == 200
    clock.forward(seconds=-1)
    assert await status_of(tokens, header) == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"nbf": None}, 200),
        ({"iat": 4_000_000_000}, 200),  # who signed it is known; when is said by nbf and exp
        ({"exp": float("nan")}, 401),
        ({"nbf": float("nan")}, 401),
        ({"nbf": float("inf")}, 401),
        ({"exp": True}, 401),
        ({"nbf": True}, 401),
        ({"exp": [4_000_000_000]}, 401),
        ({"exp": {}}, 401),
        ({"exp": ""}, 401),
        ({"exp": 0}, 401),
        ({"exp": -(10**400)}, 401),
        ({"nbf": "0"}, 401),
        ({"aud": [APP_ID]}, 401),
        ({"aud": ""}, 401),
        ({"aud": 5}, 401),
        ({"aud": {APP_ID: 1}}, 401),
        ({"iss": ""}, 401),
        ({"iss": [ISSUER]}, 401),
        ({"iss": 5}, 401),
        ({"iss": f"{ISSUER}/"}, 401),
        ({"serviceurl": SERVICE_URL.rstrip("/")}, 403),
        ({"serviceurl": ""}, 403),
        ({"serviceurl": SERVICE_URL.upper()}, 403),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_odd_claims(tokens: Tokens, clock: MovingClock, changes: dict[str, Any], status: int) -> None:
    assert await status_of(tokens, bearer(clock, **changes)) == status


@pytest.mark.parametrize(
    "head",
    [{"crit": ["b64"]}, {"crit": ["exp"], "exp": 1}, {"b64": False}, {"kid": "k" * 300}, {"kid": ""}],
    ids=repr,
)
async def test_odd_heads(server: KeyServer, tokens: Tokens, clock: MovingClock, head: dict[str, Any]) -> None:
    assert await status_of(tokens, bearer(clock)) == 200
    assert await status_of(tokens, bearer(clock, head=head)) == 401
    assert server.fetched == 1, "nobody looks for a key of that id"


@pytest.mark.parametrize(
    "head",
    [b"{}", b"[]", b"null", b"5", b"\xff", b"", b"{", b"[" * 2_000, b'{"alg":"RS256"}', b'{"alg":5,"kid":"k1"}',
     b'{"alg":"RS256","kid":["k1"]}', b'{"alg":["RS256"],"kid":"k1"}', b'{"alg":"RS256","kid":null}',
     b'{"alg":"HS256","kid":"nobody"}'],
    ids=lambda head: repr(head)[:40],
)  # fmt: skip
@pytest.mark.parametrize("rest", ["e30.e30", ".", "%.%"])
async def test_unreadable_tokens(server: KeyServer, tokens: Tokens, head: bytes, rest: str) -> None:
    text = base64.urlsafe_b64encode(head).rstrip(b"=").decode()
    assert await status_of(tokens, server.ring.bearer(SERVICE_URL)) == 200
    assert await status_of(tokens, f"Bearer {text}.{rest}") == 401
    assert server.fetched == 1, "what has no readable key id makes nobody look"


async def test_signed_nonsense_for_claims(tokens: Tokens) -> None:
    for body in (b"[]", b"null", b"\xff", b"{"):
        assert await status_of(tokens, f"Bearer {signed(body, {})}") == 401


async def test_a_header_that_is_too_long_is_not_looked_into(
    server: KeyServer, tokens: Tokens, clock: MovingClock
) -> None:
    header = bearer(clock, padding="x" * MOST_CHARACTERS)
    assert await status_of(tokens, header) == 401
    assert await status_of(tokens, bearer(clock, padding="x" * 1_000)) == 200


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("channels", "channel", "status"),
    [
        (["msteams"], "msteams", 200),
        (["webchat", "msteams"], "msteams", 200),
        (["webchat", "msteams"], "webchat", 403),
        (["emulator"], "emulator", 403),
        (["msteams"], "MSTEAMS", 403),
        (["msteams"], None, 403),
        (["msteams"], ["msteams"], 403),
    ],
)
async def test_only_teams_and_only_with_a_key_that_vouches_for_it(
    server: KeyServer, tokens: Tokens, clock: MovingClock, channels: list[str], channel: object, status: int
) -> None:
    server.ring.keys = [SigningKey("k1", channels)]
    assert await status_of(tokens, bearer(clock), channelId=channel) == status


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    "url", ["http://smba.trafficmanager.net/amer/", "https://", "", None, 5, ["x"], "ftp://x/"], ids=repr
)
def test_our_own_token_goes_only_to_an_https_address(url: object) -> None:
    caller = Caller({"serviceurl": url}, frozenset({"msteams"}))
    with pytest.raises(TokenRefused) as caught:
        check_fit(caller, {"channelId": "msteams", "serviceUrl": url})
    assert caught.value.status == 403


async def test_another_cloud_has_another_issuer(server: KeyServer, clock: MovingClock) -> None:
    keys = SigningKeys(server.url, clock=clock)
    await keys.start()
    government = Tokens(keys, issuer="https://api.botframework.us", audience=APP_ID, clock=clock)
    assert await status_of(government, bearer(clock)) == 401
    assert await status_of(government, bearer(clock, iss="https://api.botframework.us")) == 200
    await keys.aclose()
