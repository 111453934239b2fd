"""A sample mail at a routed address, for ``route test``: the card itself, said to be a sample, without a link."""

from __future__ import annotations

import secrets

from bot.email import KIND
from bot.email.message import compose, root_id
from bot.email.render import card_mail
from bot.email.sender import Sender
from bot.email.server import MailServer
from bot.views import CardView
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused
from holdpoint.mailbox import mailbox


class EmailSampler:
    """A `bot.admin.office.Sampler`."""

    def __init__(self, server: MailServer, sender: Sender, *, clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock

    async def sample(self, channel: str, view: CardView) -> None:
        """See `bot.admin.office.Sampler.sample`."""
        address = mailbox(channel.removeprefix(f"{KIND}:"))
        if address is None:
            raise ChannelRefused("this is not one e-mail address")
        message_id = root_id(view.id, channel, secrets.token_hex(8), domain=self._server.domain)
        message = compose(
            self._server, card_mail(view, sample=True), to=address, message_id=message_id, at_ms=self._clock(),
            is_list=True,
        )  # fmt: skip
        await self._sender.send(message, to=address)
