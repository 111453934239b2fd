"""What an answer of the Bot Connector means. Pure.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages (403, 404) and
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit (which to repeat). Nothing that the service
wrote gets any further but its error code: texts may quote what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.platform import AccessLost, MessageGone, NobodyThere
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable

LOST_RETRY_S = 30.0
REDIRECT_RETRY_S = 30.0
DEFAULT_RETRY_AFTER_S = 2.0  # where a 429 names no time

# Microsoft: "In addition to retrying error code 429, error codes 412, 502, and 504 must also be retried".
REPEATED = frozenset({412, 429, 502, 504})
UNTOUCHED = frozenset({412, 429})  # of these: it certainly had no effect

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HINTS: Mapping[str, str] = {
    "BotNotInConversationRoster": "add the app to the team or chat again",
    "BotDisabledByAdmin": "a Teams administrator has blocked the app",
    "MessageWritesBlocked": "the app was removed or blocked there",
    "ConversationNotFound": "the conversation was deleted, or the app is not in it any more",
    "MessageSizeTooBig": "the card is too large for Teams",
    "ActivityNotFoundInConversation": "the message was deleted",
    "ConversationBlockedByUser": "the person has blocked the app",
}
_BY_STATUS: Mapping[int, str] = {
    400: "Teams does not understand the card",
    403: "the app was removed or blocked there",
    404: "there is no such place any more",
    413: "the card is too large for Teams",
}


class TeamsRefused(ChannelRefused):
    """Teams' last word on a call. ``status`` is the HTTP status, ``code`` the connector's own word, "" for none."""

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code
        hint = _HINTS.get(code) or _BY_STATUS.get(status)
        super().__init__(f"Teams answers {code or status}{f': {hint}' if hint else ''}")


def code_of(said: Mapping[str, Any]) -> str:
    """The word in ``{"error": {"code"}}``; empty for none, and for one that no service would use."""
    error = said.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def meaning(status: int, said: Mapping[str, Any], *, personal: bool) -> ChannelError:
    """What to raise for an answer that is no success and is not repeated. ``personal``: of a chat with one person."""
    code = code_of(said)
    if 300 <= status < 400:
        # Following it would hand the bot's token to whoever it leads to.
        return ChannelUnavailable("Teams answers with a redirect", retry_after_seconds=REDIRECT_RETRY_S)
    if status == 401:
        text = "Teams does not accept the bot's token: check MicrosoftAppId, MicrosoftAppPassword and MicrosoftAppType"
        return AccessLost(text, retry_after_seconds=LOST_RETRY_S)
    if status == 403 and personal:
        return NobodyThere(str(TeamsRefused(status, code)))
    if code == "ActivityNotFoundInConversation":
        return MessageGone(str(TeamsRefused(status, code)))
    if status >= 500 or status < 400 or status == 408:
        return ChannelUnavailable(f"Teams answers {code or status}")
    return TeamsRefused(status, code)


def exhausted(status: int, said: Mapping[str, Any], *, is_safe: bool, seconds: float) -> ChannelUnavailable:
    """What to raise when repeating did not help. ``is_safe``: none of the attempts can have had an effect."""
    text = f"Teams answers {code_of(said) or status} again and again"
    return ChannelUnavailable(text, retry_after_seconds=seconds if is_safe else None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a 429 names; None where it names none."""
    value = headers.get("Retry-After", "").strip()
    return float(value) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value) else None
