"""The door to Slack's Web API: one call at a time, never repeated behind our back, every failure in our own words.

The SDK's default client repeats a call whose connection broke, which posts a message twice, so it has no retry
handlers here. What Slack's rate limits do not allow now fails here, without asking (see pace.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.pace import Pace
from bot.slack.places import HOME
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable

TIMEOUT_S = 10.0
DEFAULT_RETRY_AFTER_S = 30.0  # where a 429 names no time

# Errors that a later, unchanged call may not meet; every other error is Slack's last word.
_PASSING = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "service_unavailable",
        "internal_error",
        "fatal_error",
        "update_failed",
    }
)
_READS = frozenset({"conversations.history", "users.info", "users.lookupByEmail", "usergroups.users.list"})
_FORMS = frozenset({"files.getUploadURLExternal", "oauth.v2.access"})  # take no JSON
_HINTS = {
    "not_in_channel": "invite the app into the channel",
    "channel_not_found": "no such channel, or a private one that the app is not in",
    "is_archived": "the channel is archived",
    "missing_scope": "install the app again from manifests/slack.json",
    "invalid_auth": "check SLACK_BOT_TOKEN",
    "token_revoked": "install the app again and set SLACK_BOT_TOKEN",
    "account_inactive": "install the app again and set SLACK_BOT_TOKEN",
    "edit_window_closed": "the workspace's settings forbid late edits of messages; outcomes are in the card's thread",
    "is_inactive": "the channel is archived or frozen",
}
USED_METHODS = frozenset(
    {
        "auth.revoke",
        "auth.test",
        "apps.connections.open",
        "chat.delete",
        "chat.postMessage",
        "chat.update",
        "chat.postEphemeral",
        "conversations.history",
        "conversations.info",
        "conversations.open",
        "files.completeUploadExternal",
        "files.getUploadURLExternal",
        "oauth.v2.access",
        "users.info",
        "users.lookupByEmail",
        "usergroups.users.list",
        "views.open",
        "views.publish",
        "views.push",
        "views.update",
    }
)
"""Every method that Holdpoint calls; the manifest has the scopes of these and no other."""


class SlackRefused(ChannelRefused):
    """Slack's last word on a call. ``word`` is its error code."""

    def __init__(self, method: str, word: str) -> None:
        self.word = word
        hint = f" ({_HINTS[word]})" if word in _HINTS else ""
        super().__init__(f"Slack's {method} answers {word}{hint}")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the token belongs to. ``enterprise_id`` only in an Enterprise Grid."""

    team_id: str
    enterprise_id: str | None
    bot_id: str
    bot_user_id: str


class SlackClient:
    """Open with `start`, close with `aclose`. ``web`` is the SDK's client, for the parts of Bolt that need one."""

    def __init__(self, *, token: SecretStr, api_url: str, clock: Clock, logger: logging.Logger) -> None:
        self.web = AsyncWebClient(
            token=token.get_secret_value(), base_url=api_url, retry_handlers=[], logger=logger, timeout=int(TIMEOUT_S)
        )
        self.pace = Pace(clock)
        self.has_home = True
        self._installation: Installation | None = None
        self._scopes: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Open the connection pool that all calls share."""
        self.web.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=True)

    async def aclose(self) -> None:
        """Close all connections."""
        if self.web.session is not None:
            await self.web.session.close()

    async def installation(self) -> Installation:
        """Workspace and bot behind the token; asked once.

        Raises:
            ChannelError: Slack refuses the token, or cannot be asked.
        """
        if self._installation is None:
            said = await self.call("auth.test")
            self._installation = Installation(
                said["team_id"], said.get("enterprise_id"), said.get("bot_id", ""), said["user_id"]
            )
        return self._installation

    async def installation_of(self, _some_id: str) -> Installation:
        """The same for the workspace that an id belongs to (see places.py)."""
        return await self.installation()

    async def places(self) -> tuple[str, ...]:
        """The workspaces that this client can call (see places.py)."""
        return (HOME,)

    async def scopes_at(self, _place: str) -> frozenset[str]:
        """The scopes of that workspace's token, as the headers of Slack's last answer named them; empty if it did not."""
        return self._scopes

    async def call_at(
        self, _place: str, method: str, /, *, can_wait: bool = False, **arguments: Any
    ) -> Mapping[str, Any]:
        """`call`, in the workspace ``_place``, where no id says which one is meant."""
        return await self.call(method, can_wait=can_wait, **arguments)

    async def call(self, method: str, /, *, can_wait: bool = False, **arguments: Any) -> Mapping[str, Any]:
        """Call ``method`` once. Arguments that are None are left out. ``can_wait``: where calls are rationed, others first.

        Raises:
            SlackRefused: an error that will not pass by itself.
            ChannelUnavailable: Slack could not be asked, or says to come back. With ``retry_after_seconds`` the call
                certainly had no effect; without, it may have had one.
        """
        channel = str(arguments.get("channel", ""))
        self.pace.check(method, channel, can_wait=can_wait)
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            answer = await self._send(method, given)
        except SlackApiError as error:
            raise self._translated(method, channel, error) from None
        except (aiohttp.ClientError, OSError, TimeoutError, SlackClientError) as error:
            raise ChannelUnavailable(f"Slack's {method}: {type(error).__name__}") from error
        except AttributeError as error:
            # The SDK trips over an answer that is neither JSON nor an error (a proxy's 200 page).
            raise ChannelUnavailable(f"Slack's {method} answered something else than JSON") from error
        self.pace.taken(method, channel)
        return answer

    async def _send(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if method in _FORMS:
            response = await self.web.api_call(method, data=dict(arguments))
        elif method in _READS:
            response = await self.web.api_call(method, http_verb="GET", params=dict(arguments))
        else:
            response = await self.web.api_call(method, json=dict(arguments))
        if not isinstance(response.data, dict):
            raise ChannelUnavailable(f"Slack's {method} answered something else than JSON")
        self._note_scopes(response.headers)
        return response.data

    def _note_scopes(self, headers: Mapping[str, Any]) -> None:
        said = next((str(v) for k, v in headers.items() if k.lower() == "x-oauth-scopes"), "")
        if said:
            self._scopes = frozenset(part.strip() for part in said.split(","))

    def _translated(self, method: str, channel: str, error: SlackApiError) -> Exception:
        response = error.response
        data = response.data if isinstance(response, AsyncSlackResponse) else None
        word = data.get("error") if isinstance(data, dict) else None
        status = response.status_code if isinstance(response, AsyncSlackResponse) else 0
        if status == 429 or word in ("ratelimited", "rate_limited"):
            seconds = _retry_after(response.headers if isinstance(response, AsyncSlackResponse) else {})
            return self.pace.limited(method, channel, seconds)
        if not isinstance(word, str) or word in _PASSING or status >= 500:
            return ChannelUnavailable(
                f"Slack's {method} failed ({word if isinstance(word, str) else status or 'no JSON'})"
            )
        return SlackRefused(method, word)


def _retry_after(headers: Mapping[str, Any]) -> float:
    value = next((str(v) for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isascii() and value.isdigit() else DEFAULT_RETRY_AFTER_S
