"""OAuth v2: how the app gets into workspaces besides the home one.

::

    GET /slack/install ─ state: cookie + Redis ─▶ Slack's page ─ Allow ─▶ GET /slack/oauth_redirect ─ code ─▶ token
        ─ trusted? ─▶ locked into the store │ revoked

Whoever knows the address may begin; only workspaces that SLACK_TRUSTED_TEAMS names (or their organisation) get in.
The state binds the answer to the browser that asked, and serves once.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from pydantic import SecretStr

from bot.slack import KIND
from bot.slack.client import SlackClient
from bot.slack.scopes import BOT_SCOPES
from bot.slack.workspaces import Workspaces
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError, ConfigurationError, StoreUnavailable
from holdpoint.settings import Settings
from holdpoint.store.installations import Installations, Installed
from holdpoint.store.safe import Safe

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
COOKIE = "holdpoint_slack_state"
STATE_S = 600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser gets: plain words, or the address to go to."""

    status: int
    words: str = ""
    location: str = ""
    cookie: str = ""


class Installer:
    """The two steps of an installation."""

    def __init__(
        self, settings: Settings, installations: Installations, workspaces: Workspaces, safe: Safe, *, clock: Clock,
        logger: logging.Logger,
    ) -> None:  # fmt: skip
        """Needs SLACK_CLIENT_ID.

        Raises:
            ConfigurationError: the client's secret or the public address is not set.
        """
        if settings.slack_client_secret is None:
            raise ConfigurationError("SLACK_CLIENT_SECRET: needed with SLACK_CLIENT_ID")
        if not settings.public_url:
            raise ConfigurationError(
                "HOLDPOINT_PUBLIC_URL: needed with SLACK_CLIENT_ID; Slack sends browsers back to it"
            )
        self._id = settings.slack_client_id
        self._secret = settings.slack_client_secret
        self._authorize = urljoin(settings.slack_api_url, "../oauth/v2/authorize")
        self._redirect = settings.link_base + REDIRECT_PATH
        self.is_secure = settings.link_base.startswith("https://")
        self._installations = installations
        self._workspaces = workspaces
        self._safe = safe
        self._clock = clock
        self._logger = logger
        self._api_url = settings.slack_api_url

    async def begin(self) -> Page:
        """Send the browser to Slack, with a secret of its own.

        Raises:
            StoreUnavailable: nothing can be begun.
        """
        state = secrets.token_urlsafe(32)
        await self._installations.begin(state, ttl_ms=STATE_S * 1000)
        query = urlencode(
            {
                "client_id": self._id, "scope": ",".join(sorted(BOT_SCOPES)), "state": state,
                "redirect_uri": self._redirect,
            }
        )  # fmt: skip
        return Page(302, location=f"{self._authorize}?{query}", cookie=state)

    async def finish(self, query: Mapping[str, str], cookie: str) -> Page:
        """The browser is back with Slack's answer.

        Raises:
            StoreUnavailable: nothing was noted; begin again.
        """
        state = query.get("state", "")
        if not state or not hmac.compare_digest(_bytes(state), _bytes(cookie)):
            return Page(
                400, "This is not the browser in which the installation was begun, or it took too long. Begin again."
            )
        if not await self._installations.finish(state):
            return Page(400, "This installation is over. Begin again.")
        if query.get("error"):
            return Page(200, "Nothing was installed.")
        if not query.get("code"):
            return Page(400, "Slack sent no code. Begin again.")
        try:
            return await self._exchange(query["code"])
        except ChannelError as error:
            _log.warning("an installation came to nothing: %s", error)
            return Page(502, "Slack did not complete the installation. Begin again; the bot's log says more.")

    async def _exchange(self, code: str) -> Page:
        client = SlackClient(token=SecretStr(""), api_url=self._api_url, clock=self._clock, logger=self._logger)
        await client.start()
        try:
            said = await client.call(
                "oauth.v2.access", client_id=self._id, client_secret=self._secret.get_secret_value(), code=code,
                redirect_uri=self._redirect,
            )  # fmt: skip
        finally:
            await client.aclose()
        installed, token = self._read(said)
        if not self._workspaces.trusts(installed):
            await self._revoke(token)
            _log.warning(
                "Slack workspace %s (%s) is not trusted: its installation was revoked. To trust its people, add the id to "
                "SLACK_TRUSTED_TEAMS and restart", installed.id, installed.name,
            )  # fmt: skip
            return Page(
                403, "This workspace is not one whose people may decide here. Ask Holdpoint's operator to trust it."
            )
        await self._installations.put(installed)
        _log.info("the app was installed in Slack workspace %s (%s)", installed.id, installed.name)
        return Page(200, f"Installed. Cards can be routed to slack:{installed.id}/C…, once the app is invited there.")

    def _read(self, said: Mapping[str, Any]) -> tuple[Installed, SecretStr]:
        token = SecretStr(str(said["access_token"]))
        team, enterprise = said.get("team") or {}, said.get("enterprise") or {}
        is_whole = bool(said.get("is_enterprise_install"))
        place = enterprise if is_whole else team
        return (
            Installed(
                platform=KIND, id=str(place["id"]), name=str(place.get("name") or ""),
                team="" if is_whole else str(team["id"]), enterprise=str(enterprise.get("id") or ""),
                bot_user=str(said.get("bot_user_id") or ""), scopes=tuple(str(said.get("scope") or "").split(",")),
                locked_token=self._safe.lock(token), by=str((said.get("authed_user") or {}).get("id") or ""),
                at_ms=self._clock(),
            ),
            token,
        )  # fmt: skip

    async def _revoke(self, token: SecretStr) -> None:
        """Give a token back that is not wanted."""
        client = SlackClient(token=token, api_url=self._api_url, clock=self._clock, logger=self._logger)
        await client.start()
        try:
            await client.call("auth.revoke")
        finally:
            await client.aclose()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


async def safely(step: Awaitable[Page]) -> Page:
    """A step's page, also while the store is away."""
    try:
        return await step
    except StoreUnavailable:
        return Page(503, "Holdpoint's store does not answer. Try again.")
