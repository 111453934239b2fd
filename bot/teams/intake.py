"""One callback of Teams, from its headers and body to the answer: verified, read, handed to the listener.

::

    headers ─▶ tokens.verify ─▶ body ─▶ arrived.parsed ─▶ tokens.check_fit ─▶ adapter ─▶ listener

The body is not looked into before the token is known to be the Bot Framework's. Whatever is refused gets a status and no
words: they would only help who should not be here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Mapping

from bot.teams import KIND, arrived
from bot.teams.adapter import Adapter, Turn
from bot.teams.arrived import Malformed
from bot.teams.listener import Listener, TryAgain
from bot.teams.openid import NoKeys
from bot.teams.tokens import TokenRefused, Tokens, check_fit
from holdpoint.metrics import Metrics

ACT_WITHIN_S = 4.0  # of the five seconds after which Teams shows an error, or sends an invoke again
RETRY_AFTER_S = 5

_log = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], bytes]


class Intake:
    """`handle` is what the door calls."""

    def __init__(self, tokens: Tokens, adapter: Adapter, listener: Listener, *, metrics: Metrics) -> None:
        self._tokens = tokens
        self._adapter = adapter
        self._listener = listener
        self._metrics = metrics

    async def handle(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """One POST to ``/api/messages``: status, headers and body of the answer.

        401 for what the Bot Framework did not sign, 403 for what it signed for something else, 400 for what cannot be
        read, 503 where it could not be done now, 501 for an invoke that we do not know.
        """
        try:
            return await self._handle(headers, body)
        except TokenRefused as error:
            _log.warning("refused a callback: %s", error)
            return error.status, {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}, b""
        except Malformed as error:
            _log.warning("refused a callback that cannot be read: %s", error)
            return 400, {}, b""
        except NoKeys as error:
            return 503, {"Retry-After": str(math.ceil(error.retry_after_seconds or RETRY_AFTER_S))}, b""
        except TryAgain:
            return 503, {"Retry-After": str(RETRY_AFTER_S)}, b""
        except Exception:  # noqa: BLE001 - the outermost handler of Teams' callbacks: refuse, count, log with an id
            mark = secrets.token_hex(4)
            self._metrics.errors[KIND] += 1
            _log.exception("a Teams callback failed", extra={"error_id": mark})
            return 500, {}, b""

    async def _handle(self, headers: Mapping[str, str], body: bytes) -> Answer:
        deadline = asyncio.get_running_loop().time() + ACT_WITHIN_S
        caller = await self._tokens.verify(_authorization(headers))
        activity = arrived.parsed(body)
        check_fit(caller, activity)
        returned = await self._adapter.receive(Turn(activity, deadline), caller, self._listener.on_turn)
        kind = {"Content-Type": "application/json; charset=utf-8"} if returned.body else {}
        return returned.status, kind, returned.body


def _authorization(headers: Mapping[str, str]) -> str | None:
    """The value of the header, where there is exactly one: of two, others might look at the other one."""
    values = [value for name, value in headers.items() if name.lower() == "authorization"]
    return values[0] if len(values) == 1 else None
