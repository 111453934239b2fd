"""The door to Slack's Web API: what each answer means, nothing repeated, a 429 closes the right gate."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bot.slack.client import SlackClient, SlackRefused
from bot.slack.pace import SPARED, UPDATES
from holdpoint.errors import ChannelUnavailable
from tests.bot.slack.conftest import quiet
from tests.conftest import MovingClock
from tests.fakes.slack import FakeSlack, Fault


@pytest.fixture
async def slack(clock: MovingClock) -> AsyncIterator[FakeSlack]:
    fake = FakeSlack(clock)
    await fake.start()
    for name in ("one", "two"):
        fake.workspace.add_channel(name, channel_id=f"C0{name.upper()}")
    yield fake
    await fake.stop()


@pytest.fixture
async def client(slack: FakeSlack, clock: MovingClock) -> AsyncIterator[SlackClient]:
    client = SlackClient(token=SecretStr("xoxb-fake-bot"), api_url=slack.url, clock=clock, logger=quiet())
    await client.start()
    yield client
    await client.aclose()


async def post(client: SlackClient, channel: str = "C0ONE") -> str:
    return str((await client.call("chat.postMessage", channel=channel, text="x"))["ts"])


@pytest.mark.parametrize("word", ["not_in_channel", "is_archived", "invalid_blocks", "token_revoked", "missing_scope"])
async def test_slacks_last_word_is_a_refusal(slack: FakeSlack, client: SlackClient, word: str) -> None:
    slack.fault("chat.postMessage", Fault("error", error=word))
    with pytest.raises(SlackRefused, match=word) as caught:
        await post(client)
    assert caught.value.word == word


@pytest.mark.parametrize(
    "fault",
    [
        Fault("error", error="internal_error"),
        Fault("error", error="service_unavailable"),
        Fault("status", status=500),
        Fault("status", status=503),
        Fault("status", status=200),
        Fault("html", status=200),
        Fault("html", status=502),
        Fault("reset"),
        Fault("reset", committed=True),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.error or fault.status}-{fault.committed}",
)
async def test_what_may_pass_is_unavailable_and_never_repeated_behind_our_back(
    slack: FakeSlack, client: SlackClient, fault: Fault
) -> None:
    slack.fault("chat.postMessage", fault)
    with pytest.raises(ChannelUnavailable) as caught:
        await post(client)
    assert caught.value.retry_after_seconds is None  # it may have had its effect
    assert len(slack.calls) == 1


async def test_nobody_listening_is_unavailable(clock: MovingClock) -> None:
    client = SlackClient(token=SecretStr("x"), api_url="http://127.0.0.1:9/api/", clock=clock, logger=quiet())
    await client.start()
    with pytest.raises(ChannelUnavailable):
        await client.call("auth.test")
    await client.aclose()


async def test_a_429_closes_this_channel_for_posts_and_no_other(
    slack: FakeSlack, client: SlackClient, clock: MovingClock
) -> None:
    slack.fault("chat.postMessage", Fault("limited", retry_after=7))
    with pytest.raises(ChannelUnavailable) as caught:
        await post(client)
    assert caught.value.retry_after_seconds == 7
    clock.forward(seconds=6.9)
    with pytest.raises(ChannelUnavailable) as caught:
        await post(client)
    assert caught.value.retry_after_seconds == pytest.approx(0.1)
    assert len(slack.calls) == 1  # nothing was sent
    ts = await post(client, "C0TWO")
    await client.call("chat.update", channel="C0TWO", ts=ts, text="y")
    clock.forward(seconds=0.2)
    await post(client)


async def test_after_a_429_posts_keep_to_one_a_second_for_a_while(
    slack: FakeSlack, client: SlackClient, clock: MovingClock
) -> None:
    slack.fault("chat.postMessage", Fault("limited", retry_after=1))
    with pytest.raises(ChannelUnavailable):
        await post(client)
    clock.forward(seconds=1.1)
    await post(client)
    with pytest.raises(ChannelUnavailable):
        await post(client)
    clock.forward(seconds=61)
    for _ in range(3):
        await post(client)


async def test_a_429_of_another_method_closes_the_method(slack: FakeSlack, client: SlackClient) -> None:
    slack.fault("users.info", Fault("limited", retry_after=3))
    for _ in range(2):
        with pytest.raises(ChannelUnavailable):
            await client.call("users.info", user="U0BOT")
    assert len(slack.calls) == 1


async def test_the_workspace_is_asked_for_once(slack: FakeSlack, client: SlackClient) -> None:
    slack.workspace.enterprise = "E1"
    first = await client.installation()
    assert (first.team_id, first.enterprise_id, first.bot_user_id) == ("T0TEAM", "E1", "U0BOT")
    assert await client.installation() is first
    assert slack.count("auth.test") == 1


async def update(client: SlackClient, ts: str, *, can_wait: bool = False) -> None:
    await client.call("chat.update", can_wait=can_wait, channel="C0ONE", ts=ts, text="y")


async def test_updates_that_can_wait_leave_some_for_the_others(
    slack: FakeSlack, client: SlackClient, clock: MovingClock
) -> None:
    slack.enforce_rates("chat.update")
    ts = await post(client)
    for _ in range(UPDATES - SPARED):
        await update(client, ts, can_wait=True)
        clock.forward(seconds=0.1)
    with pytest.raises(ChannelUnavailable) as caught:
        await update(client, ts, can_wait=True)
    assert caught.value.retry_after_seconds == pytest.approx(60 - (UPDATES - SPARED) * 0.1)
    for _ in range(SPARED):
        await update(client, ts)
    assert not any(call.answer == "ratelimited" for call in slack.calls)
    clock.forward(seconds=60)
    await update(client, ts, can_wait=True)


async def test_more_updates_than_slack_takes_are_tried_until_it_says_no_and_then_paced(
    slack: FakeSlack, client: SlackClient, clock: MovingClock
) -> None:
    slack.enforce_rates("chat.update")
    ts = await post(client)
    for _ in range(UPDATES):
        await update(client, ts)
    with pytest.raises(ChannelUnavailable):
        await update(client, ts)  # Slack may well take more: it says at least so many
    clock.forward(seconds=60)
    calls = len(slack.calls)
    for _ in range(UPDATES):
        await update(client, ts)
    assert len(slack.calls) == calls + UPDATES
    assert sum(call.answer == "ratelimited" for call in slack.calls) == 1


async def test_limited_updates_hold_up_no_post_and_limited_posts_no_update(
    slack: FakeSlack, client: SlackClient
) -> None:
    ts = await post(client)
    slack.fault("chat.update", Fault("limited", retry_after=30))
    with pytest.raises(ChannelUnavailable):
        await update(client, ts)
    await post(client)
    slack.fault("chat.postMessage", Fault("limited", retry_after=30))
    with pytest.raises(ChannelUnavailable):
        await post(client)
    with pytest.raises(ChannelUnavailable):
        await update(client, ts)
    await post(client, "C0TWO")


async def test_a_reply_waits_its_second_and_a_card_does_not(client: SlackClient, clock: MovingClock) -> None:
    await post(client)
    with pytest.raises(ChannelUnavailable) as caught:
        await client.call("chat.postMessage", can_wait=True, channel="C0ONE", text="x")
    assert caught.value.retry_after_seconds == 1
    await client.call("chat.postMessage", can_wait=True, channel="C0TWO", text="x")
    await post(client)
    clock.forward(seconds=1)
    await client.call("chat.postMessage", can_wait=True, channel="C0ONE", text="x")


async def test_a_clock_that_is_set_back_stops_nobody(slack: FakeSlack, client: SlackClient, clock: MovingClock) -> None:
    ts = await post(client)
    for _ in range(UPDATES - SPARED):
        await update(client, ts, can_wait=True)
    slack.fault("chat.update", Fault("limited", retry_after=30), times=1)
    slack.fault("chat.postMessage", Fault("limited", retry_after=30), times=1)
    for limited in (update(client, ts), post(client)):
        with pytest.raises(ChannelUnavailable):
            await limited
    clock.forward(seconds=-86_400)
    await update(client, ts, can_wait=True)
    await client.call("chat.postMessage", can_wait=True, channel="C0ONE", text="x")
    await post(client)
