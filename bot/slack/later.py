"""What reaches a person after Slack's three seconds: an answer by its response URL, a picture or a word in their
direct messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from bot.answers import Picture
from bot.slack.client import TIMEOUT_S, SlackClient
from bot.slack.forms import notice_blocks
from bot.slack.places import split
from bot.slack.text import inert
from bot.units import clip
from holdpoint.errors import ChannelUnavailable

_FILE = "holdpoint-stats.png"
_NOTICE = 1_500


async def respond(client: SlackClient, url: str, message: Mapping[str, Any]) -> None:
    """POST ``message`` to the response URL that came, signed by Slack, with a command or a click.

    Raises:
        ChannelUnavailable: Slack did not take it.
    """
    await _post(client, url, json=message)


async def send_picture(client: SlackClient, user: str, picture: Picture) -> None:
    """Upload ``picture`` into the app's direct messages with ``user``, which nobody else reads.

    Raises:
        ChannelError: Slack did not take it.
    """
    title = clip(picture.title, 250)
    begun = await client.call_at(
        split(user)[0], "files.getUploadURLExternal", filename=_FILE, length=len(picture.png), alt_txt=title
    )  # fmt: skip
    await _post(client, str(begun["upload_url"]), data=picture.png)
    opened = await client.call("conversations.open", users=user)
    files = [{"id": begun["file_id"], "title": title}]
    await client.call("files.completeUploadExternal", files=files, channel_id=opened["channel"]["id"])


async def write_to(client: SlackClient, user: str, text: str) -> None:
    """Say ``text`` in the app's direct messages with ``user``.

    Raises:
        ChannelError: Slack did not take it.
    """
    opened = await client.call("conversations.open", users=user)
    await client.call(
        "chat.postMessage", channel=opened["channel"]["id"], text=inert(text, _NOTICE), blocks=notice_blocks([text]),
        parse="none", link_names=False, unfurl_links=False, unfurl_media=False,
    )  # fmt: skip


async def _post(client: SlackClient, url: str, **body: Any) -> None:
    session = client.web.session
    if session is None:
        raise ChannelUnavailable("the connection to Slack is closed")
    try:
        async with session.post(url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), **body) as answer:
            if answer.status != 200:
                raise ChannelUnavailable(f"Slack answers {answer.status} to what came later")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        # The URL is a secret for as long as it works: only the kind of the error is told.
        raise ChannelUnavailable(f"Slack, later: {type(error).__name__}") from error
