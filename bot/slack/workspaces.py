"""The door to several workspaces: a `SlackClient` for the home workspace that passes calls for others on to theirs.

Whose a call is stands in its ids (see places.py). The other workspaces are those that the app was installed in, as the
store has them at that moment: a removed one is refused at once, by every bot. Each has its own token, and so its own
rate limits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from bot.platform import AccessLost
from bot.slack import KIND
from bot.slack.client import Installation, SlackClient, SlackRefused
from bot.slack.places import HOME, split, with_place, without_place
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ConfigurationError
from holdpoint.store.installations import Installations, Installed
from holdpoint.store.safe import Safe

# Slack's words for a token that will never work again.
DEAD = frozenset({"token_revoked", "account_inactive", "invalid_auth", "token_expired"})

_log = logging.getLogger(__name__)


class NotInstalled(ChannelRefused):
    """The app is not in that workspace, or nobody says that its people may be trusted."""


@dataclass(slots=True)
class _Known:
    installed: Installed
    client: SlackClient


class Workspaces(SlackClient):
    """Used like the client of the home workspace. Without a home token, calls that name no workspace are refused."""

    def __init__(
        self,
        *,
        token: SecretStr | None,
        api_url: str,
        clock: Clock,
        logger: logging.Logger,
        installations: Installations,
        safe: Safe | None,
        trusted: frozenset[str],
    ) -> None:
        """``safe``: None where the app cannot be installed in other workspaces."""
        super().__init__(token=token or SecretStr(""), api_url=api_url, clock=clock, logger=logger)
        self.has_home = token is not None  # whether ids without a workspace mean anything
        self._installations = installations
        self._safe = safe
        self._trusted = trusted
        self._known: dict[str, _Known] = {}
        self._make: Callable[[SecretStr], SlackClient] = lambda its: SlackClient(
            token=its, api_url=api_url, clock=clock, logger=logger
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for known in self._known.values():
            await known.client.aclose()
        await super().aclose()

    async def places(self) -> tuple[str, ...]:
        """The home workspace (as ``""``) and every other one that is trusted.

        Raises:
            StoreUnavailable.
        """
        others = await self._installations.all(KIND) if self._safe is not None else []
        return (*((HOME,) if self.has_home else ()), *(each.id for each in others if self.trusts(each)))

    def trusts(self, installed: Installed) -> bool:
        """Whether SLACK_TRUSTED_TEAMS names the workspace, or the organisation that it belongs to."""
        return bool(self._trusted & {installed.id, installed.team, installed.enterprise})

    async def call(self, method: str, /, *, can_wait: bool = False, **arguments: Any) -> Mapping[str, Any]:
        """See `SlackClient.call`. Raises `NotInstalled` too, and StoreUnavailable for calls to other workspaces."""
        place, bare = without_place(arguments)
        return await self.call_at(place, method, can_wait=can_wait, **bare)

    async def call_at(
        self, place: str, method: str, /, *, can_wait: bool = False, **arguments: Any
    ) -> Mapping[str, Any]:
        """The same where no id says which workspace is meant."""
        if place == HOME:
            if not self.has_home:
                raise NotInstalled("SLACK_BOT_TOKEN is not set, so there is no home workspace: write slack:T0123/C0456")
            return await super().call(method, can_wait=can_wait, **arguments)
        known = await self._client_of(place)
        try:
            return with_place(await known.client.call(method, can_wait=can_wait, **arguments), place)
        except (SlackRefused, AccessLost) as error:
            if getattr(error, "word", "") not in DEAD:
                raise
            await self._forget(known.installed)
            raise NotInstalled(f"the app is not in the Slack workspace {place} any more") from error

    async def installation_of(self, some_id: str) -> Installation:
        """See `SlackClient.installation`: of the workspace that ``some_id`` belongs to."""
        place, _ = split(some_id)
        if place == HOME:
            return await self.installation()
        installed = (await self._client_of(place)).installed
        return Installation(installed.team, installed.enterprise or None, "", installed.bot_user)

    async def scopes_at(self, place: str) -> frozenset[str]:
        """See `SlackClient.scopes_at`."""
        return (
            await super().scopes_at(place)
            if place == HOME
            else await (await self._client_of(place)).client.scopes_at(HOME)
        )

    async def installation(self) -> Installation:
        """See `SlackClient.installation`."""
        if not self.has_home:
            raise NotInstalled("there is no home workspace")
        return await super().installation()

    async def is_elsewhere(self, place: str) -> bool:
        """Whether ``place`` is another workspace (or organisation) that the app was installed in, and that is trusted."""
        if self._safe is None or not place:
            return False
        if self.has_home and place == (await self.installation()).team_id:
            return False
        installed = await self._installations.get(KIND, place)
        return installed is not None and self.trusts(installed)

    async def _client_of(self, place: str) -> _Known:
        installed = await self._installations.get(KIND, place) if self._safe is not None else None
        if installed is None or self._safe is None:
            raise NotInstalled(f"the app is not installed in the Slack workspace {place}: open /slack/install there")
        if not self.trusts(installed):
            raise NotInstalled(f"SLACK_TRUSTED_TEAMS does not name the Slack workspace {place}")
        known = self._known.get(place)
        if known is None or known.installed != installed:
            try:
                client = self._make(self._safe.open(installed.locked_token))
            except ConfigurationError as error:
                raise NotInstalled(str(error)) from error
            if known is not None:
                await known.client.aclose()
            await client.start()
            known = self._known[place] = _Known(installed, client)
        return known

    async def _forget(self, installed: Installed) -> None:
        """Its token is dead. Only this installation is removed: a newer one stays."""
        if await self._installations.remove(installed, by=KIND):
            _log.warning(
                "Slack workspace %s (%s): the app was removed or its token revoked; nothing is drawn there any more, and "
                "nobody there can decide. Install it again at /slack/install, or remove the routes to slack:%s/…",
                installed.id, installed.name, installed.id,
            )  # fmt: skip
