"""A sample card in a channel, for ``route test``: the card itself, said to be a sample, without its buttons."""

from __future__ import annotations

from bot.slack import KIND
from bot.slack.blocks import load
from bot.slack.channel import INERT, NO_UNFURL
from bot.slack.client import SlackClient
from bot.slack.render import card_blocks
from bot.views import CardView

HEADING = "Sample card"


class SlackSampler:
    """A `bot.admin.office.Sampler`."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client

    async def sample(self, channel: str, view: CardView) -> None:
        """See `bot.admin.office.Sampler.sample`."""
        shown = [block for block in card_blocks(view) if block["type"] != "actions"]
        blocks = load("slack/sample.json.j2", heading=HEADING, blocks=shown)
        target = channel.removeprefix(f"{KIND}:")
        await self._client.call(
            "chat.postMessage", channel=target, text=f"{HEADING}: nothing is held", blocks=blocks, **INERT, **NO_UNFURL
        )
