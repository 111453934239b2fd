"""``POST /api/messages``: whatever comes in, wrong tokens get 401 or 403, wrong bodies 400, and nothing happens."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.web import teams_door
from bot.web.teams_door import MOST_BYTES
from holdpoint.store import Store
from tests.bot.teams.doorway import SERVICE_URL, Doorway, activity, dialog, execute
from tests.bot.teams.key_server import KeyServer
from tests.fakes.teams.wrong_tokens import RIGHT, WRONG, Case
from tests.support.waiting import within


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    running = KeyServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def door(server: KeyServer, store: Store) -> AsyncIterator[Doorway]:
    opened = Doorway(server, store)
    await opened.start()
    yield opened
    await opened.stop()


def nothing_happened(door: Doorway) -> bool:
    reached = door.reached
    return not (reached.learnt or reached.clicks or reached.messages or reached.forgotten or reached.told)


# tokens


@pytest.mark.promise(5)
@pytest.mark.promise(8)
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
async def test_a_wrong_token_gets_in_nowhere(
    door: Doorway, server: KeyServer, caplog: pytest.LogCaptureFixture, case: Case
) -> None:
    caplog.set_level(logging.DEBUG)
    case.prepare(server.ring)
    header = case.header(server.ring, SERVICE_URL)
    for sent in (execute(), dialog(), activity(), b"{", b""):
        answer = await door.send(sent, header=header)
        assert answer.body == b""
        if case.status == 403 and isinstance(sent, bytes):
            assert answer.status == 400, "the token is right, the body is not"
        else:
            assert answer.status == case.status
        assert ("WWW-Authenticate" in answer.headers) is (answer.status == 401)
        assert answer.headers.get("WWW-Authenticate", "Bearer") == "Bearer"
    assert nothing_happened(door)
    assert door.metrics.errors["teams"] == 0
    token = (header or "").split(" ")[-1]
    assert len(token) < 8 or token not in caplog.text


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
async def test_a_right_token_gets_in(door: Doorway, server: KeyServer, case: Case) -> None:
    await door.send(activity())  # the keys are known
    case.prepare(server.ring)
    assert (await door.send(execute(), header=case.header(server.ring, SERVICE_URL))).status == 200
    assert len(door.reached.clicks) == 1


async def test_two_tokens_are_none(door: Doorway, server: KeyServer) -> None:
    right = server.ring.bearer(SERVICE_URL)
    for pair in ([right, right], [right, "Bearer x.y.z"]):
        headers = [("Content-Type", "application/json"), *(("Authorization", each) for each in pair)]
        assert (await door.send(activity(), headers=headers)).status == 401
    assert nothing_happened(door)


async def test_a_token_is_good_for_its_service_url_alone(door: Doorway, server: KeyServer) -> None:
    header = server.ring.bearer(SERVICE_URL)
    moved = activity(serviceUrl="https://smba.trafficmanager.net/emea/")
    assert (await door.send(moved, header=header)).status == 403
    assert (await door.send(moved)).status == 200
    assert [each["serviceUrl"] for each in door.reached.learnt] == ["https://smba.trafficmanager.net/emea/"]


@pytest.mark.parametrize("channel", ["webchat", "slack", "emulator", "directline", "MSTEAMS"])
async def test_other_channels_are_none_of_ours(door: Doorway, channel: str) -> None:
    assert (await door.send(activity(channelId=channel))).status == 403
    assert nothing_happened(door)


async def test_a_rotated_key_is_good_at_once_and_a_withdrawn_one_is_not(door: Doorway, server: KeyServer) -> None:
    assert (await door.send(activity())).status == 200
    old = server.ring.bearer(SERVICE_URL)
    server.ring.rotate(keep=False)
    assert (await door.send(activity(id="2"))).status == 200
    assert (await door.send(activity(id="3"), header=old)).status == 401
    assert server.fetched == 2


async def test_a_key_that_is_announced_late_is_good_five_minutes_later(
    store: Store, server: KeyServer, clock: Any
) -> None:
    door = Doorway(server, store, clock=clock)
    await door.start()
    await door.send(activity())
    server.ring.rotate(publish=False)
    assert (await door.send(activity())).status == 401
    server.ring.keys[-1].published = True
    assert (await door.send(activity())).status == 401
    clock.forward(seconds=300)
    assert (await door.send(activity())).status == 200
    await door.stop()


@pytest.mark.parametrize(
    "metadata", [500, 404, b"<html>", b'{"keys": [', {}, {"jwks_uri": "http://127.0.0.1:1/"}], ids=repr
)
async def test_without_keys_nothing_gets_in_and_teams_is_told_when_to_come_back(
    server: KeyServer, store: Store, metadata: Any
) -> None:
    server.metadata = metadata
    door = Doorway(server, store)
    await door.start()
    answers = await door.many(*(execute() for _ in range(20)))
    assert {(each.status, each.headers["Retry-After"], each.body) for each in answers} == {(503, "10", b"")}
    assert nothing_happened(door)
    assert server.fetched == 1
    assert door.metrics.errors["teams"] == 0
    await door.stop()


async def test_a_flood_of_unknown_keys_costs_one_fetch_and_nobody_else_anything(
    door: Doorway, server: KeyServer
) -> None:
    await door.send(activity())
    server.gate.clear()
    header = WRONG["an unknown kid"].header(server.ring, SERVICE_URL)
    flood = asyncio.gather(*(door.send(activity(), header=header) for _ in range(40)))
    async with within(2.5):
        assert (await door.send(execute())).status == 200
    server.gate.set()
    assert {each.status for each in await flood} == {401}
    assert server.fetched == 2


# bodies


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_only_json(door: Doorway, server: KeyServer, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type, "Authorization": server.ring.bearer(SERVICE_URL)}
    assert (await door.send(activity(), headers=headers)).status == status
    assert nothing_happened(door) is (status != 200)


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize("form", ["long", "in pieces", "compressed"])
async def test_a_body_that_is_too_long(door: Doorway, server: KeyServer, form: str) -> None:
    long = json.dumps(activity(text="x" * (MOST_BYTES + 1))).encode()
    right = {"Content-Type": "application/json", "Authorization": server.ring.bearer(SERVICE_URL)}
    match form:
        case "long":
            answer = await door.send(long)
        case "in pieces":
            answer = await door.send(b"", data=_pieces(8 * MOST_BYTES))
        case _:
            answer = await door.send(
                b"", data=gzip.compress(b" " * 50_000_000), headers=right | {"Content-Encoding": "gzip"}
            )
    assert (answer.status, answer.body) == (413, b"")
    assert nothing_happened(door)
    fits = activity(text="x" * (MOST_BYTES - 2_000))
    assert (await door.send(fits)).status == 200


async def test_a_body_that_never_ends(door: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teams_door, "READ_WITHIN_S", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    sending = asyncio.create_task(door.send(b"", data=slow()))
    assert (await sending).status == 408


def deep(levels: int) -> bytes:
    return json.dumps(activity()).encode()[:-1] + b', "value": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"null", b"true", b"5", b'"x"', b"[]", b"[{}]", b"{}", b"\xff\xfe", b"{'type': 'message'}",
        b'{"type": NaN}', b"\xef\xbb\xbf{}", json.dumps(activity()).encode() + b"{}", json.dumps([activity()]).encode(),
        b'{"type":"\\ud800"}', deep(40), deep(900), deep(100_000),
        *(
            json.dumps(activity(**{name: None})).encode()
            for name in ("type", "channelId", "serviceUrl", "from", "conversation")
        ),
        *(
            json.dumps(activity(**{name: value})).encode()
            for name in ("type", "id", "channelId", "serviceUrl", "name", "action", "text", "replyToId")
            for value in (5, [], {}, True)
        ),
        *(
            json.dumps(activity(**{name: value})).encode()
            for name in ("from", "recipient", "conversation", "channelData")
            for value in (5, [], "x", True)
        ),
        *(json.dumps(activity(**{"from": value})).encode() for value in ({}, {"id": 5}, {"id": None}, {"name": "Sam"})),
        *(json.dumps(activity(conversation=value)).encode() for value in ({}, {"id": 5}, {"id": ["x"]})),
        *(json.dumps(activity(type=value)).encode() for value in ("", None)),
    ],
    ids=lambda body: repr(body)[-60:],
)  # fmt: skip
async def test_a_body_that_is_no_activity(door: Doorway, body: bytes) -> None:
    answer = await door.send(body)
    assert (answer.status, answer.body) == (400, b"")
    assert nothing_happened(door)
    assert door.metrics.errors["teams"] == 0


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["id", "name", "action", "text", "replyToId", "from", "recipient", "conversation", "channelData", "value", "entities",
     "membersAdded", "membersRemoved", "attachments", "timestamp", "deliveryMode", "locale", "callerId", "type", "unheard of"]
)  # fmt: skip
KINDS = st.sampled_from(["message", "invoke", "conversationUpdate", "installationUpdate", "event", "messageReaction"])
NAMES = st.sampled_from(["adaptiveCard/action", "task/fetch", "task/submit", "composeExtension/query"])


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(kind=KINDS, name=NAMES, changes=st.dictionaries(FIELDS, JSON, max_size=4))
async def test_wrong_types_everywhere(door: Doorway, kind: str, name: str, changes: dict[str, Any]) -> None:
    answer = await door.send({**activity(type=kind, name=name), **changes})
    assert answer.status in {200, 400, 501}
    assert door.metrics.errors["teams"] == 0


INSIDE = st.sampled_from(
    ["name", "aadObjectId", "role", "isGroup", "conversationType", "tenantId", "properties", "tenant", "team", "channel",
     "eventType", "settings", "membersAdded"]
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    kind=KINDS,
    where=st.sampled_from(["from", "recipient", "conversation", "channelData"]),
    changes=st.dictionaries(INSIDE, JSON, min_size=1, max_size=3),
)
async def test_wrong_types_inside(door: Doorway, kind: str, where: str, changes: dict[str, Any]) -> None:
    sent = activity(type=kind, name="adaptiveCard/action")
    answer = await door.send(sent | {where: {**sent[where], **changes}})
    assert answer.status in {200, 400}
    assert door.metrics.errors["teams"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_other_methods(door: Doorway, method: str) -> None:
    async with door.client.request(method, door.url) as answer:
        assert answer.status == 405
