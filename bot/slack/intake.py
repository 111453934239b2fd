"""What happens to every callback before its listener: is it new, from which workspace, and is the app still there?

Events and commands that were delivered before, to whichever bot, are acknowledged and dropped. Clicks and modals are
not counted: doing them twice is harmless, and a click that failed may be pressed again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

from bot.slack import KIND
from bot.slack.places import HOME, at_place, local, place_of
from bot.slack.workspaces import DEAD, Workspaces
from holdpoint.errors import ChannelRefused, StoreUnavailable
from holdpoint.store.seen import Seen

_log = logging.getLogger(__name__)

Next = Callable[[], Awaitable[BoltResponse | None]]


class Intake:
    """`register` puts it in front of an app's listeners, with listeners of its own for the end of an installation."""

    def __init__(self, workspaces: Workspaces, seen: Seen) -> None:
        self._workspaces = workspaces
        self._seen = seen

    def register(self, bolt: AsyncApp) -> None:
        """Before any listener is added."""
        bolt.use(self.once)
        bolt.use(self.placed)
        bolt.event("app_uninstalled")(self.ended)
        bolt.event("tokens_revoked")(self.ended)

    async def once(self, body: dict[str, Any], next_: Next) -> BoltResponse | None:
        """Let a delivery pass if it is the first one."""
        delivery = _delivery(body)
        try:
            if delivery is not None and not await self._seen.first(*delivery):
                return BoltResponse(status=200)
        except StoreUnavailable:
            if "command" not in body:
                raise  # Slack sends the event again; a command says for itself that it could not be run
        return await next_()

    async def failed(self, body: dict[str, Any]) -> None:
        """A listener raised: the next delivery is to be handled."""
        delivery = _delivery(body)
        if delivery is None:
            return
        try:
            await self._seen.forget(*delivery)
        except StoreUnavailable as error:
            _log.warning("a Slack event may be lost: %s", error)

    async def placed(self, body: dict[str, Any], next_: Next) -> BoltResponse | None:
        """Give the ids of another workspace their prefix, in place: the listeners get the same ``body``."""
        place = place_of(body)
        if await self._workspaces.is_elsewhere(place):
            body.update(at_place(body, place))
        return await next_()

    async def ended(self, body: dict[str, Any]) -> None:
        """The app was removed, or its tokens were taken away; or this is old news about an earlier installation.

        Raises:
            ChannelUnavailable, StoreUnavailable: it cannot be told now; Slack sends the event again.
        """
        tokens = (body.get("event") or {}).get("tokens")
        if tokens is not None and not tokens.get("bot"):
            return  # somebody's own token, of which there are none
        place = place_of(body)
        elsewhere = await self._workspaces.is_elsewhere(place)
        try:
            await self._workspaces.call_at(place if elsewhere else HOME, "auth.test")
        except ChannelRefused as error:
            if not elsewhere and getattr(error, "word", "") in DEAD:
                _log.error(
                    "Slack: the app was removed from the home workspace, or its token revoked; no card is drawn and no "
                    "click arrives. Install it again, set SLACK_BOT_TOKEN, restart"
                )


def _delivery(body: dict[str, Any]) -> tuple[str, str] | None:
    """What Slack would send again under the same name: kind and id. None for what is not counted."""
    if body.get("type") == "event_callback" and body.get("event_id"):
        return "event", f"{KIND}:{body['event_id']}"
    if body.get("command") and body.get("trigger_id"):
        return "command", f"{KIND}:{local(str(body['trigger_id']))}"
    return None
