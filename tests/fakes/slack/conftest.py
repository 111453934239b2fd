"""A fake that runs, and a client with the home workspace's token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.conftest import MovingClock
from tests.fakes.slack import FakeSlack


@pytest.fixture
async def slack(clock: MovingClock) -> AsyncIterator[FakeSlack]:
    """Its time moves by hand alone: however long two calls take here, a limit counts both."""
    fake = FakeSlack(clock)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def client(slack: FakeSlack) -> AsyncWebClient:
    return client_of(slack, "xoxb-fake-bot")


def client_of(slack: FakeSlack, token: str | None) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=slack.url, retry_handlers=[])


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])
