"""The door for callbacks over HTTP: what Slack did not sign gets 401, whatever it looks like, and nothing happens."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from bot import slack as names
from bot.slack.signature import is_from_slack
from holdpoint.model import State
from tests.bot.slack.conftest import MakeWorld, World
from tests.fakes.slack.server import SIGNING_SECRET, encode

NOW_S = 1_700_000_000


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


async def approval(world: World) -> tuple[str, str, str]:
    """The body of an approving click, its content type, and the hold's id."""
    hold = await world.hold()
    card = await world.card(hold)
    found = card.button(names.APPROVE)
    assert found is not None
    raw, content_type = encode("interactive", world.slack.click_payload(world.sam, card, *found))
    return raw, content_type, hold.id


@pytest.mark.promise(5)
async def test_a_click_counts_only_with_slacks_signature_of_this_moment(http: World) -> None:
    raw, content_type, hold_id = await approval(http)
    sign = http.slack.sign
    stamp = sign(raw)["X-Slack-Request-Timestamp"]
    wrong = [
        {},
        sign(raw, secret="another"),
        sign(raw + "&x=1"),
        sign(raw, timestamp=str(int(stamp) - 310)),
        sign(raw, timestamp=str(int(stamp) + 310)),
        sign(raw, timestamp="abc"),
        sign(raw, timestamp=""),
        sign(raw, timestamp="-1"),
        sign(raw, timestamp="²"),
        {**sign(raw), "X-Slack-Signature": ""},
        {**sign(raw), "X-Slack-Signature": "v0=é"},
        {**sign(raw), "X-Slack-Signature": sign(raw)["X-Slack-Signature"].removeprefix("v0=")},
        {"X-Slack-Signature": sign(raw)["X-Slack-Signature"]},
    ]
    for headers in wrong:
        status, body = await http.slack.post(raw, {"Content-Type": content_type, **headers})
        assert (status, body) == (401, ""), headers
    assert (await http.store.holds.get(hold_id)).state is State.PENDING
    assert (await http.slack.post(raw, {"Content-Type": content_type, **sign(raw)}))[0] == 200
    assert (await http.store.holds.get(hold_id)).state is State.APPROVED


@pytest.mark.parametrize("body", ["ssl_check=1&token=x", json.dumps({"type": "url_verification", "challenge": "c"})])
async def test_nothing_is_let_in_unsigned(http: World, body: str) -> None:
    assert (await http.slack.post(body, {"Content-Type": "application/x-www-form-urlencoded"}))[0] == 401


async def test_slacks_own_check_of_the_url_is_answered(http: World) -> None:
    raw = json.dumps({"type": "url_verification", "challenge": "c", "token": "t"})
    status, body = await http.slack.post(raw, {"Content-Type": "application/json", **http.slack.sign(raw)})
    assert (status, body) == (200, {"challenge": "c"})


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "payload=",
        "payload=%7B",
        "payload=[]",
        "payload=null",
        "payload=1",
        "{",
        "[]",
        "payload=%7B%22type%22%3A%22block_actions%22%7D",
        'payload={"type":"block_actions","actions":[]}',
        'payload={"type":"view_submission","view":{"callback_id":"x"}}',
    ],
)
async def test_signed_nonsense_is_refused(http: World, raw: str) -> None:
    status, _ = await http.slack.post(
        raw, {"Content-Type": "application/x-www-form-urlencoded", **http.slack.sign(raw)}
    )
    assert status in (400, 404)


async def test_a_body_that_is_too_long_or_no_text(http: World) -> None:
    app = http.app
    assert (await app.handle({}, b"x" * (1024 * 1024 + 1)))[0] == 413
    body, stamp = b"\xff\xfe", str(int(time.time()))
    digest = hmac.new(SIGNING_SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"x-slack-signature": f"v0={digest}", "x-slack-request-timestamp": stamp}
    assert (await app.handle(headers, body))[0] == 400


@pytest.mark.parametrize(
    "value",
    ["", "x", "h0 ", " d", "h0 d", "../../etc d", "h" * 3000 + " d", "<!channel> d", "h0\nd"],
)
async def test_a_forged_value_of_a_button_finds_no_hold(http: World, value: str) -> None:
    hold = await http.hold()
    card = await http.card(hold)
    await http.slack.click(http.sam, card, names.APPROVE, value=value)
    await http.told(http.sam, "no such hold")
    assert (await http.store.holds.get(hold.id)).state is State.PENDING


async def test_a_right_hold_with_another_digest_decides_nothing(http: World) -> None:
    hold = await http.hold()
    await http.slack.click(http.sam, await http.card(hold), names.APPROVE, value=f"{hold.id} {'0' * 64}")
    await http.told(http.sam, "not the text that is held")
    assert (await http.store.holds.get(hold.id)).state is State.PENDING


def test_the_window_is_five_minutes() -> None:
    def signed(stamp: int) -> dict[str, str]:
        digest = hmac.new(b"s", b"v0:%d:body" % stamp, hashlib.sha256).hexdigest()
        return {"x-slack-signature": f"v0={digest}", "x-slack-request-timestamp": str(stamp)}

    def accepted(stamp: int, secret: str = "s") -> bool:
        return is_from_slack(signed(stamp), b"body", secret=secret, now_ms=NOW_S * 1000)

    assert accepted(NOW_S)
    assert accepted(NOW_S - 300)
    assert accepted(NOW_S + 300)
    assert not accepted(NOW_S - 301)
    assert not accepted(NOW_S + 301)
    assert not accepted(NOW_S, secret="")
