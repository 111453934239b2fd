"""The whole bot, wired: Slack's callbacks come in by the bot's own web server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import slack as names
from bot.notify import consumer_group
from holdpoint.clock import now_ms
from holdpoint.model import State
from holdpoint.store import Store
from tests.bot.world import running_site
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.server import SIGNING_SECRET
from tests.support.waiting import wait_until


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_a_click_in_slack_reaches_the_store(redis_url: str, tmp_path: Path, mode: str) -> None:
    slack = FakeSlack()
    await slack.start()
    settings = {"SLACK_BOT_TOKEN": "xoxb-fake-bot", "SLACK_SIGNING_SECRET": SIGNING_SECRET, "SLACK_API_URL": slack.url}
    if mode == "socket":
        settings["SLACK_APP_TOKEN"] = "xapp-fake-app"
    sam = slack.workspace.add_user("Sam", "sam@example.com")
    channel = slack.workspace.add_channel("security", sam, channel_id="C0SECURITY")
    async with running_site(redis_url, tmp_path, **settings) as site:
        slack.request_url = f"{site.url}/slack/events" if mode == "http" else None
        await site.world.store.config.add_route("*", "slack:C0SECURITY", by="test")
        await wait_until(lambda: mode == "http" or slack.sockets, "the bot is connected")
        async with site.client.get(f"{site.url}/readyz") as ready:
            assert ready.status == 200

        hold = await site.world.hold()
        card = await wait_until(lambda: next(iter(channel.messages.values()), None), "the card is posted")
        assert (await slack.click(sam, card, names.APPROVE)).acked
        assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED
    await slack.stop()


async def test_without_slack_its_events_do_not_pile_up(redis_url: str, tmp_path: Path) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    await store.outbox.read("events", group=consumer_group(names.KIND), block_ms=1, count=1)  # when Slack was set up
    async with running_site(redis_url, tmp_path) as site:
        await site.world.hold()

        async def trimmed() -> bool:
            await store.outbox.trim("events")
            return await store.outbox.lag("events", group="no such group") == 0  # all that is in the stream

        await wait_until(trimmed, "the stream is empty, once the ledger has what it said")
    await store.aclose()
