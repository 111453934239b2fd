"""The door to Slack's Web API: one call at a time, never repeated behind our back, every failure in our own words.

The SDK's default client repeats a call whose connection broke, which posts a message twice, so it has no retry
handlers here. A 429 closes the method (and for posts the channel) until the time that Slack named: until then calls
fail here, without asking. After a 429, posts to that channel keep Slack's pace of one a second.
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

from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable

TIMEOUT_S = 10.0
PACE_MS = 1000
PACED_FOR_MS = 60_000
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
_HINTS = {
    "not_in_channel": "invite the app into the channel",
    "channel_not_found": "no such channel, or a private one that the app is not in",
    "is_archived": "the channel is archived",
    "missing_scope": "install the app again from manifests/slack.json",
    "invalid_auth": "check SLACK_BOT_TOKEN",
    "token_revoked": "install the app again and set SLACK_BOT_TOKEN",
    "account_inactive": "install the app again and set SLACK_BOT_TOKEN",
    "edit_window_closed": "the workspace's settings forbid late edits of messages",
}
USED_METHODS = frozenset(
    {
        "auth.test",
        "apps.connections.open",
        "chat.postMessage",
        "chat.update",
        "chat.postEphemeral",
        "conversations.history",
        "conversations.open",
        "users.info",
        "users.lookupByEmail",
        "usergroups.users.list",
        "views.open",
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
        self._clock = clock
        self._closed_until: dict[str, int] = {}
        self._limited_at: dict[str, int] = {}
        self._installation: Installation | None = None

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

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Call ``method`` once. Arguments that are None are left out.

        Raises:
            SlackRefused: an error that will not pass by itself.
            ChannelUnavailable: Slack could not be asked, or says to come back. With ``retry_after_seconds`` the call
                certainly had no effect; without, it may have had one.
        """
        gate = f"{method} {arguments['channel']}" if method == "chat.postMessage" else method
        self._check(gate)
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            answer = await self._send(method, given)
        except SlackApiError as error:
            raise self._translated(method, gate, error) from None
        except (aiohttp.ClientError, OSError, TimeoutError, SlackClientError) as error:
            raise ChannelUnavailable(f"Slack's {method}: {type(error).__name__}") from error
        except AttributeError as error:
            # The SDK trips over an answer that is neither JSON nor an error (a proxy's 200 page).
            raise ChannelUnavailable(f"Slack's {method} answered something else than JSON") from error
        self._pace(gate)
        return answer

    async def _send(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if method in _READS:
            response = await self.web.api_call(method, http_verb="GET", params=dict(arguments))
        else:
            response = await self.web.api_call(method, json=dict(arguments))
        if not isinstance(response.data, dict):
            raise ChannelUnavailable(f"Slack's {method} answered something else than JSON")
        return response.data

    def _check(self, gate: str) -> None:
        wait_ms = self._closed_until.get(gate, 0) - self._clock()
        if wait_ms > 0:
            raise ChannelUnavailable(f"Slack's {gate} is rate-limited", retry_after_seconds=wait_ms / 1000)

    def _pace(self, gate: str) -> None:
        """Keep to one post a second for a while where Slack has complained."""
        limited = self._limited_at.get(gate)
        if limited is None:
            return
        if self._clock() - limited > PACED_FOR_MS:
            del self._limited_at[gate]
            self._closed_until.pop(gate, None)
        else:
            self._closed_until[gate] = self._clock() + PACE_MS

    def _translated(self, method: str, gate: str, error: SlackApiError) -> Exception:
        response = error.response
        data = response.data if isinstance(response, AsyncSlackResponse) else None
        word = data.get("error") if isinstance(data, dict) else None
        status = response.status_code if isinstance(response, AsyncSlackResponse) else 0
        if status == 429 or word in ("ratelimited", "rate_limited"):
            seconds = _retry_after(response.headers if isinstance(response, AsyncSlackResponse) else {})
            self._closed_until[gate] = self._clock() + int(seconds * 1000)
            if method == "chat.postMessage":
                self._limited_at[gate] = self._clock()
            return ChannelUnavailable(f"Slack's {gate} is rate-limited", retry_after_seconds=seconds)
        if not isinstance(word, str) or word in _PASSING or status >= 500:
            return ChannelUnavailable(
                f"Slack's {method} failed ({word if isinstance(word, str) else status or 'no JSON'})"
            )
        return SlackRefused(method, word)


def _retry_after(headers: Mapping[str, Any]) -> float:
    value = next((str(v) for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isascii() and value.isdigit() else DEFAULT_RETRY_AFTER_S
