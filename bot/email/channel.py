"""E-mail as a `bot.platform.Channel`: a first mail for each card, and replies in its thread for what is news.

Targets: ``email:team@example.com`` is a routed address, ``email:dm:dana@example.com`` the requester's own. A mail cannot
be changed: an update is another mail, sent only where `news` has something (`Rendering.news`). Whether a mail of a bot
that crashed was sent cannot be found out; it is sent again under the same Message-ID.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from bot.bundle_views import bundled
from bot.cards import card_view, plain_text
from bot.email import KIND, news
from bot.email.message import compose, root_id, update_id
from bot.email.pace import Pace
from bot.email.render import CARD_CHARACTERS, Mail, card_mail, digest_mail, requester_mail
from bot.email.sender import NoMailbox, Sender
from bot.email.server import MailServer
from bot.platform import Found, NobodyThere, Posted, Rendering, Reply
from bot.presence import off_sentence
from bot.shared_views import DIGEST_LINES, BundleView
from bot.views import CardView
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.live import Live
from holdpoint.mailbox import mailbox
from holdpoint.model import Hold
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle

_DM = f"{KIND}:dm:"
_MOST_REMEMBERED = 20_000  # threads


class EmailChannel:
    """Sends mails about holds."""

    kind = KIND
    most_listed = DIGEST_LINES

    def __init__(self, server: MailServer, sender: Sender, live: Live, *, link_base: str, clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._live = live
        self._link_base = link_base
        self._clock = clock
        self._pace = Pace(clock)
        self._told: OrderedDict[str, str] = OrderedDict()  # root id to the digest of what this process sent last

    def render(self, hold: Hold, target: str) -> Rendering:
        """The mail for reviewers, or the requester's. What it says of the time left is as of now; its news is not."""
        view = self._view(hold)
        if target.startswith(_DM):
            return _rendering(hold.id, requester_mail(view), plain_text(view), news.for_requester(hold))
        mail = card_mail(view, latest=news.latest(hold, masks=self._masks))
        return _rendering(hold.id, mail, plain_text(view), news.of_hold(hold))

    def render_bundle(self, bundle: Bundle, holds: Sequence[Hold]) -> Rendering:
        """See `bot.platform.Channel.render_bundle`. Nothing is offered: a mail decides nothing."""
        what = bundled(bundle, holds, link_base=self._link_base, masks=self._masks, limit=CARD_CHARACTERS)
        if isinstance(what.view, BundleView):
            mail = card_mail(self._view(_shown(holds, what.view)), bundle=what.view, first=bundle.holds[0])
        else:
            mail = digest_mail(what.view)
        return _rendering(bundle.id, mail, what.shown, news.of_bundle(bundle, holds), dict(what.rows))

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """See `bot.platform.Channel.post`. The mail's id follows from ``intent``."""
        address = _address(target)
        message_id = root_id(rendering.payload["owner"], target, intent, domain=self._server.domain)
        try:
            await self._send(address, rendering, message_id=message_id, is_list=not target.startswith(_DM))
        except NoMailbox as error:
            raise _refusal(target, str(error)) from error
        self._remember(message_id, rendering)
        return Posted(f"dm:{address}" if target.startswith(_DM) else address, message_id)

    async def update(self, place: Posted, rendering: Rendering, *, urgent: bool) -> None:
        """Tell the news in the thread of the mail at ``place``; nothing, where it has just been told."""
        del urgent  # it is news, or it would not be here
        if self._told.get(place.message) == rendering.digest:
            return
        await self._send(
            place.channel.removeprefix("dm:"), rendering, can_wait=True, root=place.message,
            message_id=update_id(place.message, rendering.digest), is_list=not place.channel.startswith("dm:"),
        )  # fmt: skip
        self._remember(place.message, rendering)

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """None: nobody can look into a mailbox."""
        del target, intent, since_ms
        return None

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        """None: nobody can look into a mailbox."""
        del target, since_ms
        return None

    async def reply(self, place: Posted, reply: Reply) -> None:
        """Nothing: what is said in the threads of chats is news, and told by `update`."""

    async def remove(self, place: Posted) -> None:
        """Nothing: a mail that was sent stays."""

    def _view(self, hold: Hold) -> CardView:
        return card_view(
            hold, now_ms=self._clock(), link_base=self._link_base, masks=self._masks, limit=CARD_CHARACTERS,
            off=off_sentence(hold, self._live.snapshot, self._clock()),
        )  # fmt: skip

    @property
    def _masks(self) -> Masks:
        return self._live.snapshot.policy.masks

    async def _send(
        self,
        address: str,
        rendering: Rendering,
        *,
        message_id: str,
        is_list: bool,
        root: str = "",
        can_wait: bool = False,
    ) -> None:
        """Send one mail, when its address may have one.

        Raises:
            ChannelRefused, ChannelUnavailable: see `bot.email.sender`.
        """
        payload = rendering.payload
        mail = Mail(payload["subject"], payload["text"], payload["html"])
        message = compose(
            self._server, mail, to=address, message_id=message_id, at_ms=self._clock(), root=root, is_list=is_list
        )
        taken = self._pace.take(address, can_wait=can_wait)
        try:
            await self._sender.send(message, to=address)
        except ChannelUnavailable as error:
            if error.retry_after_seconds is not None:
                self._pace.give_back(address, taken)
            raise
        except ChannelRefused:
            self._pace.give_back(address, taken)
            raise

    def _remember(self, root: str, rendering: Rendering) -> None:
        """Whoever draws again because another bot may have been quicker has nothing to send here."""
        self._told[root] = rendering.digest
        self._told.move_to_end(root)
        while len(self._told) > _MOST_REMEMBERED:
            self._told.popitem(last=False)


def _rendering(owner: str, mail: Mail, shown: str, what: str, rows: dict[str, str] | None = None) -> Rendering:
    payload = {"owner": owner, "subject": mail.subject, "text": mail.text, "html": mail.html}
    return Rendering(payload, shown, rows=rows or {}, news=what)


def _shown(holds: Sequence[Hold], view: BundleView) -> Hold:
    """The one of the holds that the bundle's card shows."""
    return next(hold for hold in holds if hold.id == view.card.id)


def _address(target: str) -> str:
    """Where to.

    Raises:
        NobodyThere, ChannelRefused: it is no e-mail address.
    """
    address = mailbox(target.removeprefix(_DM).removeprefix(f"{KIND}:"))
    if address is None:
        raise _refusal(target, "this is not one e-mail address")
    return address


def _refusal(target: str, said: str) -> ChannelRefused:
    """A person without a mailbox is nobody's fault; a routed address without one is an admin's."""
    return NobodyThere(said) if target.startswith(_DM) else ChannelRefused(said)
