"""Callbacks of the fake: signed, in time, again when they fail, and over Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack


class Receiver:
    """An app that answers every callback with `status`, or not at all."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.requests: list[tuple[dict[str, str], str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.text()))
        if self.status is None:
            await asyncio.Event().wait()
        return web.Response(status=self.status or 200)


@pytest.fixture
async def receiver(slack: FakeSlack) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield receiver
    await runner.cleanup()


async def test_callbacks_are_signed(slack: FakeSlack, receiver: Receiver) -> None:
    sam = slack.workspace.add_user("Sam", None)
    channel = slack.workspace.add_channel("ops", sam)
    assert (await slack.command(sam, channel, "help")).acked
    headers, body = receiver.requests[0]
    assert (
        slack.sign(body, timestamp=headers["X-Slack-Request-Timestamp"])["X-Slack-Signature"]
        == headers["X-Slack-Signature"]
    )


async def test_an_answer_has_three_seconds(slack: FakeSlack, receiver: Receiver) -> None:
    sam = slack.workspace.add_user("Sam", None)
    channel = slack.workspace.add_channel("ops", sam)
    receiver.status = None
    delivery = await slack.command(sam, channel, "help")
    assert not delivery.acked
    assert 2.9 < delivery.seconds < 4


async def test_events_are_sent_again_three_times(slack: FakeSlack, receiver: Receiver) -> None:
    receiver.status = 500
    deliveries = await slack.event({"type": "app_uninstalled"})
    assert [d.acked for d in deliveries] == [False] * 4
    assert [headers.get("x-slack-retry-num") for headers, _ in receiver.requests] == [None, "1", "2", "3"]
    receiver.status = 200
    assert len(await slack.event({"type": "app_uninstalled"})) == 1


async def test_socket_mode(slack: FakeSlack) -> None:
    client = AsyncWebClient(token="xoxb-fake-bot", base_url=slack.url, retry_handlers=[])
    url = (await client.apps_connections_open(app_token="xapp-fake-app"))["url"]
    sam = slack.workspace.add_user("Sam", None)
    channel = slack.workspace.add_channel("ops", sam)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)  # a ticket serves once
        sending = asyncio.create_task(slack.command(sam, channel, "help"))
        envelope = await socket.receive_json()
        assert envelope["type"] == "slash_commands"
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "hello"}})
        assert (await sending).acked
        assert slack.told(sam) == ["hello"]
        assert not (await slack.command(sam, channel, "help")).acked  # nobody acknowledges this one
        await socket.receive_json()
        await slack.disconnect("warning")
        assert (await socket.receive_json())["reason"] == "warning"


async def test_a_frame_that_is_too_long_ends_its_connection(slack: FakeSlack) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(slack.new_link()) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        await socket.send_str("x" * 20_481)
        assert (await socket.receive()).data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
