"""Whatever goes wrong on the route ends here, as a refusal in the provider's shape: promise 1's last line of defence."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from gateway.exchange import Exchange
from gateway.refuse import refuse, unavailable
from gateway.transport import ClientGone
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.model import RefusalCode

Going: TypeAlias = Coroutine[Any, Any, "Going | None"]
"""A step on its way. What it returns is the next one, so that a request that waits keeps nothing of those before."""

Step = Callable[..., Going]

_log = logging.getLogger(__name__)


class Guard:
    """``guard(exchange, step, *arguments)`` awaits ``step(*arguments)``, and what follows. Never raises but for cancellation."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, exchange: Exchange, step: Step, *arguments: Any) -> None:
        try:
            try:
                going: Going | None = step(*arguments)
                del arguments  # as `Going` has it
                while going is not None:
                    going = await going
            except Refusal as refusal:
                await self._refuse(exchange, refusal)
            except StoreUnavailable as error:
                _log.warning("refused: %s", error, extra={"request": exchange.id})
                await self._refuse(exchange, unavailable())
            except ClientGone:
                raise
            except Exception:  # noqa: BLE001 - the outermost handler: refuses, counts, logs with an id
                await self._refuse(exchange, self._unexpected(exchange))
        except ClientGone:
            exchange.reply.abort()

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        self._metrics.refusals[refusal.code] += 1
        await refuse(exchange, refusal)

    def _unexpected(self, exchange: Exchange) -> Refusal:
        error_id = secrets.token_hex(6)
        self._metrics.errors["gateway"] += 1
        _log.exception("unexpected error; refused", extra={"error_id": error_id, "request": exchange.id})
        return Refusal(RefusalCode.UNAVAILABLE, f"The gateway failed on this request. Error id: {error_id}", status=500)
