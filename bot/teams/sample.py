"""A sample card in a channel, for ``route test``: the card itself, said to be a sample, without its buttons."""

from __future__ import annotations

from bot.teams import KIND
from bot.teams.channel import Finds
from bot.teams.reactions import CARD
from bot.teams.render import sample_card
from bot.teams.spot import Speaker
from bot.views import CardView

SUMMARY = "Sample card: nothing is held"


class TeamsSampler:
    """A `bot.admin.office.Sampler`."""

    def __init__(self, connector: Speaker, channels: Finds) -> None:
        self._connector = connector
        self._channels = channels

    async def sample(self, channel: str, view: CardView) -> None:
        """See `bot.admin.office.Sampler.sample`."""
        attachment = {"contentType": CARD, "content": sample_card(view)}
        activity = {"type": "message", "summary": SUMMARY, "attachments": [attachment]}
        conversation = channel.removeprefix(f"{KIND}:")
        await self._channels.find(conversation)
        await self._connector.post(conversation, activity)
